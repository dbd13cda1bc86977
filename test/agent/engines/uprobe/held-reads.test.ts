/** Reads that the record answers, and what becomes of them where it cannot: the same as the interpreter says. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { findSharedReads } from '../../../../agent/bpf/leading-read.js';
import { attachWays } from '../../../../agent/engines/uprobe/attach.js';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import type { Capture } from '../../../../format/capture.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { PlanRange } from '../../../../format/plan/plan.js';
import { expression, sleb, uleb } from '../../../support/dwarf-expression.js';
import { pageBytes, regionStart, startLab, symbolAddress } from './lab.js';

/** The region's first hole. */
const hole = regionStart + 4n * BigInt(pageBytes);
const target = regionStart + 64n;

/** The first page holds what pointers lead to; the last words before the hole are pointers to it. */
function memory(): Buffer {
  const bytes = Buffer.alloc(8 * pageBytes);
  bytes.write('what pointers lead to', 64, 'latin1');
  for (let at = 4 * pageBytes - 128; at < 4 * pageBytes; at += 8) bytes.writeBigUInt64LE(target, at);
  return bytes;
}

function range(path: string, address: Uint8Array, rest: Partial<PlanRange> = {}): PlanRange {
  const length = expression(DW_OP.DW_OP_lit21);
  return { path, address, length, maxBytes: 21, untilNul: false, secret: false, children: [], ...rest };
}
/** What a pointer at so many bytes from rbx leads to. */
const pointed = (offset: number): Uint8Array =>
  expression(DW_OP.DW_OP_breg3, sleb(offset), DW_OP.DW_OP_deref);
const member = (offset: number): Uint8Array =>
  expression(DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_plus_uconst, uleb(offset), DW_OP.DW_OP_deref);

async function capture(ranges: readonly PlanRange[], rbx: bigint): Promise<Capture> {
  const registers = Array.from({ length: 16 }, (_, number) => (number === 3 ? rbx : 0n));
  await using lab = await startLab([{ registers }], memory());
  const probed = symbolAddress(lab.path, 'probed');
  const captures: Capture[] = [];
  const [way] = attachWays();
  const point = await uprobeEngine(way === undefined ? [] : [way]).arm?.(
    {
      pointId: 'p',
      pid: lab.pid,
      plan: {
        version: 1,
        module: { buildId: lab.buildId, path: lab.path },
        stackBytes: 0,
        maxBytes: 4096,
        request: { location: '*probed', captures: [] },
        sites: [
          {
            linkAddress: probed,
            fileOffset: Number(probed),
            function: 'run_state',
            inlined: false,
            ranges,
          },
        ],
      },
      maxHits: 10,
      minIntervalNs: 0n,
      countOnly: false,
      forced: false,
    },
    { hit: (hit) => captures.push(hit), ended: () => undefined },
  );
  await lab.step(1);
  for (let i = 0; i < 12_000 && captures.length === 0; i++) await sleep(5);
  await point?.disarm();
  const [only] = captures;
  if (only === undefined) throw new Error('the hit does not arrive');
  return only;
}

const texts = ({ ranges }: Capture): string[] =>
  ranges.map(({ path, bytes }) => `${path}: ${Buffer.from(bytes).toString('latin1')}`);

test('pointers side by side are read at once', async () => {
  const ranges = [0, 8, 40].map((offset) => range(`at ${offset}`, pointed(offset)));
  expect(findSharedReads(ranges).length).toBe(1);
  const hit = await capture(ranges, hole - 128n);
  expect(texts(hit)).toEqual([0, 8, 40].map((offset) => `at ${offset}: what pointers lead to`));
  expect(hit.missing).toEqual([]);
});

test('those before a hole are read though those behind it are not', async () => {
  const ranges = [0, 8, 40].map((offset) => range(`at ${offset}`, pointed(offset)));
  const hit = await capture(ranges, hole - 16n);
  expect(texts(hit)).toEqual(['at 0: what pointers lead to', 'at 8: what pointers lead to']);
  expect(hit.missing).toEqual([
    {
      path: 'at 40',
      address: hole + 24n,
      reason: 'unreadable',
      detail: `its address depends on memory at 0x${(hole + 24n).toString(16)}, which cannot be read`,
    },
  ]);
  expect(hit.cost.faults).toBe(1);
});

test('a pointer of a parent is taken from its bytes, or read where they do not reach', async () => {
  const children = [
    range('within', member(8)),
    range('across', member(12), { length: expression(DW_OP.DW_OP_lit0) }),
    range('beyond', member(16)),
  ];
  const parent = { length: expression(DW_OP.DW_OP_lit16), maxBytes: 24, children };
  const address = expression(DW_OP.DW_OP_breg3, sleb(0));
  // Something before it, so that the parent's bytes are not the first.
  const before = range('before', expression(DW_OP.DW_OP_constu, uleb(target)));
  const hit = await capture([before, range('parent', address, parent)], hole - 128n);
  expect(texts(hit).filter((text) => !text.startsWith('parent'))).toEqual([
    'before: what pointers lead to',
    'within: what pointers lead to',
    'beyond: what pointers lead to',
  ]);
  expect(hit.ranges[1]?.bytes.length).toBe(16);
  expect(hit.missing).toEqual([]);
});
