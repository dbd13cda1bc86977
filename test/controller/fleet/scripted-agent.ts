/** Agents that a test plays over real gRPC: one that listens, one that dials. They answer the greeting; the rest is the test's. */
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ClientDuplexStream,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { fromLong } from '../../../proto/long.js';
import {
  agentService,
  decodeCommand,
  encodeEvent,
  fleetConversePath,
  type Command,
  type EventProperties,
} from '../../../proto/service.js';
import type { TlsFiles } from '../../../format/tls-files.js';
import { channelCredentials } from '../../../controller/rpc/tls.js';
import { hello } from '../rpc/scripted-channel.js';

interface Said {
  write(event: EventProperties): unknown;
}

export class ListeningAgent implements AsyncDisposable {
  readonly commands: Command[] = [];
  readonly streams: ServerDuplexStream<Command, EventProperties>[] = [];
  address = '';
  #server = new Server();
  readonly #hello: object;

  constructor(part: object = {}) {
    this.#hello = { ...hello, ...part };
  }

  async listen(at = '127.0.0.1:0'): Promise<this> {
    this.#server = new Server();
    this.#server.addService(agentService, {
      converse: (stream: ServerDuplexStream<Command, EventProperties>) => {
        this.streams.push(stream);
        stream.on('data', (command: Command) => {
          this.commands.push(command);
          if (command.body === 'greeting')
            stream.write({ request: command.request ?? null, hello: this.#hello });
          else answerShort(command, stream);
        });
        stream.on('end', () => stream.end());
        stream.on('error', () => undefined);
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(at, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    this.address = `127.0.0.1:${port}`;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    return Promise.resolve();
  }
}

export class DialingAgent implements Disposable {
  readonly commands: Command[] = [];
  readonly stream: ClientDuplexStream<EventProperties, Command>;
  /** How the stream ended. */
  ended: string | undefined;
  readonly #client: Client;

  constructor(address: string, part: object = {}, tls?: TlsFiles) {
    this.#client = new Client(
      address,
      tls === undefined ? credentials.createInsecure() : channelCredentials(tls),
      {
        'grpc.use_local_subchannel_pool': 1,
      },
    );
    this.stream = this.#client.makeBidiStreamRequest(fleetConversePath, encodeEvent, decodeCommand);
    this.stream.on('data', (command: Command) => {
      this.commands.push(command);
      answerShort(command, this.stream);
    });
    this.stream.on('end', () => (this.ended ??= 'end'));
    this.stream.on('error', (error: Error) => (this.ended ??= error.message));
    this.stream.write({ hello: { ...hello, ...part } });
  }

  [Symbol.dispose](): void {
    this.stream.cancel();
    this.#client.close();
  }
}

/** Says nothing of processes and points to who asks for them. */
function answerShort(command: Command, stream: Said): void {
  const request = command.request ?? null;
  if (command.body === 'listPoints' || command.body === 'followPoints') stream.write({ request, points: {} });
  if (command.body === 'fetchSnapshots') stream.write({ request, fetched: {} });
  if (command.body === 'watchTargets' || command.body === 'unwatch') stream.write({ request, done: {} });
  if (command.body === 'listTargets')
    stream.write({ request, targets: { targets: [{ pid: 4, comm: 'shop' }] } });
}

export const requestOf = (command: Command | undefined): bigint => fromLong(command?.request);
