/** For agents behind a firewall: dials the controller and holds the same conversation, again and again. */
import { Client, type ClientDuplexStream } from '@grpc/grpc-js';
import { grpcTarget, refuseExposure, type Endpoint } from '../../format/endpoint.js';
import {
  decodeCommand,
  encodeEvent,
  fleetConversePath,
  type Command,
  type EventProperties,
} from '../../proto/service.js';
import { Conversation, type ConversationOptions } from './conversation.js';
import { channelOf, feed } from './server.js';
import type { TlsFiles } from '../../format/tls-files.js';
import { channelCredentials } from './tls.js';

export interface DialOptions {
  readonly endpoint: Endpoint;
  readonly tls: TlsFiles | undefined;
  readonly conversation: Omit<ConversationOptions, 'channel'>;
}

const firstDelayMs = 500;
const maxDelayMs = 30_000;

/** Dials until it is disposed. */
export function dial(options: DialOptions): Disposable {
  const { endpoint, tls, conversation } = options;
  refuseExposure('dial', endpoint, tls !== undefined);
  let delayMs = firstDelayMs;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let end: () => void = () => undefined;

  const converse = (): void => {
    // A controller whose host went without a word is gone, too: its points are nobody's, and another one is to be dialed.
    const client = new Client(grpcTarget(endpoint), channelCredentials(tls), {
      'grpc.keepalive_time_ms': 20_000,
      'grpc.keepalive_timeout_ms': 20_000,
    });
    const stream: ClientDuplexStream<EventProperties, Command> = client.makeBidiStreamRequest(
      fleetConversePath,
      encodeEvent,
      decodeCommand,
    );
    const talk = new Conversation({ ...conversation, channel: channelOf(stream) });
    let over = false;
    end = () => {
      if (over) return;
      over = true;
      talk[Symbol.dispose]();
      client.close();
      if (closed) return;
      timer = setTimeout(converse, delayMs);
      delayMs = Math.min(delayMs * 2, maxDelayMs);
    };
    stream.on('data', () => {
      delayMs = firstDelayMs;
    });
    feed(stream, talk);
    stream.on('error', (error: Error) => {
      if (!over)
        conversation.log.warn(
          { controller: grpcTarget(endpoint), error: error.message },
          'conversation ended',
        );
      end();
    });
    stream.on('end', () => end());
    stream.write({ hello: conversation.hello });
  };
  converse();
  return {
    [Symbol.dispose]() {
      closed = true;
      clearTimeout(timer);
      end();
    },
  };
}
