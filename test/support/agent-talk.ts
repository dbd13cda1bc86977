/** A conversation with an agent, message by message: for tests of what the controller's client does not say. */
import { Client, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { grpcTarget, parseEndpoint } from '../../format/endpoint.js';
import { toLong } from '../../proto/long.js';
import {
  agentConversePath,
  decodeEvent,
  encodeCommand,
  type CommandProperties,
  type Event,
} from '../../proto/service.js';

export class AgentTalk implements Disposable {
  readonly events: Event[] = [];
  readonly stream: ClientDuplexStream<CommandProperties, Event>;
  readonly #client: Client;
  readonly #waiting = new Map<number, (event: Event) => void>();
  #requests = 0;

  constructor(address: string) {
    this.#client = new Client(grpcTarget(parseEndpoint(address)), credentials.createInsecure());
    this.stream = this.#client.makeBidiStreamRequest(agentConversePath, encodeCommand, decodeEvent);
    this.stream.on('data', (event: Event) => {
      this.events.push(event);
      this.#waiting.get(Number(event.request))?.(event);
    });
    // An agent that is killed hangs up.
    this.stream.on('error', () => undefined);
  }

  /** Resolves with the first event that answers it. */
  ask(command: CommandProperties): Promise<Event> {
    const request = (this.#requests += 1);
    this.stream.write({ ...command, request: toLong(request) });
    return new Promise((resolve) => {
      this.#waiting.set(request, resolve);
    });
  }

  [Symbol.dispose](): void {
    this.stream.cancel();
    this.#client.close();
  }
}
