import { expect, test } from 'vitest';
import { noCounters, whyLine, type WhyFacts } from '../../../agent/session/why.js';

const facts: WhyFacts = {
  phase: 'armed',
  addresses: 0,
  pids: [7],
  engine: 'uprobe',
  counters: noCounters,
  maxHits: 3,
  hasCondition: false,
  detail: '',
};
const awaited = 'no such module: process 7 does not map "/lib/x.so"';
const hits = { ...noCounters, hits: 2n, delivered: 2n };

test.each<readonly [string, Partial<WhyFacts>]>([
  [
    'armed in the library for process 7 by uprobe: 0 hits, no such module: process 7 does not map "/lib/x.so"',
    { awaited },
  ],
  ['armed in the library for process 7 by uprobe: 0 hits, no thread has passed there yet', {}],
  [
    'armed in the library for process 7 by uprobe: 2 hits, 2 of 3 delivered, no such module: process 7 does not map "/lib/x.so"',
    { awaited, counters: hits },
  ],
  ['armed in the library for process 7 by uprobe: 2 hits, 2 of 3 delivered', { counters: hits }],
  ['armed at 1 address in process 7 by uprobe: 0 hits, no thread has passed there yet', { addresses: 1 }],
  [
    'armed at 1 address in 2 processes by uprobe: 2 hits, 2 of 3 delivered; no such module: process 7 does not map "/lib/x.so"',
    { addresses: 1, pids: [7, 8], awaited, counters: hits },
  ],
])('%s', (line, changes) => {
  expect(whyLine({ ...facts, ...changes })).toBe(line);
});
