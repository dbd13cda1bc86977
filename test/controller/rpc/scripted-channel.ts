/** The stream under a conversation, in the hands of a test: what the controller writes is kept, what the agent says is said by hand. */
import { fromLong, toLong } from '../../../proto/long.js';
import {
  decodeEvent,
  encodeEvent,
  type CommandProperties,
  type EventProperties,
} from '../../../proto/service.js';
import type { AgentChannel, ChannelSink } from '../../../controller/rpc/agent-channel.js';
import type { StillframeError } from '../../../format/error.js';

export class ScriptedChannel implements AgentChannel {
  readonly address: string;
  readonly certificateName: string | undefined;
  readonly dialedIn: boolean;
  readonly written: CommandProperties[] = [];
  /** What `write` answers: false is a full buffer. */
  hasRoom = true;
  isClosed = false;
  /** What is said to a command at once. */
  answers: Partial<Record<keyof CommandProperties, EventProperties>> = {};
  #sink: ChannelSink | undefined;

  constructor(about: { readonly dialedIn?: boolean; readonly certificateName?: string } = {}) {
    this.address = 'agent.test:1';
    this.dialedIn = about.dialedIn ?? false;
    this.certificateName = about.certificateName;
  }

  open(sink: ChannelSink): void {
    this.#sink = sink;
  }

  write(command: CommandProperties): boolean {
    this.written.push(command);
    for (const [body, answer] of Object.entries(this.answers)) {
      if (command[body as keyof CommandProperties] !== undefined) {
        queueMicrotask(() => this.say({ ...answer, request: command.request ?? null }));
      }
    }
    return this.hasRoom;
  }

  close(): void {
    this.isClosed = true;
  }

  /** Through the wire's coding, as a stranger's bytes would come. */
  say(event: EventProperties): void {
    this.#sink?.heard(decodeEvent(encodeEvent(event)));
  }

  drain(): void {
    this.hasRoom = true;
    this.#sink?.drained();
  }

  end(reason: StillframeError): void {
    this.#sink?.ended(reason);
  }

  /** The request number of the last command of a kind. */
  requestOf(body: keyof CommandProperties): bigint {
    const command = this.written.findLast((each) => each[body] !== undefined && each[body] !== null);
    if (command === undefined) throw new Error(`no ${body} was written`);
    return fromLong(command.request);
  }

  answer(body: keyof CommandProperties, event: EventProperties): void {
    this.say({ ...event, request: toLong(this.requestOf(body)) });
  }
}

export const hello = {
  version: '0.1.0',
  host: 'web-1',
  pid: 7,
  bootId: 'b00f',
  pidNamespace: 'pid:[4026531836]',
  kernel: '6.1',
  architecture: 'x64',
  uid: 0,
};
