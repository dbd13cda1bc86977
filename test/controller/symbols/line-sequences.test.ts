/** Rows of one sequence alone give the answers that all rows of a unit give. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineSequences } from '../../../controller/dwarf/line-sequences.js';
import { runLineProgram } from '../../../controller/dwarf/line-program.js';
import { parseLineHeader } from '../../../controller/dwarf/line.js';
import { UnitLines } from '../../../controller/symbols/statements.js';
import { ByteWriter } from '../../../format/bytes.js';
import { StillframeError } from '../../../format/error.js';
import { DebugSections } from '../../../controller/dwarf/sections.js';
import { debugInfoOf } from '../../support/symbols.js';
import { cplusplusProgram, rustProgram } from './other-languages.js';

test.each([
  ['C++, g++ -O0', (): string => cplusplusProgram('g++')],
  ['C++, g++ -O2', (): string => cplusplusProgram('g++', '-O2')],
  ['C++, clang -O2', (): string => cplusplusProgram('clang++', '-O2', '-ffunction-sections')],
  ['Rust', (): string => rustProgram()],
])('positions and statements: %s', (_, build) => {
  let compared = 0;
  for (const unit of debugInfoOf(build()).units.slice(0, 12)) {
    const whole = new UnitLines(unit);
    const parts = new UnitLines(unit);
    const { tables, header } = whole;
    const sequences = header === undefined ? [] : (lineSequences(unit.sections, header) ?? []);
    for (const [path, table] of tables) {
      for (const { address, line } of table.slice(0, 40)) {
        for (const pc of [address, address + 1]) expect(parts.positionAt(pc)).toEqual(whole.positionAt(pc));
        expect(parts.statementsOf(path, line)).toEqual(whole.statementsOf(path, line));
        compared += sequences.length > 8 ? 1 : 0;
      }
    }
  }
  expect(compared).toBeGreaterThan(200);
});

test('the sequences of any program are those that running it gives, or it is refused as there', () => {
  let sound = 0;
  fc.assert(
    fc.property(fc.array(opcode(), { maxLength: 60 }), fc.constantFrom(2, 4, 5), (opcodes, version) => {
      const bytes = program(version, opcodes);
      const sections = new DebugSections('test', (name) => (name === 'debug_line' ? bytes : undefined));
      const outcome = <T>(work: () => T): T | string => {
        try {
          return work();
        } catch (error) {
          if (error instanceof StillframeError) return 'refused';
          throw error;
        }
      };
      const found = outcome(() => lineSequences(sections, parseLineHeader(sections, 0, 8)));
      const rows = outcome(() => runLineProgram(sections, parseLineHeader(sections, 0, 8)));
      if (found === undefined) return;
      if (typeof found === 'string' || typeof rows === 'string') {
        expect(found).toEqual(rows);
        return;
      }
      const ours = found.map(({ start, end, minLine, maxLine }) => ({ start, end, minLine, maxLine }));
      const theirs = rows.sequences.map(({ start, end, first, last }) => {
        const lines = rows.lines.slice(first, last + 1);
        return { start, end, minLine: Math.min(...lines), maxLine: Math.max(...lines) };
      });
      expect(ours.toSorted((a, b) => a.start - b.start)).toEqual(theirs);
      sound += ours.length;
    }),
    { numRuns: 2000 },
  );
  expect(sound).toBeGreaterThan(80);
});

/** Bytes of one opcode, or any. */
function opcode(): fc.Arbitrary<Uint8Array> {
  const byte = fc.nat({ max: 255 });
  const address = byte.map((at) =>
    new ByteWriter()
      .u8(0)
      .uleb(9)
      .u8(2)
      .u64(BigInt(at) * 64n)
      .finish(),
  );
  return fc.oneof(
    byte.map((at) => Uint8Array.of(Math.max(13, at))),
    fc.constantFrom(Uint8Array.of(0, 1, 1), Uint8Array.of(1), Uint8Array.of(8), Uint8Array.of(9, 4, 0)),
    address,
    fc.tuple(fc.constantFrom(2, 3, 4, 5, 12), byte).map(([code, at]) => Uint8Array.of(code, at & 0x7f)),
    fc.uint8Array({ maxLength: 4 }),
  );
}

function program(version: number, opcodes: readonly Uint8Array[]): Uint8Array {
  const header = new ByteWriter().u8(1);
  if (version >= 4) header.u8(1);
  header
    .u8(1)
    .u8(0xfb)
    .u8(14)
    .u8(13)
    .raw(Uint8Array.of(0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1));
  if (version >= 5) header.u8(0).uleb(0).u8(0).uleb(0);
  else header.u8(0).u8(0);
  const lengths = header.finish();
  const body = new ByteWriter().u16(version);
  if (version >= 5) body.u8(8).u8(0);
  body.u32(lengths.length).raw(lengths);
  for (const each of opcodes) body.raw(each);
  const bytes = body.finish();
  return new ByteWriter().u32(bytes.length).raw(bytes).finish();
}
