import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAbsent } from '../../../format/absent.js';
import type { CapturedRange } from '../../../format/capture.js';
import { cutPieces } from '../../../format/core/pieces.js';
import { openCore } from '../../../format/core/read.js';
import { describeSnapshot, writeCore, type SnapshotContent } from '../../../format/core/write.js';
import { bufferSource } from '../../../format/elf/open.js';
import { StillframeError } from '../../../format/error.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { captureOf, factsOf, heading, rangeOf, registersOf, threadOf } from '../../support/captures.js';

function fileOf(content: SnapshotContent): Uint8Array {
  return Uint8Array.from(Buffer.concat(writeCore(content)));
}

function open(content: SnapshotContent): ReturnType<typeof openCore> {
  return openCore(bufferSource('snapshot', fileOf(content)));
}

describe('a snapshot written and read', () => {
  test('threads, the hitting one first, with their registers and extended state', () => {
    const fpRegisters = new Uint8Array(512).fill(3);
    const xstate = new Uint8Array(832).fill(4);
    const threads = [
      threadOf(101),
      threadOf(100, { registers: registersOf({ rip: 0xffff_8000_0000_1234n, gs: 9n }), fpRegisters, xstate }),
      { ...threadOf(102), absent: { reason: 'unreadable' as const, detail: 'running on a CPU' } },
    ];
    const core = open({ heading, facts: factsOf(), capture: captureOf({ threads }) });
    expect(core.threads.map((thread) => thread.tid)).toEqual([100, 101, 102]);
    const [first, second] = core.threads;
    expect(first && readUserRegister(first.registers, 'rip')).toBe(0xffff_8000_0000_1234n);
    expect(first && readUserRegister(first.registers, 'gs')).toBe(9n);
    expect(first?.fpRegisters).toEqual(fpRegisters);
    expect(first?.xstate).toEqual(xstate);
    expect(second?.xstate).toBeUndefined();
    expect(core.process).toEqual({
      pid: 100,
      parentPid: 1,
      uid: 5,
      gid: 6,
      comm: 'service',
      args: 'service --flag',
    });
  });

  test('a thread without registers is in the note only', () => {
    const { registers: _, ...without } = threadOf(101);
    const core = open({
      heading,
      facts: factsOf(),
      capture: captureOf({ threads: [threadOf(100), without] }),
    });
    expect(core.threads.map((thread) => thread.tid)).toEqual([100]);
    expect(core.note?.threads.map((thread) => thread.tid)).toEqual([100, 101]);
  });

  test('the note comes back as it was, 64-bit values and all', () => {
    const capture = captureOf({
      ranges: [
        rangeOf(0x1000n, [1, 2, 3]),
        rangeOf(0xffff_ffff_ffff_fff0n, [9], { provenance: 'after-hit', delayUs: 12.5 }),
      ],
      missing: [
        { path: 'a->b', address: 0xdead_beef_dead_beefn, length: 8, reason: 'unreadable', detail: 'EFAULT' },
      ],
    });
    const content: SnapshotContent = { heading, facts: factsOf(), capture };
    expect(open(content).note).toEqual(describeSnapshot(content));
    expect(open(content).note).toMatchObject({
      location: { address: 0xffff_ffff_8000_0001n },
      timeNs: 1_700_000_000_123_456_789n,
      comm: 'thread-100',
    });
  });

  test('memory reads across touching ranges, with the weakest provenance, and never past what is there', () => {
    const ranges = [
      rangeOf(0x1000n, [1, 2]),
      rangeOf(0x1002n, [3, 4], { provenance: 'racy' }),
      rangeOf(0x2000n, [5]),
    ];
    const { memory } = open({ heading, facts: factsOf(), capture: captureOf({ ranges }) });
    expect(memory.read(0x1000n, 2)).toEqual({ bytes: Uint8Array.of(1, 2), provenance: 'at-hit' });
    expect(memory.read(0x1001n, 3)).toEqual({ bytes: Uint8Array.of(2, 3, 4), provenance: 'racy' });
    expect(memory.read(0x1002n, 3)).toEqual({
      absent: 'not-captured',
      detail: '1 bytes at 0x1004 are not in the core',
      address: 0x1004n,
      length: 1,
    });
    expect(memory.read(0xfffn, 1)).toMatchObject({ absent: 'not-captured', address: 0xfffn });
    expect(memory.read(0x2000n, 1)).toEqual({ bytes: Uint8Array.of(5), provenance: 'at-hit' });
  });

  test('a file cut short has what is before the cut', () => {
    const file = fileOf({
      heading,
      facts: factsOf(),
      capture: captureOf({ ranges: [rangeOf(0x1000n, [1, 2, 3, 4])] }),
    });
    const core = openCore(bufferSource('cut', file.subarray(0, file.length - 2)));
    expect(core.threads).toHaveLength(1);
    expect(core.memory.read(0x1000n, 2)).toMatchObject({ bytes: Uint8Array.of(1, 2) });
    expect(core.memory.read(0x1000n, 3)).toMatchObject({ absent: 'not-captured', address: 0x1002n });
  });

  test.each([
    [
      'a note that is not JSON',
      'cannot parse the STILLFRAME note of "bad": it is not JSON',
      (text: string) => text.replace('"version":1', '"version":x'),
    ],
    [
      'a note of another version',
      'cannot parse the STILLFRAME note of "bad": version: Invalid input: expected 1',
      (text: string) => text.replace('"version":1', '"version":2'),
    ],
    [
      'a note with an address that is none',
      /^cannot parse the STILLFRAME note of "bad": location\.address: Invalid string/,
      (text: string) => text.replace('"0xffffffff80000001"', '"1xffffffff80000001"'),
    ],
  ])('%s is refused', (_, message, change) => {
    const file = fileOf({ heading, facts: factsOf(), capture: captureOf() });
    const changed = Uint8Array.from(Buffer.from(change(Buffer.from(file).toString('latin1')), 'latin1'));
    expect(() => openCore(bufferSource('bad', changed))).toThrow(message);
  });

  test('whatever bytes are changed, it is a core or bad data', () => {
    const file = fileOf({
      heading,
      facts: factsOf(),
      capture: captureOf({ ranges: [rangeOf(0x1000n, [1, 2, 3])] }),
    });
    const change = fc.record({ at: fc.nat(file.length - 1), byte: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(file.length), (changes, cut) => {
        const bytes = Uint8Array.from(file);
        for (const { at, byte } of changes) bytes[at] = byte;
        try {
          const core = openCore(
            bufferSource('mutated', bytes.subarray(0, cut % 7 === 0 ? cut : bytes.length)),
          );
          core.memory.read(0x1000n, 3);
        } catch (error) {
          expect(error).toBeInstanceOf(StillframeError);
          expect((error as StillframeError).code).toBe('bad-data');
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('pieces', () => {
  test('the more trustworthy range wins where two overlap', () => {
    const racy = rangeOf(10n, [1, 1, 1, 1], { provenance: 'racy', path: 'racy' });
    const sure = rangeOf(12n, [2], { path: 'sure' });
    expect(cutPieces([racy, sure]).map(({ address, bytes, path }) => [address, [...bytes], path])).toEqual([
      [10n, [1, 1], 'racy'],
      [12n, [2], 'sure'],
      [13n, [1], 'racy'],
    ]);
  });

  test('they are disjoint, ascending, and say of each address what the best first range says', () => {
    const range = fc
      .record({
        address: fc.nat(40),
        bytes: fc.array(fc.nat(255), { maxLength: 12 }),
        provenance: fc.constantFrom('at-hit' as const, 'racy' as const, 'stopped' as const),
      })
      .map(({ address, bytes, provenance }) => rangeOf(BigInt(address), bytes, { provenance }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
        const pieces = cutPieces(ranges);
        let end = -1n;
        for (const piece of pieces) {
          expect(piece.bytes.length).toBeGreaterThan(0);
          expect(piece.address >= end).toBe(true);
          end = piece.address + BigInt(piece.bytes.length);
        }
        for (let address = 0n; address < 60n; address++) {
          expect(byteAt(pieces, address)).toBe(byteAt(bestFirst(ranges), address));
        }
      }),
    );
  });
});

function bestFirst(ranges: readonly CapturedRange[]): CapturedRange[] {
  const order = ['at-hit', 'stopped', 'racy'];
  return ranges.toSorted((a, b) => order.indexOf(a.provenance) - order.indexOf(b.provenance));
}

function byteAt(ranges: readonly CapturedRange[], address: bigint): number | undefined {
  const range = ranges.find(
    (one) => address >= one.address && address < one.address + BigInt(one.bytes.length),
  );
  return range?.bytes[Number(address - range.address)];
}

test('reading nothing is not absent', () => {
  const core = open({ heading, facts: factsOf(), capture: captureOf() });
  expect(isAbsent(core.memory.read(0n, 0))).toBe(false);
});
