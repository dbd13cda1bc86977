import { describe, expect, test } from 'vitest';
import {
  rewriteLocation,
  rewriteVariable,
  type LocationSite,
} from '../../../controller/expression/lower-location.js';
import type { CallFrameRow } from '../../../controller/dwarf/call-frame.js';
import { absent, isAbsent } from '../../../format/absent.js';
import { ByteWriter } from '../../../format/bytes.js';
import { listExpression } from '../../../format/dwarf-op/list.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';

const row = (cfa: CallFrameRow['cfa']): CallFrameRow => ({
  cfa,
  rules: new Map(),
  returnAddressRegister: 16,
  signalFrame: false,
});

const cfaFrame: LocationSite = {
  frameBase: Uint8Array.of(DW_OP.DW_OP_call_frame_cfa),
  cfa: row({ kind: 'register', register: 7, offset: 16n }),
};

const bytes = (write: (out: ByteWriter) => ByteWriter): Uint8Array => write(new ByteWriter()).finish();

function spelled(expression: Uint8Array, site: LocationSite = cfaFrame): string {
  const result = rewriteLocation(expression, site);
  if (isAbsent(result)) return `${result.absent}: ${result.detail}`;
  verifyPlanExpression(result.expression, { hasObject: false });
  return `${result.kind}: ${listExpression(result.expression)}`;
}

describe('what a plan can say', () => {
  test.each([
    ['reg', bytes((o) => o.u8(DW_OP.DW_OP_reg0 + 3)), 'value: DW_OP_breg3 0'],
    ['regx', bytes((o) => o.u8(DW_OP.DW_OP_regx).uleb(12)), 'value: DW_OP_breg12 0'],
    ['breg', bytes((o) => o.u8(DW_OP.DW_OP_breg0 + 6).sleb(-20)), 'address: DW_OP_breg6 -20'],
    ['bregx', bytes((o) => o.u8(DW_OP.DW_OP_bregx).uleb(6).sleb(8)), 'address: DW_OP_breg6 8'],
    ['fbreg', bytes((o) => o.u8(DW_OP.DW_OP_fbreg).sleb(-40)), 'address: DW_OP_breg7 -24'],
    ['cfa', bytes((o) => o.u8(DW_OP.DW_OP_call_frame_cfa)), 'address: DW_OP_breg7 16'],
    ['addr', bytes((o) => o.u8(DW_OP.DW_OP_addr).u64(0x4010n)), 'address: DW_OP_addr 0x4010'],
    [
      'stack_value',
      bytes((o) => o.u8(DW_OP.DW_OP_breg0).sleb(1).u8(DW_OP.DW_OP_stack_value)),
      'value: DW_OP_breg0 1',
    ],
    [
      'implicit_value',
      bytes((o) => o.u8(DW_OP.DW_OP_implicit_value).uleb(4).u32(0xdeadbeef)),
      'value: DW_OP_const4u 3735928559',
    ],
    [
      'a single piece',
      bytes((o) =>
        o
          .u8(DW_OP.DW_OP_reg0 + 1)
          .u8(DW_OP.DW_OP_piece)
          .uleb(8),
      ),
      'value: DW_OP_breg1 0',
    ],
    [
      'an implicit pointer to a stack slot, computed',
      bytes((o) => o.u8(DW_OP.DW_OP_fbreg).sleb(0).u8(DW_OP.DW_OP_lit1).u8(DW_OP.DW_OP_plus)),
      'address: DW_OP_breg7 16; DW_OP_lit1; DW_OP_plus',
    ],
    ['a final nop', bytes((o) => o.u8(DW_OP.DW_OP_reg0).u8(DW_OP.DW_OP_nop)), 'value: DW_OP_breg0 0'],
  ])('%s', (_name, expression, wanted) => {
    expect(spelled(expression)).toBe(wanted);
  });

  test('a jump is measured again when what it jumps over grows', () => {
    // breg0 0; lit0; eq; bra +3 (over fbreg -200, 3 bytes); fbreg -200; skip +3; fbreg 100000
    const jump = bytes((o) =>
      o
        .u8(DW_OP.DW_OP_breg0)
        .sleb(0)
        .u8(DW_OP.DW_OP_bra)
        .u16(6)
        .u8(DW_OP.DW_OP_fbreg)
        .sleb(-200)
        .u8(DW_OP.DW_OP_skip)
        .u16(4)
        .u8(DW_OP.DW_OP_fbreg)
        .sleb(100_000),
    );
    const site: LocationSite = {
      frameBase: bytes((o) =>
        o
          .u8(DW_OP.DW_OP_breg0 + 6)
          .sleb(8)
          .u8(DW_OP.DW_OP_deref),
      ),
      cfa: absent('unwind-failed', 'no row'),
    };
    expect(spelled(jump, site)).toBe(
      'address: DW_OP_breg0 0; DW_OP_bra to 15; DW_OP_breg6 8; DW_OP_deref; DW_OP_const2s -200; DW_OP_plus; ' +
        'DW_OP_skip to 22; DW_OP_breg6 8; DW_OP_deref; DW_OP_plus_uconst 100000'.replace(
          'const2s',
          'const2s',
        ),
    );
  });

  test('a frame base in a register, and a CFA that is an expression', () => {
    const local = bytes((o) => o.u8(DW_OP.DW_OP_fbreg).sleb(-8));
    expect(spelled(local, { ...cfaFrame, frameBase: Uint8Array.of(DW_OP.DW_OP_reg0 + 6) })).toBe(
      'address: DW_OP_breg6 -8',
    );
    const plt = bytes((o) =>
      o
        .u8(DW_OP.DW_OP_breg0 + 7)
        .sleb(8)
        .u8(DW_OP.DW_OP_lit1)
        .u8(DW_OP.DW_OP_plus),
    );
    expect(spelled(local, { ...cfaFrame, cfa: row({ kind: 'expression', expression: plt }) })).toBe(
      'address: DW_OP_breg7 8; DW_OP_lit1; DW_OP_plus; DW_OP_const1s -8; DW_OP_plus',
    );
  });

  test('an index into .debug_addr', () => {
    const indexed = bytes((o) => o.u8(DW_OP.DW_OP_addrx).uleb(3));
    expect(spelled(indexed, { ...cfaFrame, addressByIndex: (i) => BigInt(i * 16) })).toBe(
      'address: DW_OP_addr 0x30',
    );
    expect(spelled(indexed)).toBe('no-debug-info: no table of addresses');
    const none = {
      ...cfaFrame,
      addressByIndex: () => absent('no-debug-info', 'index 3 is beyond .debug_addr'),
    };
    expect(spelled(indexed, none)).toBe('no-debug-info: index 3 is beyond .debug_addr');
  });

  test('a constant', () => {
    const result = rewriteVariable({ kind: 'constant', bytes: Uint8Array.of(0xfe, 0xff) }, cfaFrame);
    expect(isAbsent(result) ? result.detail : listExpression(result.expression)).toBe('DW_OP_const2u 65534');
  });
});

describe('what it cannot', () => {
  test.each([
    ['nothing', new Uint8Array(), 'optimized-out: it has no location here'],
    [
      'entry value',
      bytes((o) =>
        o
          .u8(DW_OP.DW_OP_entry_value)
          .uleb(1)
          .u8(DW_OP.DW_OP_reg0 + 5)
          .u8(DW_OP.DW_OP_stack_value),
      ),
      'optimized-out: only its value at function entry is known',
    ],
    [
      'GNU entry value',
      bytes((o) =>
        o
          .u8(DW_OP.DW_OP_GNU_entry_value)
          .uleb(1)
          .u8(DW_OP.DW_OP_reg0 + 5)
          .u8(DW_OP.DW_OP_stack_value),
      ),
      'optimized-out: only its value at function entry is known',
    ],
    [
      'implicit pointer',
      bytes((o) => o.u8(DW_OP.DW_OP_implicit_pointer).u32(1).sleb(0)),
      'optimized-out: it points to something that is not in memory',
    ],
    [
      'pieces',
      bytes((o) =>
        o
          .u8(DW_OP.DW_OP_reg0)
          .u8(DW_OP.DW_OP_piece)
          .uleb(4)
          .u8(DW_OP.DW_OP_reg0)
          .u8(DW_OP.DW_OP_piece)
          .uleb(4),
      ),
      'unsupported: it lies in several pieces, which a probe cannot put together',
    ],
    [
      'xmm0',
      bytes((o) => o.u8(DW_OP.DW_OP_reg0 + 17)),
      'unsupported: it is in register xmm0, which a probe does not see',
    ],
    [
      'thread-local',
      bytes((o) => o.u8(DW_OP.DW_OP_const4u).u32(4).u8(DW_OP.DW_OP_form_tls_address)),
      'unsupported: it is thread-local, which a probe cannot find',
    ],
    [
      'typed operations',
      bytes((o) =>
        o.u8(DW_OP.DW_OP_breg0).sleb(0).u8(DW_OP.DW_OP_convert).uleb(0x20).u8(DW_OP.DW_OP_stack_value),
      ),
      'unsupported: its location needs DW_OP_convert, which a probe cannot do',
    ],
    [
      'a loop',
      bytes((o) =>
        o
          .u8(DW_OP.DW_OP_lit1)
          .u8(DW_OP.DW_OP_bra)
          .u16(0x10000 - 4),
      ),
      'unsupported: its location has a loop',
    ],
    [
      'a long constant',
      bytes((o) => o.u8(DW_OP.DW_OP_implicit_value).uleb(16).zeros(16)),
      'unsupported: it is a constant of 16 bytes',
    ],
    [
      'cut short',
      Uint8Array.of(DW_OP.DW_OP_addr, 1, 2),
      'no-debug-info: cannot parse location: 8 bytes wanted, 2 left at offset 0x1',
    ],
  ])('%s', (_name, expression, wanted) => {
    expect(spelled(expression)).toBe(wanted);
  });

  test('a frame base without a CFA, and none at all', () => {
    const local = bytes((o) => o.u8(DW_OP.DW_OP_fbreg).sleb(-8));
    expect(spelled(local, { ...cfaFrame, cfa: absent('unwind-failed', 'no row covers 0x1136') })).toBe(
      'unwind-failed: no row covers 0x1136',
    );
    expect(spelled(local, { ...cfaFrame, frameBase: undefined })).toBe(
      'no-debug-info: the function has no frame base',
    );
    expect(spelled(local, { ...cfaFrame, frameBase: local })).toBe(
      'no-debug-info: the frame base of the function depends on itself',
    );
    const deep = bytes((o) => o.u8(DW_OP.DW_OP_call_frame_cfa).u8(DW_OP.DW_OP_lit0).u8(DW_OP.DW_OP_plus));
    const cycle = { frameBase: deep, cfa: row({ kind: 'expression', expression: deep }) };
    expect(spelled(local, cycle)).toBe('unsupported: its location is nested too deeply');
  });
});
