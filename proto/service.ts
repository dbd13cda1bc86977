/**
 * The services as grpc-js wants them, from the generated metadata: paths, directions and codecs, no logic.
 */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { stillframe } from './generated/stillframe.js';

const { v1 } = stillframe;

export type Command = stillframe.v1.Command.$Shape;
export type CommandProperties = stillframe.v1.Command.$Properties;
export type Event = stillframe.v1.Event.$Shape;
export type EventProperties = stillframe.v1.Event.$Properties;

export const encodeCommand = (message: CommandProperties): Buffer =>
  buffer(v1.Command.encode(message).finish());
export const decodeCommand = (bytes: Uint8Array): Command => v1.Command.decode(bytes);
export const encodeEvent = (message: EventProperties): Buffer => buffer(v1.Event.encode(message).finish());
export const decodeEvent = (bytes: Uint8Array): Event => v1.Event.decode(bytes);

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Served by an agent: commands in, events out. */
export const agentService: ServiceDefinition = {
  converse: {
    path: v1.Agent.prototype.converse.path,
    requestStream: true,
    responseStream: true,
    requestSerialize: encodeCommand,
    requestDeserialize: decodeCommand,
    responseSerialize: encodeEvent,
    responseDeserialize: decodeEvent,
  },
};

/** Served by a controller, for agents that dial: events in, commands out. */
export const fleetGatewayService: ServiceDefinition = {
  converse: {
    path: v1.FleetGateway.prototype.converse.path,
    requestStream: true,
    responseStream: true,
    requestSerialize: encodeEvent,
    requestDeserialize: decodeEvent,
    responseSerialize: encodeCommand,
    responseDeserialize: decodeCommand,
  },
};

export const agentConversePath: string = v1.Agent.prototype.converse.path;
export const fleetConversePath: string = v1.FleetGateway.prototype.converse.path;
