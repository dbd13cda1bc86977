import { expect, test } from 'vitest';
import { noHits } from '../../../controller/fleet/hit-count.js';
import {
  whyActive,
  whyAtHost,
  whyOver,
  type HostView,
  type OverFacts,
  type WhyFacts,
} from '../../../controller/fleet/point-why.js';

function host(name: string, part: Partial<HostView> = {}): HostView {
  return {
    host: name,
    connected: true,
    error: '',
    processes: 0,
    armed: [],
    suspended: [],
    refused: [],
    over: [],
    unwatched: '',
    counters: noHits,
    open: false,
    wasArmed: false,
    ...part,
  };
}

const armed = { armed: [{ pid: 12, addresses: 2, engine: 'uprobe' }], processes: 1 };

function why(hosts: readonly HostView[], part: Partial<WhyFacts> = {}): string {
  return whyActive({
    target: 'name:shop',
    kind: 'snapshot',
    hosts,
    counters: noHits,
    hasCondition: false,
    maxHits: 1,
    everyProcess: false,
    stored: 0,
    ...part,
  });
}

test.each([
  ['nobody is there', [], {}, 'no agent is connected'],
  ['one waits', [host('a')], {}, 'no process fits name:shop at a yet'],
  [
    'one waits, and the target says where',
    [host('a')],
    { target: 'name:shop@a' },
    'no process fits name:shop@a yet',
  ],
  ['many wait', [host('a'), host('b'), host('c')], {}, 'no process fits name:shop on any of 3 hosts yet'],
  ['processes are looked at', [host('a', { processes: 2 }), host('b')], {}, 'looking at 2 processes at a'],
  [
    'what the agent could not tell',
    [host('a', { ...armed, undecidedWhy: 'name: 8 bytes at 0x5000 were not captured' })],
    { counters: { ...noHits, hits: 9n, conditionFalse: 4n, undecided: 3n }, hasCondition: true },
    'armed at 2 addresses in process 12 at a by uprobe: 9 hits, condition false 4 times, condition not decided 3 times (last: name: 8 bytes at 0x5000 were not captured)',
  ],
  [
    'armed, nothing passed',
    [host('a', armed)],
    {},
    'armed at 2 addresses in process 12 at a by uprobe: 0 hits, no thread has passed there yet',
  ],
  [
    'armed by two engines, at more hosts than are named',
    [
      host('a', armed),
      host('b', { armed: [{ pid: 3, addresses: 1, engine: 'ptrace' }] }),
      host('c', armed),
      host('d', armed),
      host('e', armed),
    ],
    { counters: { ...noHits, hits: 3n, conditionFalse: 1n, faults: 1n, dropped: 2n }, hasCondition: true },
    'armed at 9 addresses in 5 processes at a, b, c and 2 more by uprobe, ptrace: 3 hits, condition false 1 time, memory not readable 1 time, 2 lost for want of room',
  ],
  [
    'some came',
    [host('a', armed)],
    { counters: { ...noHits, hits: 2n }, maxHits: 3, stored: 2 },
    'armed at 2 addresses in process 12 at a by uprobe: 2 hits, 2 of 3 delivered',
  ],
  [
    'some of every process came',
    [host('a', armed)],
    { counters: { ...noHits, hits: 2n }, everyProcess: true, stored: 2 },
    'armed at 2 addresses in process 12 at a by uprobe: 2 hits, 2 delivered',
  ],
  [
    'the same reason at two hosts is said once, another one apart',
    [
      host('a', { processes: 2, refused: [{ processes: 2, reason: 'no line 42' }] }),
      host('b', {
        processes: 2,
        refused: [
          { processes: 1, reason: 'no line 42' },
          { processes: 1, reason: 'it maps no module "x"' },
        ],
      }),
    ],
    {},
    'cannot arm in 3 processes at a, b: no line 42; cannot arm in 1 process at b: it maps no module "x"',
  ],
  [
    'suspended',
    [host('a', { processes: 1, suspended: ['1.4% of a CPU'] })],
    {},
    'suspended at a: 1.4% of a CPU',
  ],
  ['over where it is wanted', [host('a', { processes: 1, over: ['removed'] })], {}, 'ended at a: removed'],
  [
    'not connected',
    [
      host('a', { connected: false, error: 'connect ECONNREFUSED' }),
      host('b', { connected: false, error: 'it hung up' }),
    ],
    {},
    'agent a is not connected: connect ECONNREFUSED; agent b is not connected: it hung up',
  ],
  [
    'so much that not all of it is said',
    [
      host('a', { ...armed, suspended: ['s'], over: ['o'], refused: [{ processes: 1, reason: 'r' }] }),
      ...['b', 'c', 'd', 'e', 'f'].map((name) => host(name, { connected: false, error: 'x' })),
    ],
    {},
    'armed at 2 addresses in process 12 at a by uprobe: 0 hits, no thread has passed there yet; suspended at a: s; cannot arm in 1 process at a: r; ended at a: o; and 4 more',
  ],
] as const)('%s', (_, hosts, part, line) => {
  expect(why(hosts, part)).toBe(line);
});

test.each([
  [host('a'), 'no process fits name:shop yet'],
  [host('a', { processes: 1 }), 'looking at 1 process'],
  [host('a', { connected: false, error: 'it hung up' }), 'not connected: it hung up'],
  [
    host('a', {
      ...armed,
      refused: [{ processes: 2, reason: 'no line 42' }],
      counters: { ...noHits, hits: 1n },
    }),
    'armed at 2 addresses in process 12 by uprobe: 1 hit; cannot arm in 2 processes: no line 42',
  ],
  [host('a', { unwatched: '256 watches' }), 'processes are looked for now and then only: 256 watches'],
])('at one host: %#', (view, line) => {
  expect(whyAtHost(view, { target: 'name:shop', hasCondition: false })).toBe(line);
});

const over: OverFacts = {
  detail: 'removed',
  final: false,
  counters: noHits,
  hasCondition: false,
  surplus: 0,
  open: [],
  expires: '2027-01-01T00:00:00.000Z',
  isExpired: false,
};

test.each([
  [{}, 'removed'],
  [{ counters: { ...noHits, hits: 2n } }, 'removed (2 hits)'],
  [{ counters: { ...noHits, hits: 2n }, final: true }, 'removed'],
  [{ surplus: 1 }, 'removed; 1 more came and was not kept'],
  [{ surplus: 2 }, 'removed; 2 more came and were not kept'],
  [{ open: [host('a')] }, 'removed; it is being removed at a'],
  [
    { open: [host('a', { connected: false })] },
    'removed; still armed at a, which is not connected: it goes there when a comes back, or expires at 2027-01-01T00:00:00.000Z',
  ],
  [
    { open: ['a', 'b', 'c', 'd'].map((name) => host(name, { connected: false })) },
    'removed; still armed at a, b, c and 1 more, which are not connected: it goes there when they come back, or expires at 2027-01-01T00:00:00.000Z',
  ],
  [{ open: [host('a', { connected: false })], isExpired: true }, 'removed'],
])('over: %#', (part, line) => {
  expect(whyOver({ ...over, ...part })).toBe(line);
});
