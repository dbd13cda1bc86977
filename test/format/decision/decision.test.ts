/** Decisions by hand: what each cell is, what is refused of a hostile one, and how long one may take. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { absent, type Absent, isAbsent } from '../../../format/absent.js';
import { ByteCursor, ByteWriter } from '../../../format/bytes.js';
import { CapturedMemory } from '../../../format/decision/captured-memory.js';
import { decide } from '../../../format/decision/decide.js';
import type { Cell, Decision } from '../../../format/decision/decision.js';
import { readDecision, writeDecision } from '../../../format/decision/encode.js';
import { listDecision } from '../../../format/decision/list.js';
import { maxDecisionCells, verifyDecision } from '../../../format/decision/verify.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { firstCellRegister } from '../../../format/dwarf-op/verify.js';
import { StillframeError } from '../../../format/error.js';
import type { Walk } from '../../../format/walk/walk.js';
import { rangeOf, registersOf } from '../../support/captures.js';

const ops = (...codes: readonly (number | readonly number[])[]): Cell => ({
  kind: 'ops',
  ops: Uint8Array.from(codes.flat()),
});
const lit = (value: number): number => DW_OP.DW_OP_lit0 + value;
/** The value of a cell, in a program. */
const cell = (index: number): readonly number[] => {
  const out = new ByteWriter()
    .u8(DW_OP.DW_OP_bregx)
    .uleb(BigInt(firstCellRegister + index))
    .sleb(0n);
  return [...out.finish()];
};
const address = (value: number): Cell =>
  ops([...new ByteWriter().u8(DW_OP.DW_OP_const8u).u64(BigInt(value)).finish()]);

const bytesOf = (characters: string): number[] => [...new TextEncoder().encode(characters)];
const at = 0x1000;

function decided(cells: readonly Cell[], bytes: readonly number[] = []): boolean | Absent {
  const decision = { cells };
  verifyDecision(decision, { name: 'decision' });
  return decide(decision, {
    registers: registersOf({ rip: 0x40_0000n, rdi: 7n }),
    memory: new CapturedMemory({ ranges: [rangeOf(BigInt(at), bytes)], missing: [] }),
    linkAddress: 0x1000n,
    pid: 100,
    tid: 101,
    comm: 'worker-thread-of-mine',
  });
}

const detailOf = (result: boolean | Absent): string =>
  isAbsent(result) ? `${result.absent}: ${result.detail}` : String(result);

function text(operator: '==' | 'contains' | 'matches', literal: string): Cell {
  const source = { from: 'memory', address: 0, path: 'name' } as const;
  return { kind: 'text', operator, text: source, unitBytes: 1, literal: Uint8Array.from(bytesOf(literal)) };
}

describe('what a decision is', () => {
  test.each<readonly [string, readonly Cell[], readonly number[], string]>([
    ['a program over registers', [ops(DW_OP.DW_OP_breg5, 0, lit(7), DW_OP.DW_OP_eq)], [], 'true'],
    [
      'facts',
      [{ kind: 'fact', fact: 'tid' }, ops(cell(0), DW_OP.DW_OP_const1u, 101, DW_OP.DW_OP_eq)],
      [],
      'true',
    ],
    ['a text that contains', [address(at), text('contains', 'bc')], bytesOf('abcd\0'), 'true'],
    ['a text that does not', [address(at), text('contains', 'bd')], bytesOf('abcd\0'), 'false'],
    ['a pattern', [address(at), text('matches', '^a.*d$')], bytesOf('ab\ncd\0'), 'true'],
    [
      'a text whose end was not captured',
      [address(at), text('contains', 'bc')],
      bytesOf('abcd'),
      'not-captured: name: 1020 bytes at 0x1004 were not captured',
    ],
    ['one that differs before that', [address(at), text('==', 'abX')], bytesOf('abcd'), 'false'],
    [
      'the name of the thread',
      [
        {
          kind: 'text',
          operator: '==',
          text: { from: 'comm' },
          unitBytes: 1,
          literal: Uint8Array.from(bytesOf('worker-thread-o')),
        },
      ],
      [],
      'true',
    ],
    [
      'what a guard says',
      [ops(lit(0)), ops(lit(9)), { kind: 'guard', condition: 0, detail: 'length {0} of {1}', shows: [1] }],
      [],
      'unreadable: length 9 of ?',
    ],
    [
      'only the side that is chosen',
      [
        address(0x9999),
        ops(cell(0), DW_OP.DW_OP_deref),
        ops(lit(0), DW_OP.DW_OP_bra, 4, 0, lit(1), DW_OP.DW_OP_skip, 4, 0, cell(1), DW_OP.DW_OP_nop),
      ],
      [],
      'true',
    ],
    [
      'float32 is rounded to its own precision',
      [
        { kind: 'constant', value: Math.fround(0.1) },
        { kind: 'constant', value: Math.fround(0.2) },
        { kind: 'arithmetic', operator: '+', left: 0, right: 1, size: 4 },
        { kind: 'constant', value: Math.fround(0.3) },
        { kind: 'compare', operator: '==', left: 2, right: 3 },
      ],
      [],
      String(Math.fround(Math.fround(0.1) + Math.fround(0.2)) === Math.fround(0.3)),
    ],
    [
      'NaN is unequal to itself',
      [
        { kind: 'constant', value: NaN },
        { kind: 'compare', operator: '==', left: 0, right: 0 },
      ],
      [],
      'false',
    ],
    [
      'a float outside of an integer type',
      [
        { kind: 'constant', value: 300 },
        { kind: 'to-integer', operand: 0, size: 1, signed: false },
      ],
      [],
      'unsupported: 300 is outside of the range of the integer type that it is converted to',
    ],
    [
      'elements that are counted',
      [
        address(at),
        ops(lit(4)),
        ops(DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_deref_size, 1, lit(3), DW_OP.DW_OP_eq),
        {
          kind: 'count',
          elements: { kind: 'sequence', data: 0, length: 1, stride: 1 },
          match: 2,
          any: false,
          path: 'v',
        },
        ops(cell(3), lit(2), DW_OP.DW_OP_eq),
      ],
      [3, 1, 3, 2],
      'true',
    ],
  ])('%s', (_, cells, bytes, wanted) => {
    expect(detailOf(decided(cells, bytes))).toBe(wanted);
  });
});

describe('memory of a hit', () => {
  const memory = new CapturedMemory({
    ranges: [
      rangeOf(0x1000n, [1, 2, 3, 4]),
      rangeOf(0x1004n, [5, 6], { provenance: 'stopped' }),
      rangeOf(0x1002n, [3, 4, 5]),
      rangeOf(0x1006n, [7], { provenance: 'after-hit' }),
      rangeOf(0x1007n, [8], { provenance: 'racy' }),
    ],
    missing: [
      { path: 'tail', address: 0x1006n, length: 1, reason: 'limit', detail: 'the bytes are used up' },
    ],
  });
  test('ranges that touch or overlap are one', () => {
    expect(memory.read(0x1001n, 5)).toEqual({ bytes: Uint8Array.of(2, 3, 4, 5, 6), provenance: 'stopped' });
  });
  test('what came after the hit decides nothing, and what is missing says why', () => {
    expect(memory.read(0x1005n, 3)).toEqual(
      absent('limit', 'tail: the bytes are used up', { address: 0x1006n, length: 2 }),
    );
    expect(memory.read(0x1007n, 1)).toEqual(
      absent('not-captured', '1 bytes at 0x1007 were not captured', { address: 0x1007n, length: 1 }),
    );
  });
});

describe('a hostile decision', () => {
  const sequence = { kind: 'sequence', data: 0, length: 0, stride: 1 } as const;
  test.each<readonly [string, readonly Cell[], string]>([
    ['nothing', [], '0 cells, 1 to 1024 are allowed'],
    [
      'too much',
      Array.from({ length: maxDecisionCells + 1 }, () => ops(lit(1))),
      '1025 cells, 1 to 1024 are allowed',
    ],
    [
      'too deep',
      [
        { kind: 'constant', value: 1 },
        ...Array.from({ length: 300 }, (_, operand): Cell => ({ kind: 'negate', operand })),
      ],
      'cell 200: nested deeper than 200',
    ],
    ['itself', [ops(cell(0))], 'cell 0: register 4096 is not in a plan at offset 0x0'],
    [
      'a cell behind',
      [{ kind: 'guard', condition: 1, detail: '', shows: [] }, ops(lit(1))],
      'cell 0: it refers to cell 1, which is not before it',
    ],
    [
      'half a cell',
      [ops(lit(1)), { kind: 'guard', condition: 0.5, detail: '', shows: [] }],
      'cell 1: it refers to cell 0.5, which is not before it',
    ],
    [
      'a float for an integer',
      [
        { kind: 'constant', value: 1 },
        { kind: 'float', bits: 0, size: 4 },
        { kind: 'compare', operator: '==', left: 1, right: 1 },
      ],
      'cell 1: it takes cell 0 for an integer',
    ],
    [
      'an integer for a float',
      [ops(lit(1)), { kind: 'compare', operator: '==', left: 0, right: 0 }],
      'cell 1: it takes cell 0 for a float',
    ],
    ['a float at the end', [{ kind: 'constant', value: 1 }], 'its last cell is a float'],
    [
      'an element where there is none',
      [ops(DW_OP.DW_OP_push_object_address)],
      'its last cell depends on an element',
    ],
    [
      'a frame base',
      [ops(DW_OP.DW_OP_fbreg, 0)],
      'cell 0: DW_OP_fbreg is not allowed in a plan at offset 0x0',
    ],
    ['a look-around', [address(at), text('matches', '(?=a)')], 'cell 1: a pattern that cannot be used'],
    [
      'a huge pattern',
      [address(at), text('matches', '(a{100}){20}')],
      'cell 1: a pattern that cannot be used',
    ],
    ['a long literal', [address(at), text('contains', 'x'.repeat(4097))], 'cell 1: a literal of 4097 bytes'],
    [
      'elements of no size',
      [ops(lit(1)), { kind: 'count', elements: { ...sequence, stride: 0 }, any: true, path: '' }],
      'cell 1: elements of 0 bytes',
    ],
    [
      'a long text',
      [ops(lit(1)), { kind: 'guard', condition: 0, detail: 'x'.repeat(1025), shows: [] }],
      'cell 1: a text of 1025 characters',
    ],
  ])('is refused: %s', (_, cells, why) => {
    let message = '';
    try {
      verifyDecision({ cells }, { name: 'decision' });
    } catch (error) {
      message = error instanceof StillframeError ? error.message : '';
    }
    expect(message).toBe(`cannot verify decision: ${why}`);
  });

  test.each<readonly [string, readonly Cell[]]>([
    [
      'elements without end',
      [
        address(at),
        ops(DW_OP.DW_OP_const8u, 255, 255, 255, 255, 255, 255, 255, 15),
        {
          kind: 'count',
          elements: { kind: 'sequence', data: 0, length: 1, stride: 1 },
          any: false,
          path: 'v',
        },
      ],
    ],
    [
      'elements of elements of elements',
      [
        address(at),
        ops(DW_OP.DW_OP_const2u, 255, 255),
        ops(DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_drop, cell(1)),
        {
          kind: 'count',
          elements: { kind: 'sequence', data: 0, length: 2, stride: 1 },
          any: false,
          path: 'a',
        },
        {
          kind: 'count',
          elements: { kind: 'sequence', data: 0, length: 1, stride: 1 },
          match: 3,
          any: false,
          path: 'b',
        },
      ],
    ],
  ])('ends: %s', (_, cells) => {
    const started = performance.now();
    expect(detailOf(decided(cells))).toMatch(
      /^limit: .*it takes more than the 100000 steps that a decision may take$/,
    );
    // Generous: what takes hundredths of a second alone takes long beside builds.
    expect(performance.now() - started).toBeLessThan(30_000);
  });
});

describe('as bytes', () => {
  const walk: Walk = {
    kind: 'node-chain',
    first: { op: 'load', address: { op: 'address', offset: 8 }, size: 8 },
    next: 0,
    element: 16,
  };
  const all: Decision = {
    cells: [
      ops(lit(1)),
      { kind: 'fact', fact: 'pid' },
      { kind: 'guard', condition: 0, detail: 'because of {0}', shows: [1] },
      { kind: 'constant', value: -0.1 },
      { kind: 'float', bits: 0, size: 4 },
      { kind: 'to-float', operand: 0, signed: true, size: 8 },
      { kind: 'arithmetic', operator: '*', left: 3, right: 4, size: 8 },
      { kind: 'negate', operand: 6 },
      { kind: 'choose', condition: 2, yes: 6, no: 7 },
      { kind: 'compare', operator: '<=', left: 8, right: 5 },
      { kind: 'to-integer', operand: 8, size: 2, signed: true },
      {
        kind: 'text',
        operator: 'startsWith',
        text: { from: 'memory', address: 0, length: 1, path: 'name' },
        unitBytes: 2,
        literal: Uint8Array.of(1, 2),
      },
      {
        kind: 'texts',
        operator: '!=',
        left: { address: 0, length: 1, path: 'a' },
        right: { address: 1, length: 0, path: 'b' },
        unitBytes: 4,
      },
      { kind: 'find', elements: { kind: 'walk', walk, object: 0 }, by: { match: 1 }, path: 'm' },
      { kind: 'find', elements: { kind: 'walk', walk, object: 0, bytes: 8 }, by: { index: 1 }, path: 'm' },
      { kind: 'find', elements: { kind: 'walk', walk, object: 0 }, by: { last: true }, path: 'm' },
      { kind: 'count', elements: { kind: 'walk', walk, object: 0 }, match: 1, any: true, path: 'm' },
      ops(cell(9), cell(16), DW_OP.DW_OP_and),
    ],
  };
  const encode = (decision: Decision): Uint8Array => {
    const out = new ByteWriter();
    writeDecision(out, decision);
    return out.finish();
  };
  const read = (bytes: Uint8Array): Decision => readDecision(new ByteCursor(bytes, 'decision'));

  test('every kind of cell comes through, and can be listed', () => {
    verifyDecision(all, { name: 'decision' });
    expect(read(encode(all))).toEqual(all);
    expect(listDecision(all)).toHaveLength(all.cells.length);
    expect(listDecision(all)[9]).toBe('c9 = c8 <= c5');
  });

  test('changed bytes give a decision or bad data, and what passes runs to an end', () => {
    const good = encode(all);
    const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(changes, (list) => {
        const bytes = good.slice();
        for (const [offset, byte] of list) bytes[offset] = byte;
        try {
          const decision = read(bytes);
          verifyDecision(decision, { name: 'decision' });
          listDecision(decision);
          decided(decision.cells, bytesOf('some bytes of a hit\0'));
        } catch (error) {
          expect(error).toBeInstanceOf(StillframeError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
