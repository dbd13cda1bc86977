/**
 * What the transport alone costs: a gRPC server that greets every agent that dials, and does nothing else. Prints where it listens.
 * usage: node dist/bench/bare-gateway.js
 */
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { toLong } from '../proto/long.js';
import { fleetGatewayService, type CommandProperties, type Event } from '../proto/service.js';

const server = new Server();
server.addService(fleetGatewayService, {
  converse: (stream: ServerDuplexStream<Event, CommandProperties>) => {
    stream.on('data', () => undefined);
    stream.on('error', () => undefined);
    stream.on('end', () => stream.end());
    stream.write({ request: toLong(1n), greeting: { version: '0.1.0', controller: 'bare' } });
  },
});
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`listening on 127.0.0.1:${port}\n`);
});
