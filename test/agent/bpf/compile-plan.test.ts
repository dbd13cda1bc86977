/** What holds for every compiled site, without loading it. */
import { expect, test } from 'vitest';
import { compileSite } from '../../../agent/bpf/compile-plan.js';
import { maxFrameBytes } from '../../../agent/bpf/frame.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import type { Plan, PlanRange } from '../../../format/plan/plan.js';
import { expression, sleb } from '../../support/dwarf-expression.js';
import { Random, RandomExpressions } from '../engines/uprobe/random-plan.js';

function compile(site: { condition?: Uint8Array; ranges: readonly PlanRange[] }): Uint8Array {
  const plan: Plan = {
    version: 1,
    module: { buildId: '', path: '/program' },
    stackBytes: 10_000,
    maxBytes: 65_536,
    request: { location: 'here', captures: [] },
    sites: [{ linkAddress: 0x1000n, fileOffset: 0x1000, function: 'here', inlined: false, ...site }],
  };
  return compileSite(plan, {
    siteIndex: 0,
    stateFd: 4,
    scratchFd: 5,
    counterSlots: 2,
    delivery: { ringFd: 3, ringBytes: 65_536, maxHits: 10, minIntervalNs: 1n },
    sleepable: true,
    copyStringBtfId: 1,
  }).bytes;
}

/**
 * Bytes of the eBPF stack that a program uses, by RFC 9669: loads and stores with r10 as their base, and constants that are added to a
 * copy of r10 right after it was made, as the compiler does it.
 */
function frameBytes(program: Uint8Array): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let lowest = 0;
  for (let at = 0; at < program.length; at += 8) {
    const code = view.getUint8(at);
    const [to, from] = [view.getUint8(at + 1) & 0xf, view.getUint8(at + 1) >> 4];
    const offset = view.getInt16(at + 2, true);
    const kind = code & 7;
    const isLoad = kind === 1;
    const isStore = kind === 2 || kind === 3;
    if ((isLoad && from === 10) || (isStore && to === 10)) lowest = Math.min(lowest, offset);
    const copiesFrame = code === 0xbf && from === 10;
    if (!copiesFrame) continue;
    expect(view.getUint8(at + 8)).toBe(0x07);
    lowest = Math.min(lowest, view.getInt32(at + 12, true));
  }
  return -lowest;
}

test('programs keep to the part of the eBPF stack that is the thread’s own', () => {
  const random = new Random(7);
  const expressions = new RandomExpressions(random, {
    regionStart: 0x1000_0000n,
    regionBytes: 32_768,
    linkAddress: 0x2000n,
    pointers: [3, 5, 6],
  });
  let most = 0;
  for (let i = 0; i < 100; i++) {
    const program = compile({
      condition: expressions.value(60, false),
      ranges: expressions.ranges(20, 0, 20),
    });
    most = Math.max(most, frameBytes(program));
  }
  expect(most).toBe(maxFrameBytes);
});

test('an expression as deep as may be keeps to it too', () => {
  const deep = expression(
    ...Array<number>(64).fill(DW_OP.DW_OP_lit1),
    ...Array<number>(63).fill(DW_OP.DW_OP_plus),
  );
  const range = { path: 'deep', address: deep, length: deep, maxBytes: 48, untilNul: false, secret: false };
  const program = compile({ condition: deep, ranges: [{ ...range, children: [] }] });
  expect(frameBytes(program)).toBe(maxFrameBytes);
});

test('a site has at most 1024 ranges', () => {
  const address = expression(DW_OP.DW_OP_breg5, sleb(0), DW_OP.DW_OP_deref);
  const range = { path: 'one', address, length: address, maxBytes: 8, untilNul: false, secret: false };
  const ranges = (count: number): PlanRange[] =>
    Array.from({ length: count }, () => ({ ...range, children: [] }));
  expect(frameBytes(compile({ ranges: ranges(1024) }))).toBeLessThanOrEqual(maxFrameBytes);
  expect(() => compile({ ranges: ranges(1200) })).toThrow(
    '1200 ranges at one site are too many for what the uprobe engine keeps of them',
  );
});
