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

/** A method that is asked by one message and answers with one, or with a stream of them. */
export interface Method<Request, Answer> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: Request) => Buffer;
  readonly requestDeserialize: (bytes: Uint8Array) => Request;
  readonly responseSerialize: (message: Answer) => Buffer;
  readonly responseDeserialize: (bytes: Uint8Array) => Answer;
}

interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

function method<Request, Answer>(
  { path }: { readonly path: string },
  request: Codec<Request>,
  answer: Codec<Answer>,
  answers: 'one' | 'stream' = 'one',
): Method<Request, Answer> {
  return {
    path,
    requestStream: false,
    responseStream: answers === 'stream',
    requestSerialize: (message) => buffer(request.encode(message).finish()),
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: (message) => buffer(answer.encode(message).finish()),
    responseDeserialize: (bytes) => answer.decode(bytes),
  };
}

type V1 = typeof stillframe.v1;
/** The fields of a message, by its name. */
export type Fields<Name extends keyof V1> = V1[Name] extends { encode(message: infer Message): unknown }
  ? Message
  : never;

const { prototype: controller } = v1.Controller;

/** Served by a controller, for its faces. */
export const controllerMethods: {
  readonly doctor: Method<Fields<'DoctorRequest'>, Fields<'Documents'>>;
  readonly targets: Method<Fields<'TargetsRequest'>, Fields<'Documents'>>;
  readonly explain: Method<Fields<'ExplainRequest'>, Fields<'Document'>>;
  readonly snap: Method<Fields<'SnapRequest'>, Fields<'SnapUpdate'>>;
  readonly metric: Method<Fields<'MetricRequest'>, Fields<'Document'>>;
  readonly log: Method<Fields<'LogRequest'>, Fields<'LogUpdate'>>;
  readonly now: Method<Fields<'NowRequest'>, Fields<'NowResponse'>>;
  readonly core: Method<Fields<'CoreRequest'>, Fields<'NowResponse'>>;
  readonly points: Method<Fields<'PointsRequest'>, Fields<'Documents'>>;
  readonly watchPoints: Method<Fields<'PointsRequest'>, Fields<'Documents'>>;
  readonly removePoints: Method<Fields<'RemovePointsRequest'>, Fields<'Documents'>>;
  readonly resumePoints: Method<Fields<'ResumePointsRequest'>, Fields<'Documents'>>;
  readonly snapshots: Method<Fields<'SnapshotsRequest'>, Fields<'Documents'>>;
  readonly show: Method<Fields<'ShowRequest'>, Fields<'Document'>>;
  readonly eval: Method<Fields<'EvalRequest'>, Fields<'Documents'>>;
  readonly export: Method<Fields<'ExportRequest'>, Fields<'Chunk'>>;
  readonly rules: Method<Fields<'RulesRequest'>, Fields<'Documents'>>;
  readonly testRule: Method<Fields<'RuleRequest'>, Fields<'Document'>>;
  readonly fireRule: Method<Fields<'FireRuleRequest'>, Fields<'Document'>>;
  readonly incidents: Method<Fields<'IncidentsRequest'>, Fields<'Documents'>>;
  readonly showIncident: Method<Fields<'IncidentRequest'>, Fields<'Document'>>;
  readonly exportIncident: Method<Fields<'IncidentRequest'>, Fields<'Chunk'>>;
} = {
  doctor: method(controller.doctor, v1.DoctorRequest, v1.Documents),
  targets: method(controller.targets, v1.TargetsRequest, v1.Documents),
  explain: method(controller.explain, v1.ExplainRequest, v1.Document),
  snap: method(controller.snap, v1.SnapRequest, v1.SnapUpdate, 'stream'),
  metric: method(controller.metric, v1.MetricRequest, v1.Document, 'stream'),
  log: method(controller.log, v1.LogRequest, v1.LogUpdate, 'stream'),
  now: method(controller.now, v1.NowRequest, v1.NowResponse),
  core: method(controller.core, v1.CoreRequest, v1.NowResponse),
  points: method(controller.points, v1.PointsRequest, v1.Documents),
  watchPoints: method(controller.watchPoints, v1.PointsRequest, v1.Documents, 'stream'),
  removePoints: method(controller.removePoints, v1.RemovePointsRequest, v1.Documents),
  resumePoints: method(controller.resumePoints, v1.ResumePointsRequest, v1.Documents),
  snapshots: method(controller.snapshots, v1.SnapshotsRequest, v1.Documents),
  show: method(controller.show, v1.ShowRequest, v1.Document),
  eval: method(controller.eval, v1.EvalRequest, v1.Documents),
  export: method(controller.export, v1.ExportRequest, v1.Chunk, 'stream'),
  rules: method(controller.rules, v1.RulesRequest, v1.Documents),
  testRule: method(controller.testRule, v1.RuleRequest, v1.Document),
  fireRule: method(controller.fireRule, v1.FireRuleRequest, v1.Document),
  incidents: method(controller.incidents, v1.IncidentsRequest, v1.Documents),
  showIncident: method(controller.showIncident, v1.IncidentRequest, v1.Document),
  exportIncident: method(controller.exportIncident, v1.IncidentRequest, v1.Chunk, 'stream'),
};

/** An error of ours in the trailer of a failed call. */
export const failureTrailer = 'stillframe-failure-bin';
export const encodeFailure = (failure: Fields<'Failure'>): Buffer =>
  buffer(v1.Failure.encode(failure).finish());
export const decodeFailure = (bytes: Uint8Array): Fields<'Failure'> => v1.Failure.decode(bytes);
