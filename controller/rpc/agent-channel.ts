/**
 * The stream under a conversation with an agent: commands go out, events come in. Whether the controller dialed it or the agent did
 * (`FleetGateway`) shows in nothing but where it was made.
 */
import { Client, type ClientDuplexStream, type ServerDuplexStream } from '@grpc/grpc-js';
import { grpcTarget, type Endpoint } from '../../format/endpoint.js';
import { StillframeError } from '../../format/error.js';
import { codeOfGrpcStatus } from '../../format/grpc-status.js';
import {
  agentConversePath,
  decodeEvent,
  encodeCommand,
  type CommandProperties,
  type Event,
} from '../../proto/service.js';
import { channelCredentials, type TlsFiles } from './tls.js';

export interface AgentChannel {
  /** As it was dialed, or where it dials from. */
  readonly address: string;
  /** The common name of the certificate that the agent showed when it dialed; undefined without TLS. */
  readonly certificateName: string | undefined;
  /** The agent opened it, and greets unasked. */
  readonly dialedIn: boolean;
  /** Called once, before anything is written. */
  open(sink: ChannelSink): void;
  /** False when its buffer is full: write no more until `drained`. */
  write(command: CommandProperties): boolean;
  /** What was written still goes out. */
  close(): void;
}

export interface ChannelSink {
  heard(event: Event): void;
  drained(): void;
  /** At most once, and not after `close`. */
  ended(reason: StillframeError): void;
}

/** What an agent that dialed this controller opened. */
export type AgentStream = ServerDuplexStream<Event, CommandProperties>;

/** A piece of a snapshot is half a mebibyte; a list of all processes of a large host, a few. */
export const maxMessageBytes: number = 16 * 1024 * 1024;

export function dialChannel(options: {
  readonly endpoint: Endpoint;
  readonly tls: TlsFiles | undefined;
  readonly connectTimeoutMs: number;
}): AgentChannel {
  const address = grpcTarget(options.endpoint);
  const client = new Client(address, channelCredentials(options.tls), {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.enable_retries': 0,
    // Otherwise clients of one address share a connection, and its memory of what failed.
    'grpc.use_local_subchannel_pool': 1,
  });
  let stream: ClientDuplexStream<CommandProperties, Event> | undefined;
  let closed = false;
  const unreachable = (code: StillframeError['code'], text: string): StillframeError =>
    new StillframeError(code, `cannot reach the agent at ${address}: ${text}`);
  return {
    address,
    certificateName: undefined,
    dialedIn: false,
    open(sink) {
      const end = (reason: StillframeError): void => {
        if (closed) return;
        closed = true;
        client.close();
        sink.ended(reason);
      };
      client.waitForReady(Date.now() + options.connectTimeoutMs, (error) => {
        if (error !== undefined) end(unreachable('unreachable', error.message));
      });
      stream = client.makeBidiStreamRequest(agentConversePath, encodeCommand, decodeEvent);
      stream.on('data', (event: Event) => {
        if (!closed) sink.heard(event);
      });
      stream.on('drain', () => sink.drained());
      stream.on('error', (error: Error & { code?: number; details?: string }) => {
        const code = error.code === undefined ? 'unreachable' : codeOfGrpcStatus(error.code);
        end(
          unreachable(code === 'internal' ? 'unreachable' : code, reasonOf(error.details ?? error.message)),
        );
      });
      stream.on('end', () => end(new StillframeError('unreachable', `the agent at ${address} hung up`)));
    },
    write: (command) => stream?.write(command) ?? false,
    close() {
      if (closed) return;
      closed = true;
      stream?.end();
      client.close();
    },
  };
}

/** What gRPC says of a failed connection, without what it says around it: `connect ECONNREFUSED 127.0.0.1:7443`. */
function reasonOf(details: string): string {
  return /Last error: (?:Error: )?(.+?)\. Resolution note:/s.exec(details)?.[1] ?? details;
}

export function acceptChannel(stream: AgentStream): AgentChannel {
  const address = stream.getPeer();
  const certificate = stream.getAuthContext().sslPeerCertificate;
  // NB: a name may come more than once, and is a list then.
  const name: unknown = certificate?.subject?.CN;
  let closed = false;
  return {
    address,
    certificateName: typeof name === 'string' ? name : undefined,
    dialedIn: true,
    open(sink) {
      const end = (how: string): void => {
        if (closed) return;
        closed = true;
        stream.end();
        sink.ended(new StillframeError('unreachable', `the agent at ${address} ${how}`));
      };
      stream.on('data', (event: Event) => {
        if (!closed) sink.heard(event);
      });
      stream.on('drain', () => sink.drained());
      stream.on('end', () => end('hung up'));
      stream.on('cancelled', () => end('hung up'));
      stream.on('close', () => end('hung up'));
      stream.on('error', (error: Error) => end(`broke off: ${error.message}`));
    },
    write: (command) => stream.write(command),
    close() {
      if (closed) return;
      closed = true;
      stream.end();
    },
  };
}
