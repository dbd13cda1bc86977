import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import type { CallFrameRow } from '../../../controller/dwarf/call-frame.js';
import { isAbsent, type Absent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import { ByteWriter } from '../../../format/bytes.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import {
  absolute,
  frameAddress,
  frameElf,
  FrameSectionWriter,
  headerAddress,
  textAddress,
  usualInstructions,
  type CieSpec,
} from '../../support/call-frame-writer.js';
import { compileFixture } from '../../support/compile.js';

function rowOf(elf: Parameters<typeof openCallFrames>[0], address: bigint): CallFrameRow | Absent {
  return openCallFrames(elf).findRow(linkAddress(address));
}

/** The row at the end of one function with these instructions, which begins at 0x1000 and has 0x40 bytes. */
function run(instructions: readonly number[], cie: CieSpec = {}, at = 0x103fn): CallFrameRow | Absent {
  const section = new FrameSectionWriter();
  section.fde(section.cie(cie), absolute(textAddress, 0x40n), instructions);
  return rowOf(frameElf({ ehFrame: section.finish() }), at);
}

function ruleOf(row: CallFrameRow | Absent, register: number): unknown {
  return isAbsent(row) ? row : row.rules.get(register);
}

describe('call frame instructions', () => {
  test.each([
    ['DW_CFA_offset', [0x80 + 3, 2], { kind: 'offset', offset: -16n }],
    ['DW_CFA_offset_extended', [0x05, 3, 3], { kind: 'offset', offset: -24n }],
    ['DW_CFA_offset_extended_sf', [0x11, 3, 0x7f], { kind: 'offset', offset: 8n }],
    ['DW_CFA_GNU_negative_offset_extended', [0x2f, 3, 2], { kind: 'offset', offset: 16n }],
    ['DW_CFA_val_offset', [0x14, 3, 2], { kind: 'value-offset', offset: -16n }],
    ['DW_CFA_val_offset_sf', [0x15, 3, 0x7e], { kind: 'value-offset', offset: 16n }],
    ['DW_CFA_register', [0x09, 3, 12], { kind: 'register', register: 12 }],
    ['DW_CFA_undefined', [0x07, 3], { kind: 'undefined' }],
    ['DW_CFA_same_value', [0x08, 3], { kind: 'same-value' }],
    ['DW_CFA_expression', [0x10, 3, 2, 0x77, 8], { kind: 'expression', expression: Uint8Array.of(0x77, 8) }],
    [
      'DW_CFA_val_expression',
      [0x16, 3, 2, 0x77, 8],
      { kind: 'value-expression', expression: Uint8Array.of(0x77, 8) },
    ],
    ['DW_CFA_restore of a rule that the CIE has not', [0x80 + 3, 2, 0xc0 + 3], undefined],
    ['DW_CFA_restore_extended', [0x80 + 3, 2, 0x06, 3], undefined],
    ['DW_CFA_GNU_args_size', [0x80 + 3, 2, 0x2e, 16], { kind: 'offset', offset: -16n }],
    ['remember and restore', [0x80 + 3, 2, 0x0a, 0x07, 3, 0x0b], { kind: 'offset', offset: -16n }],
  ])('%s', (_, instructions, rule) => {
    expect(ruleOf(run(instructions), 3)).toEqual(rule);
  });

  test('DW_CFA_restore goes back to the rule of the CIE', () => {
    const row = run([0x80 + 3, 5, 0xc0 + 3], { instructions: [...usualInstructions, 0x80 + 3, 2] });
    expect(ruleOf(row, 3)).toEqual({ kind: 'offset', offset: -16n });
  });

  test.each([
    ['DW_CFA_def_cfa', [0x0c, 6, 16], { kind: 'register', register: 6, offset: 16n }],
    ['DW_CFA_def_cfa_sf', [0x12, 6, 0x7e], { kind: 'register', register: 6, offset: 16n }],
    ['DW_CFA_def_cfa_register', [0x0d, 6], { kind: 'register', register: 6, offset: 8n }],
    ['DW_CFA_def_cfa_offset', [0x0e, 32], { kind: 'register', register: 7, offset: 32n }],
    ['DW_CFA_def_cfa_offset_sf', [0x13, 0x7c], { kind: 'register', register: 7, offset: 32n }],
    ['DW_CFA_def_cfa_expression', [0x0f, 1, 0x57], { kind: 'expression', expression: Uint8Array.of(0x57) }],
    [
      'restore_state restores the CFA too',
      [0x0a, 0x0c, 6, 16, 0x0b],
      { kind: 'register', register: 7, offset: 8n },
    ],
  ])('%s', (_, instructions, cfa) => {
    const row = run(instructions);
    expect(isAbsent(row) ? row : row.cfa).toEqual(cfa);
  });

  test.each([
    ['DW_CFA_advance_loc', [0x40 + 4, 0x0e, 16], 0x1004n],
    ['DW_CFA_advance_loc1', [0x02, 5, 0x0e, 16], 0x1005n],
    ['DW_CFA_advance_loc2', [0x03, 6, 0, 0x0e, 16], 0x1006n],
    ['DW_CFA_advance_loc4', [0x04, 7, 0, 0, 0, 0x0e, 16], 0x1007n],
    ['DW_CFA_MIPS_advance_loc8', [0x1d, 8, 0, 0, 0, 0, 0, 0, 0, 0x0e, 16], 0x1008n],
    ['DW_CFA_set_loc', [0x01, 9, 0x10, 0, 0, 0, 0, 0, 0, 0x0e, 16], 0x1009n],
  ])('%s: the row begins there and not before', (_, instructions, address) => {
    const offsetAt = (at: bigint): unknown => {
      const row = run(instructions, {}, at);
      return isAbsent(row) || row.cfa.kind !== 'register' ? row : row.cfa.offset;
    };
    expect([offsetAt(address - 1n), offsetAt(address)]).toEqual([8n, 16n]);
  });

  test('code alignment scales what is advanced', () => {
    const row = run([0x40 + 4, 0x0e, 16], { codeAlignment: 4 }, 0x100fn);
    expect(isAbsent(row) ? row : row.cfa).toEqual({ kind: 'register', register: 7, offset: 8n });
  });

  test.each([
    ['an unknown instruction', [0x3f], 'unknown call frame instruction 0x3f at offset 0x2c'],
    ['restore_state alone', [0x0b], 'DW_CFA_restore_state without a remembered state at offset 0x2c'],
    ['an expression past the end', [0x0f, 90], '90 bytes wanted, 2 left at offset 0x2e'],
    [
      'def_cfa_offset of an expression',
      [0x0f, 0, 0x0e, 8],
      'change of a CFA that is not register and offset at offset 0x2e',
    ],
    [
      'too much remembered',
      Array.from({ length: 129 }, () => 0x0a),
      'DW_CFA_remember_state nested too deep at offset 0xac',
    ],
  ])('%s is absent', (_, instructions, message) => {
    expect(run(instructions)).toMatchObject({
      absent: 'unwind-failed',
      detail: `cannot parse .eh_frame of "test.elf": ${message}`,
    });
  });

  test('a program that never defines the CFA is absent', () => {
    expect(run([], { instructions: [] })).toMatchObject({
      detail:
        'cannot parse .eh_frame of "test.elf": call frame program that never defines the CFA at offset 0x14',
    });
  });
});

describe('entries', () => {
  test('an address that nothing covers', () => {
    expect(run([], {}, 0x1040n)).toEqual({
      absent: 'unwind-failed',
      detail: 'no call frame information of "test.elf" covers 0x1040',
      address: 0x1040n,
    });
  });

  const place = frameAddress;
  test.each<[string, number, (out: ByteWriter, at: number) => void]>([
    ['absptr', 0x00, (out) => out.u64(0x1010n).u64(16n)],
    ['udata4', 0x03, (out) => out.u32(0x1010).u32(16)],
    ['udata2', 0x02, (out) => out.u16(0x1010).u16(16)],
    ['uleb128', 0x01, (out) => out.uleb(0x1010).uleb(16)],
    ['pcrel sdata4', 0x1b, (out, at) => out.i32(Number(0x1010n - place - BigInt(at))).u32(16)],
    ['pcrel sdata8', 0x1c, (out, at) => out.u64(0x1010n - place - BigInt(at)).u64(16n)],
    ['pcrel sleb128', 0x19, (out, at) => out.sleb(0x1010n - place - BigInt(at)).sleb(16)],
    // The pointer that it leads to stands behind the augmentation data.
    ['indirect pcrel', 0x9b, (out) => out.u32(9).u32(16).uleb(0).u64(0x1010n)],
  ])('addresses encoded as %s', (_, encoding, location) => {
    const section = new FrameSectionWriter();
    const cie = section.cie({ augmentation: 'zR', data: [encoding] });
    section.fde(cie, (out, at) => {
      location(out, at);
      if (encoding !== 0x9b) out.uleb(0);
    });
    const elf = frameElf({ ehFrame: section.finish() });
    expect(isAbsent(rowOf(elf, 0x1010n))).toBe(false);
    expect(isAbsent(rowOf(elf, 0x101fn))).toBe(false);
    expect(isAbsent(rowOf(elf, 0x100fn))).toBe(true);
    expect(isAbsent(rowOf(elf, 0x1020n))).toBe(true);
  });

  test('augmentation zPLRS: personality and LSDA are passed over, S is kept', () => {
    const section = new FrameSectionWriter();
    const cie = section.cie({ augmentation: 'zPLRS', data: [0x9b, 1, 2, 3, 4, 0x1b, 0x00] });
    section.fde(cie, (out) => out.u64(0x1010n).u64(16n).uleb(4).u32(0));
    const row = rowOf(frameElf({ ehFrame: section.finish() }), 0x1010n);
    expect(row).toMatchObject({ signalFrame: true, returnAddressRegister: 16 });
  });

  test('an unknown augmentation is refused unless its length is known', () => {
    const section = new FrameSectionWriter();
    section.fde(section.cie({ augmentation: 'zRX', data: [0x00, 9, 9] }), (out) =>
      out.u64(0x1010n).u64(16n).uleb(0),
    );
    section.fde(section.cie({ augmentation: 'X' }), absolute(0x1020n, 16n));
    const elf = frameElf({ ehFrame: section.finish() });
    expect(isAbsent(rowOf(elf, 0x1010n))).toBe(false);
    expect(rowOf(elf, 0x1020n)).toMatchObject({
      detail: 'cannot parse .eh_frame of "test.elf": unknown augmentation "X" at offset 0x46',
    });
  });

  test('entries after a terminator in the middle are found, and after one that is malformed', () => {
    const section = new FrameSectionWriter();
    const cie = section.cie();
    section.fde(999_999_999, absolute(0x1000n, 16n));
    section.raw([0, 0, 0, 0]);
    section.fde(cie, absolute(0x1010n, 16n));
    expect(isAbsent(rowOf(frameElf({ ehFrame: section.finish() }), 0x1010n))).toBe(false);
  });

  test('what the linker threw away and left at address 0 covers nothing', () => {
    const section = new FrameSectionWriter('debug_frame');
    section.fde(section.cie(), absolute(0n, 0x2000n));
    expect(isAbsent(rowOf(frameElf({ debugFrame: section.finish() }), 0x1010n))).toBe(true);
  });

  test.each([1, 3, 4])('.debug_frame version %i in the 32-bit and the 64-bit format', (version) => {
    for (const is64 of [false, true]) {
      const section = new FrameSectionWriter('debug_frame', is64);
      section.fde(section.cie({ version }), absolute(0x1010n, 16n));
      const row = rowOf(frameElf({ debugFrame: section.finish() }), 0x1010n);
      expect(ruleOf(row, 16)).toEqual({ kind: 'offset', offset: -8n });
    }
  });

  test('.eh_frame in the 64-bit format has CIE pointers of four bytes', () => {
    const section = new FrameSectionWriter('eh_frame', true);
    section.fde(section.cie(), absolute(0x1010n, 16n));
    expect(isAbsent(rowOf(frameElf({ ehFrame: section.finish() }), 0x1010n))).toBe(false);
  });

  test('a malformed .eh_frame does not hide .debug_frame', () => {
    const debug = new FrameSectionWriter('debug_frame');
    debug.fde(debug.cie(), absolute(0x1010n, 16n));
    const elf = frameElf({ ehFrame: Uint8Array.of(1, 2, 3), debugFrame: debug.finish() });
    expect(isAbsent(rowOf(elf, 0x1010n))).toBe(false);
  });
});

describe('.eh_frame_hdr', () => {
  /** Two FDEs of 28 bytes for the same function, after a CIE of 20; without the table the last one counts. */
  const [first, last] = [20, 48];
  function offsetWith(rows: readonly (readonly [bigint, number])[], noSections = false): unknown {
    const section = new FrameSectionWriter();
    const cie = section.cie();
    section.fde(cie, absolute(0x1010n, 16n), [0x0e, 16]);
    section.fde(cie, absolute(0x1010n, 16n), [0x0e, 32]);
    const header = new ByteWriter();
    header.u8(1).u8(0x1b).u8(0x03).u8(0x3b);
    header.i32(Number(frameAddress - headerAddress - 4n)).u32(rows.length);
    for (const [start, fde] of rows)
      header.i32(Number(start - headerAddress)).i32(Number(frameAddress - headerAddress) + fde);
    const elf = frameElf({ ehFrame: section.finish(), header: header.finish(), noSections });
    const row = rowOf(elf, 0x1012n);
    return isAbsent(row) || row.cfa.kind !== 'register' ? row : row.cfa.offset;
  }

  test('its table leads to the FDE', () => {
    expect(offsetWith([[0x1010n, first]])).toBe(16n);
    expect(offsetWith([[0x1010n, last]])).toBe(32n);
  });

  test('it serves files without section headers', () => {
    expect(
      offsetWith(
        [
          [0x1000n, 999],
          [0x1010n, first],
          [0x1020n, 999],
        ],
        true,
      ),
    ).toBe(16n);
  });

  test.each([
    ['an FDE of another address', [[0x1011n, first]] as const],
    ['an offset outside of .eh_frame', [[0x1010n, 1 << 20]] as const],
    ['what is no FDE', [[0x1010n, 7]] as const],
  ])('a table that leads to %s is not believed', (_, rows) => {
    expect(offsetWith(rows)).toBe(32n);
  });
});

test('whatever the bytes are, the answer is a row or absent', () => {
  const path = compileFixture('frames/alloca.c', { cc: 'gcc', flags: ['-g', '-O2'] });
  const good = openElf(bufferSource(path, readFileSync(path)));
  const ehFrame = good.sectionBytes('.eh_frame') ?? new Uint8Array();
  const damage = fc.array(fc.tuple(fc.nat(ehFrame.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(damage, fc.nat(ehFrame.length), (changes, length) => {
      const bytes = ehFrame.slice(0, length);
      for (const [at, byte] of changes) if (at < length) bytes[at] = byte;
      const table = openCallFrames(frameElf({ ehFrame: bytes }));
      for (let address = textAddress; address < textAddress + 0x400n; address += 0x35n) {
        const row = table.findRow(linkAddress(address));
        expect(isAbsent(row) || row.rules instanceof Map).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});
