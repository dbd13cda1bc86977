/** What a list of calls reads of a hit, against the interpreter of plans: the same ranges, byte for byte, and where anything cannot be read the list says so. */
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { CallBatch, Label } from '../../../../agent/linux/call-batch.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import { Arena } from '../../../../agent/linux/mmap.js';
import { CaptureRoom, addRanges, roomOfCapture } from '../../../../agent/engines/ptrace/capture-records.js';
import { type CaptureSteps, planCapture } from '../../../../agent/engines/ptrace/capture-steps.js';
import type { KeptRead } from '../../../../agent/engines/ptrace/condition-records.js';
import { TakenMemory, takeReads } from '../../../../agent/engines/ptrace/taken-memory.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { PlanRange, PlanSite } from '../../../../format/plan/plan.js';
import { type PlanSiteResult, runPlanSite } from '../../../../format/plan/run.js';
import {
  dwarfRegisterNames,
  userRegisterOffset,
  userRegistersBytes,
} from '../../../../format/registers/x86-64.js';
import { planOf, rangeOf, siteOf } from '../../../support/plan.js';
import { Random, RandomExpressions } from '../uprobe/random-plan.js';

const tried = 400;
const bias = 0x1000n;
const regionBytes = 2048;
const marginBytes = 128 * 1024;
const maxBytes = 6000;
const pointers = [3, 6, 12];

/** This process is the thread that stands still. Undefined where the list leaves it to others. */
function runByList(
  site: PlanSite,
  capture: CaptureSteps,
  registers: { readonly address: bigint; readonly bytes: Uint8Array },
): PlanSiteResult | undefined {
  const room = roomOfCapture(capture);
  using captured = new CaptureRoom([capture]);
  using batch = new CallBatch(room.records + 2, room.words + 2);
  const unknown = new Label();
  const list: KeptRead[] = [];
  const reads = { stop: batch.reserve(1, 1n), list };
  const tid = batch.reserve(1, BigInt(process.pid));
  addRanges(batch, capture, { tid, registers: registers.address, bias, unknown, room: captured, reads });
  const done = batch.end();
  batch.place(unknown);
  batch.end();
  batch.seal();
  if (batch.run(0, room.records + 2) !== done) return undefined;
  const memory = new TakenMemory(takeReads(batch, reads));
  return runPlanSite(site, { registers: registers.bytes, memory, maxBytes });
}

test('brings what the interpreter brings', () => {
  const random = new Random(11);
  using registers = new Arena(userRegistersBytes);
  // Beside the region there is memory of ours, too: what else lies there comes and goes.
  using around = new Arena(regionBytes + 2 * marginBytes);
  const region = {
    address: around.address + BigInt(marginBytes),
    bytes: around.bytes.subarray(marginBytes, marginBytes + regionBytes),
  };
  using memory = new ProcessMemory(process.pid, 'at-hit');
  const world = {
    regionStart: region.address,
    regionBytes,
    linkAddress: region.address - bias,
    pointers,
  };
  const expressions = new RandomExpressions(random, world);
  const seen = { brought: 0, ranges: 0, strings: 0, children: 0, limits: 0, unreadable: 0, undecided: 0 };
  for (let i = 0; i < tried; i++) {
    for (let at = 0; at < regionBytes; at += 8) {
      const isPointer = random.chance(50);
      const value = isPointer ? region.address + BigInt(random.below(regionBytes)) : random.interesting();
      region.bytes.writeBigUInt64LE(value, at);
    }
    for (const name of dwarfRegisterNames) {
      registers.bytes.writeBigUInt64LE(random.interesting(), userRegisterOffset(name));
    }
    for (const number of pointers) {
      const name = dwarfRegisterNames[number] ?? 'rbx';
      const value = region.address + BigInt(random.below(regionBytes));
      registers.bytes.writeBigUInt64LE(value, userRegisterOffset(name));
    }
    const site = siteOf({ linkAddress: 0x1136n, ranges: expressions.ranges(1 + random.below(4), 0) });
    registers.bytes.writeBigUInt64LE(site.linkAddress + bias, userRegisterOffset('rip'));
    const capture = planCapture(site, planOf([site], { maxBytes }));
    if (capture === undefined) {
      seen.undecided++;
      continue;
    }
    const expected = runPlanSite(site, { registers: registers.bytes, memory, maxBytes });
    const brought = runByList(site, capture, registers);
    if (brought === undefined) {
      seen.unreadable++;
      // Something could not be read, or not all that a string might have been.
      const isString = JSON.stringify(site.ranges, ['ranges', 'untilNul', 'children']).includes('true');
      expect(isString || expected.faults > 0 || expected.missing.length > 0).toBe(true);
      continue;
    }
    if (!isDeepStrictEqual(brought, expected)) expect([i, brought]).toEqual([i, expected]);
    seen.brought++;
    seen.ranges += expected.ranges.length;
    seen.strings += expected.ranges.filter(({ bytes }) => bytes.at(-1) === 0).length;
    seen.children += expected.ranges.filter(({ path }) => !path.startsWith('range 0')).length;
    seen.limits += expected.missing.filter(({ reason }) => reason === 'limit').length;
  }
  expect(seen.brought).toBeGreaterThan(tried / 10);
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(tried / 100);
});

const rbx = Uint8Array.of(DW_OP.DW_OP_breg3, 0);
const lengthOf = (bytes: number): Uint8Array => Uint8Array.of(DW_OP.DW_OP_const2u, bytes & 0xff, bytes >> 8);
const repeat = { maxItems: 2, next: rbx };
const product = Uint8Array.of(DW_OP.DW_OP_breg3, 0, DW_OP.DW_OP_dup, DW_OP.DW_OP_mul);

test.each<[string, readonly PlanRange[]]>([
  ['loops', [rangeOf('a', rbx, lengthOf(8), { repeat })]],
  ['addresses that it cannot compute', [rangeOf('a', product, lengthOf(8))]],
  ['lengths that it cannot compute', [rangeOf('a', rbx, product)]],
  [
    'children of which the same holds',
    [rangeOf('a', rbx, lengthOf(8), { children: [rangeOf('b', product, lengthOf(8))] })],
  ],
  [
    'more bytes than there is room for',
    Array.from({ length: 5 }, (_, i) => rangeOf(String(i), rbx, lengthOf(8), { maxBytes: 65_000 })),
  ],
  [
    'more ranges than there is room for',
    Array.from({ length: 129 }, (_, i) => rangeOf(String(i), rbx, lengthOf(8))),
  ],
])('is left to the interpreter: %s', (_, ranges) => {
  const site = siteOf({ ranges });
  expect(planCapture(site, planOf([site]))).toBeUndefined();
});

test('memory that was not read is not there', () => {
  const memory = new TakenMemory([
    { address: 0x1000n, bytes: Uint8Array.of(1, 2, 3, 4), isString: false },
    { address: 0x1000n, bytes: Uint8Array.of(5, 6, 7, 8), isString: false },
    { address: 0x2000n, bytes: Buffer.from('text\0'), isString: true },
  ]);
  const bytesAt = (address: bigint, length: number): unknown => {
    const read = memory.read(address, length);
    return 'bytes' in read ? [...read.bytes] : read;
  };
  const notRead = (at: string): object => ({
    absent: 'not-captured',
    detail: `memory at ${at} was not read while the thread stood still`,
  });
  expect(bytesAt(0x1001n, 1)).toMatchObject(notRead('0x1001'));
  expect(bytesAt(0x1000n, 5)).toMatchObject(notRead('0x1000'));
  expect(bytesAt(0x1000n, 4)).toEqual([1, 2, 3, 4]);
  // As it was read the second time.
  expect(bytesAt(0x1000n, 4)).toEqual([5, 6, 7, 8]);
  expect(bytesAt(0x1000n, 4)).toMatchObject(notRead('0x1000'));
  expect(bytesAt(0x2000n, 2)).toEqual([0x74, 0x65]);
  expect(bytesAt(0x2002n, 3)).toEqual([0x78, 0x74, 0]);
  expect(bytesAt(0x2005n, 1)).toMatchObject(notRead('0x2005'));
});
