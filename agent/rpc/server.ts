/** Serves conversations: on a unix socket of mode 0600, or on TCP. Without TLS, TCP is for this host only. */
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Server, type ServerDuplexStream } from '@grpc/grpc-js';
import { StillframeError } from '../../format/error.js';
import { grpcTarget, refuseExposure, type Endpoint } from '../../format/endpoint.js';
import { agentService, type Command, type EventProperties } from '../../proto/service.js';
import { Conversation, type ConversationOptions, type EventChannel } from './conversation.js';
import type { TlsFiles } from '../../format/tls-files.js';
import { serverCredentials } from './tls.js';

export interface ListenOptions {
  readonly endpoint: Endpoint;
  readonly tls: TlsFiles | undefined;
  readonly conversation: Omit<ConversationOptions, 'channel'>;
}

export interface ListeningServer extends AsyncDisposable {
  /** With the port that was chosen where 0 was asked. */
  readonly address: string;
}

const maxMessageBytes = 16 * 1024 * 1024;
const shutdownMs = 1000;

export async function listen(options: ListenOptions): Promise<ListeningServer> {
  const { endpoint, tls } = options;
  refuseExposure('listen on', endpoint, tls !== undefined);
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': 20_000,
  });
  server.addService(agentService, {
    converse: (stream: ServerDuplexStream<Command, EventProperties>) => serve(stream, options.conversation),
  });
  if (endpoint.kind === 'unix') await clearSocket(endpoint.path);
  const previousMask = endpoint.kind === 'unix' ? process.umask(0o177) : undefined;
  let port: number;
  try {
    port = await bind(server, endpoint, tls);
  } finally {
    if (previousMask !== undefined) process.umask(previousMask);
  }
  if (endpoint.kind === 'unix') chmodSync(endpoint.path, 0o600);
  return {
    address: endpoint.kind === 'unix' ? `unix:${endpoint.path}` : grpcTarget({ ...endpoint, port }),
    async [Symbol.asyncDispose]() {
      const force = setTimeout(() => server.forceShutdown(), shutdownMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(force);
      if (endpoint.kind === 'unix') rmSync(endpoint.path, { force: true });
    },
  };
}

function bind(server: Server, endpoint: Endpoint, tls: TlsFiles | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(grpcTarget(endpoint), serverCredentials(tls), (error, port) => {
      if (error === null) resolve(port);
      else
        reject(new StillframeError('system', `cannot listen on ${grpcTarget(endpoint)}: ${error.message}`));
    });
  });
}

function serve(
  stream: ServerDuplexStream<Command, EventProperties>,
  options: Omit<ConversationOptions, 'channel'>,
): void {
  const conversation = new Conversation({ ...options, channel: channelOf(stream) });
  feed(stream, conversation);
  stream.on('end', () => {
    conversation[Symbol.dispose]();
    stream.end();
  });
  for (const event of ['error', 'close', 'cancelled'] as const) {
    stream.on(event, () => conversation[Symbol.dispose]());
  }
}

/** Of one conversation, worked on at once; a controller that asks more waits, and so one that does not read its answers. */
const maxCommands = 64;

/** Gives the conversation what comes. */
export function feed(stream: CommandStream, conversation: Pick<Conversation, 'receive'>): void {
  let working = 0;
  stream.on('data', (command: Command) => {
    working += 1;
    if (working === maxCommands) stream.pause();
    void conversation.receive(command).finally(() => {
      working -= 1;
      if (working === maxCommands - 1) stream.resume();
    });
  });
}

/** What a stream of either side has of a readable one. */
export interface CommandStream {
  on(event: 'data', listener: (command: Command) => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

/** What a stream of either side has of a writable one. */
export interface EventStream {
  write(event: EventProperties): boolean;
  once(event: 'drain' | 'close' | 'error' | 'cancelled', listener: () => void): unknown;
  off(event: 'drain' | 'close' | 'error' | 'cancelled', listener: () => void): unknown;
}

/** One full buffer at a time: who sends waits until it has drained. */
export function channelOf(stream: EventStream): EventChannel {
  const ends = ['close', 'error', 'cancelled'] as const;
  return {
    send: (event) =>
      new Promise((resolve, reject) => {
        if (stream.write(event)) {
          resolve();
          return;
        }
        const settle = (done: () => void): void => {
          stream.off('drain', drained);
          for (const name of ends) stream.off(name, ended);
          done();
        };
        const drained = (): void => settle(resolve);
        const ended = (): void =>
          settle(() => reject(new StillframeError('unreachable', 'the controller hung up')));
        stream.once('drain', drained);
        for (const name of ends) stream.once(name, ended);
      }),
  };
}

/** Makes room for the socket; a socket that nobody listens on any more is removed, one in use is not. */
async function clearSocket(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) {
    throw new StillframeError('usage', `cannot listen on "${path}": a file that is no socket lies there`);
  }
  const inUse = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (inUse) {
    throw new StillframeError('usage', `cannot listen on "${path}": another agent listens there`, {
      hint: 'stop it, or give another --listen',
    });
  }
  rmSync(path, { force: true });
}
