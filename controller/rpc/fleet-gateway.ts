/** The door for agents that dial: each stream of `FleetGateway.Converse` is handed to the fleet, which holds the conversation. */
import type { Server, ServerOptions } from '@grpc/grpc-js';
import { fleetGatewayService } from '../../proto/service.js';
import { maxMessageBytes, type AgentStream } from './agent-channel.js';

/** What a server that agents dial must be made with: a snapshot's pieces are larger than gRPC allows unasked. */
export const gatewayServerOptions: ServerOptions = {
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
};

/** Adds the gateway to a server that is not started yet. */
export function serveFleetGateway(server: Server, fleet: { accept(stream: AgentStream): void }): void {
  server.addService(fleetGatewayService, { converse: (stream: AgentStream) => fleet.accept(stream) });
}
