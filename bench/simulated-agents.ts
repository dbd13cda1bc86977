/**
 * Many agents in one process, each a conversation of its own that dials a controller: as real ones on the wire, with one process to look
 * into, and nothing behind. Arming is answered at once, so that what is measured is the controller.
 * usage: node dist/bench/simulated-agents.js CONTROLLER COUNT PROGRAM; prints a line of JSON when it dials, when all have greeted, and for
 * each COUNT of armings. A line on stdin hangs all up and dials again at once.
 */
import { createInterface } from 'node:readline';
import { credentials, Client, type ClientDuplexStream } from '@grpc/grpc-js';
import { toLong } from '../proto/long.js';
import {
  decodeCommand,
  encodeEvent,
  fleetConversePath,
  type Command,
  type EventProperties,
} from '../proto/service.js';
import { buildIdOf } from './binary.js';

const [controller = '', countText = '', program = ''] = process.argv.slice(2);
const count = Number(countText);
const buildId = buildIdOf(program);
const target = {
  pid: 4242,
  comm: 'checkout',
  args: [program],
  uid: 0,
  executable: program,
  buildId,
  startTicks: toLong(1n),
  startTimeMs: toLong(Date.now()),
};
const module = {
  path: program,
  buildId,
  start: toLong(0x5555_5555_4000n),
  end: toLong(0x5555_5555_9000n),
  bias: toLong(0x5555_5555_4000n),
};

const state = { greeted: 0, armed: 0 };

function say(): void {
  process.stdout.write(`${JSON.stringify({ ...state, timeMs: Date.now() })}\n`);
}

/** What a command brings: one answer, and perhaps events after it. */
function answers(
  command: Command,
  host: string,
  points: Map<string, EventProperties['pointState']>,
): EventProperties[] {
  switch (command.body) {
    case 'greeting':
      state.greeted += 1;
      if (state.greeted === count) say();
      return [{ hello: helloOf(host) }];
    case 'listTargets':
      return [{ targets: { targets: [target] } }];
    case 'watchTargets': {
      const { watchId } = command.watchTargets;
      return [
        { done: {} },
        { request: null, targetsChanged: { watchId: watchId ?? '', appeared: [target] } },
      ];
    }
    case 'getTargetFacts':
      return [{ targetFacts: { target, modules: [module] } }];
    case 'arm': {
      const pointId = command.arm.pointId ?? '';
      if (!points.has(pointId)) state.armed += 1;
      const armed = {
        pointId,
        phase: 2,
        engine: 'uprobe',
        processes: [{ pid: target.pid, addresses: [toLong(0x5555_5555_5000n)] }],
        counters: {},
        why: 'armed at 1 address in process 4242 by uprobe: 0 hits, no thread has passed there yet',
      };
      points.set(pointId, armed);
      if (state.armed % count === 0) say();
      return [{ pointState: armed }];
    }
    case 'disarm': {
      const pointId = command.disarm.pointId ?? '';
      points.delete(pointId);
      return [{ pointState: { pointId, phase: 4, end: 'removed', why: 'removed', counters: {} } }];
    }
    case 'listPoints':
    case 'followPoints':
      return [{ points: { points: [...points.values()].flatMap((point) => point ?? []) } }];
    case 'fetchSnapshots':
      return [{ fetched: { count: 0 } }];
    case 'heartbeat':
      return [];
    case 'acknowledgeSnapshot':
    case 'measure':
    case 'now':
    case 'probeEngines':
    case 'watchLog':
    case 'watchUsage':
    case 'resume':
    case 'core':
    case 'unwatch':
    case 'cancel':
    case undefined:
      return [{ done: {} }];
  }
}

const helloOf = (host: string): NonNullable<EventProperties['hello']> => ({
  version: '0.1.0',
  host,
  pid: 1,
  bootId: `00000000-0000-4000-8000-${host.replaceAll(/\D/g, '').padStart(12, '0')}`,
  pidNamespace: 'pid:[1]',
  kernel: '6.18',
  architecture: 'x64',
  uid: 0,
});

interface Conversation {
  end(): void;
}

function converse(host: string, points: Map<string, EventProperties['pointState']>): Conversation {
  const client = new Client(controller, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const stream: ClientDuplexStream<EventProperties, Command> = client.makeBidiStreamRequest(
    fleetConversePath,
    encodeEvent,
    decodeCommand,
  );
  stream.on('data', (command: Command) => {
    for (const event of answers(command, host, points)) {
      stream.write({ request: command.request ?? null, ...event });
    }
  });
  stream.on('error', () => undefined);
  stream.write({ hello: helloOf(host) });
  return {
    end() {
      stream.end();
      client.close();
    },
  };
}

const agents = Array.from({ length: count }, (_, i) => ({
  host: `web-${i}`,
  points: new Map<string, EventProperties['pointState']>(),
}));
const dialAll = (): Conversation[] => agents.map(({ host, points }) => converse(host, points));
say();
let conversations = dialAll();
createInterface({ input: process.stdin })
  .on('line', () => {
    for (const conversation of conversations) conversation.end();
    state.greeted = 0;
    conversations = dialAll();
  })
  .on('close', () => process.exit(0));
