/** Every parser of foreign bytes gives a value or says that the bytes are bad: never another exception, never memory that no input is worth. */
import { describe, expect, test } from 'vitest';
import { parseSelector } from '../../format/target-selector.js';
import { BlockCoverage } from './coverage.js';
import { findingOf, guardAllocations, HugeAllocation, type FuzzTarget } from './fuzz-target.js';
import { minimised, signatureOf } from './minimise.js';
import { mutate, seededRandom } from './mutate.js';
import { fuzzTargets } from './targets.js';

const maxAllocation = 64 << 20;
/** Whole programs take long to read; what is less than a parser is quick. */
const runsOf = (name: string): number => {
  if (name.startsWith('show-')) return 8;
  return /^(gcc|clang|frame)/.test(name) ? 10 : 150;
};

const targets = await fuzzTargets();

/** Finds in what a target gives, each with the input that found it. */
function fuzz(target: FuzzTarget): string[] {
  using _ = guardAllocations(maxAllocation);
  const seeds = target.seeds();
  const random = seededRandom(Buffer.from(target.name).reduce((sum, letter) => sum * 31 + letter, 7));
  const found: string[] = [];
  const check = (bytes: Uint8Array): void => {
    const finding = findingOf(target, bytes);
    if (finding === undefined) return;
    found.push(
      `${finding.stack ?? finding.message}\ninput ${Buffer.from(bytes).toString('base64').slice(0, 400)}`,
    );
  };
  for (const seed of seeds) check(seed);
  check(new Uint8Array(0));
  for (let i = 0; i < runsOf(target.name) && found.length === 0; i++) {
    const seed = seeds[random.below(seeds.length)] ?? new Uint8Array();
    const other = seeds[random.below(seeds.length)] ?? seed;
    const { hotBytes } = target;
    // A few of no form at all; the rest are nearly right, which leads further.
    const noise = Uint8Array.from({ length: random.below(200) }, () => random.below(256));
    check(i % 16 === 15 ? noise : mutate(seed, { random, other, maxBytes: 2 * seed.length + 64, hotBytes }));
  }
  return found;
}

describe('random, cut, spliced and twisted inputs', () => {
  test.each(targets.map((target) => [target.name, target] as const))('%s', (_, target) => {
    expect(fuzz(target)).toEqual([]);
  });
});

describe('the seeds are good', () => {
  test.each(targets.map((target) => [target.name, target] as const))('%s', (_, target) => {
    for (const seed of target.seeds()) target.run(seed);
  });
});

test('a mutation is the same each time, and mostly a change', () => {
  const seed = Uint8Array.from({ length: 64 }, (_, i) => i);
  const once = (start: number): Uint8Array =>
    mutate(seed, { random: seededRandom(start), other: seed, maxBytes: 256 });
  expect(once(5)).toEqual(once(5));
  const changed = Array.from({ length: 100 }, (_, i) => once(i + 1)).filter(
    (each) => !Buffer.from(each).equals(seed),
  );
  expect(changed.length).toBeGreaterThan(80);
});

test('a finding is what is no bad data', () => {
  const target = (run: FuzzTarget['run']): FuzzTarget => ({ name: 'x', seeds: () => [], run });
  const fails = target(() => {
    throw new RangeError('out of range');
  });
  expect(findingOf(fails, new Uint8Array())).toBeInstanceOf(RangeError);
  using _ = guardAllocations(1000);
  expect(
    findingOf(
      target(() => new Uint8Array(1001)),
      new Uint8Array(),
    ),
  ).toBeInstanceOf(HugeAllocation);
  expect(
    findingOf(
      target(() => new Uint8Array(1000)),
      new Uint8Array(),
    ),
  ).toBeUndefined();
});

test('a finding is made smaller as long as it stays the same', () => {
  const run = (bytes: Uint8Array): void => {
    const text = Buffer.from(bytes).toString('latin1');
    if (text.includes('BUG')) throw new TypeError(`found in ${bytes.length} bytes`);
    if (text.length < 2) throw new RangeError('another');
  };
  const target: FuzzTarget = { name: 'x', seeds: () => [], run };
  const input = new TextEncoder().encode('so much text before the BUG and behind it');
  const error = findingOf(target, input);
  if (error === undefined) throw new Error('nothing was found');
  expect(Buffer.from(minimised(target, input, signatureOf(error))).toString()).toBe('BUG');
});

test('coverage tells of blocks that had not run before, once', () => {
  using coverage = new BlockCoverage();
  const parse = (text: string): unknown => parseSelector(text);
  parse('1234');
  coverage.take();
  parse('4321');
  expect(coverage.take().size).toBe(0);
  parse('container:abc@host');
  expect(coverage.take().size).toBeGreaterThan(0);
  expect(coverage.size).toBeGreaterThan(0);
});
