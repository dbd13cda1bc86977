import { describe, expect, test } from 'vitest';
import { formStep } from '../../../controller/dwarf/abbrev.js';
import { DW_FORM } from '../../../controller/dwarf/constants.js';
import { type FormContext, readForm } from '../../../controller/dwarf/form.js';
import { ByteCursor, ByteWriter } from '../../../format/bytes.js';

const unit = (change: Partial<FormContext> = {}): FormContext => ({
  version: 5,
  offsetSize: 4,
  addressSize: 8,
  offset: 0x1000,
  ...change,
});

const long = { offsetSize: 8 } as const;

type Row = readonly [
  form: keyof typeof DW_FORM,
  write: (out: ByteWriter) => unknown,
  value: unknown,
  change?: Partial<FormContext>,
];

const rows: readonly Row[] = [
  ['addr', (out) => out.u64(0x401000n), { kind: 'address', address: 0x401000n }],
  ['addr', (out) => out.u32(0x401000), { kind: 'address', address: 0x401000n }, { addressSize: 4 }],
  ['addrx', (out) => out.uleb(300), { kind: 'address-index', index: 300 }],
  ['addrx1', (out) => out.u8(200), { kind: 'address-index', index: 200 }],
  ['addrx2', (out) => out.u16(0x1234), { kind: 'address-index', index: 0x1234 }],
  ['addrx3', (out) => out.u16(0x3456).u8(0x12), { kind: 'address-index', index: 0x123456 }],
  ['addrx4', (out) => out.u32(0x12345678), { kind: 'address-index', index: 0x12345678 }],
  ['GNU_addr_index', (out) => out.uleb(300), { kind: 'address-index', index: 300 }],
  ['data1', (out) => out.u8(0xff), { kind: 'constant', value: 0xffn, signed: false, size: 1 }],
  ['data2', (out) => out.u16(0xfffe), { kind: 'constant', value: 0xfffen, signed: false, size: 2 }],
  ['data4', (out) => out.u32(0xfffffffe), { kind: 'constant', value: 0xfffffffen, signed: false, size: 4 }],
  ['data8', (out) => out.u64(1n << 63n), { kind: 'constant', value: 1n << 63n, signed: false, size: 8 }],
  [
    'data16',
    (out) => out.zeros(15).u8(7),
    { kind: 'block', bytes: Uint8Array.of(...Array.from({ length: 15 }, () => 0), 7), expression: false },
  ],
  ['sdata', (out) => out.sleb(-300), { kind: 'constant', value: -300n, signed: true, size: 0 }],
  ['udata', (out) => out.uleb(300), { kind: 'constant', value: 300n, signed: false, size: 0 }],
  [
    'block1',
    (out) => out.u8(2).u8(8).u8(9),
    { kind: 'block', bytes: Uint8Array.of(8, 9), expression: false },
  ],
  [
    'block2',
    (out) => out.u16(2).u8(8).u8(9),
    { kind: 'block', bytes: Uint8Array.of(8, 9), expression: false },
  ],
  [
    'block4',
    (out) => out.u32(2).u8(8).u8(9),
    { kind: 'block', bytes: Uint8Array.of(8, 9), expression: false },
  ],
  [
    'block',
    (out) => out.uleb(2).u8(8).u8(9),
    { kind: 'block', bytes: Uint8Array.of(8, 9), expression: false },
  ],
  ['exprloc', (out) => out.uleb(1).u8(0x9c), { kind: 'block', bytes: Uint8Array.of(0x9c), expression: true }],
  ['flag', (out) => out.u8(1), { kind: 'flag', value: true }],
  ['flag_present', (out) => out, { kind: 'flag', value: true }],
  ['ref1', (out) => out.u8(0x20), { kind: 'reference', offset: 0x1020 }],
  ['ref2', (out) => out.u16(0x220), { kind: 'reference', offset: 0x1220 }],
  ['ref4', (out) => out.u32(0x220), { kind: 'reference', offset: 0x1220 }],
  ['ref8', (out) => out.u64(0x220n), { kind: 'reference', offset: 0x1220 }],
  ['ref_udata', (out) => out.uleb(0x220), { kind: 'reference', offset: 0x1220 }],
  ['ref_addr', (out) => out.u32(0x220), { kind: 'reference', offset: 0x220 }],
  ['ref_addr', (out) => out.u64(0x220n), { kind: 'reference', offset: 0x220 }, { version: 2 }],
  ['ref_addr', (out) => out.u64(0x220n), { kind: 'reference', offset: 0x220 }, long],
  ['ref_sig8', (out) => out.u64(0xfedcn), { kind: 'signature', signature: 0xfedcn }],
  ['ref_sup4', (out) => out.u32(0x30), { kind: 'supplementary-reference', offset: 0x30 }],
  ['ref_sup8', (out) => out.u64(0x30n), { kind: 'supplementary-reference', offset: 0x30 }],
  ['GNU_ref_alt', (out) => out.u32(0x30), { kind: 'supplementary-reference', offset: 0x30 }],
  ['GNU_ref_alt', (out) => out.u64(0x30n), { kind: 'supplementary-reference', offset: 0x30 }, long],
  ['sec_offset', (out) => out.u32(0x40), { kind: 'section-offset', offset: 0x40 }],
  ['sec_offset', (out) => out.u64(0x40n), { kind: 'section-offset', offset: 0x40 }, long],
  ['loclistx', (out) => out.uleb(5), { kind: 'location-list-index', index: 5 }],
  ['rnglistx', (out) => out.uleb(6), { kind: 'range-list-index', index: 6 }],
  ['string', (out) => out.cstring('abc'), { kind: 'string', section: 'debug_info', offset: 0 }],
  ['strp', (out) => out.u32(0x50), { kind: 'string', section: 'debug_str', offset: 0x50 }],
  ['strp', (out) => out.u64(0x50n), { kind: 'string', section: 'debug_str', offset: 0x50 }, long],
  ['line_strp', (out) => out.u32(0x60), { kind: 'string', section: 'debug_line_str', offset: 0x60 }],
  ['strx', (out) => out.uleb(300), { kind: 'string-index', index: 300 }],
  ['strx1', (out) => out.u8(3), { kind: 'string-index', index: 3 }],
  ['strx2', (out) => out.u16(0x1234), { kind: 'string-index', index: 0x1234 }],
  ['strx3', (out) => out.u16(0x3456).u8(0x12), { kind: 'string-index', index: 0x123456 }],
  ['strx4', (out) => out.u32(0x12345678), { kind: 'string-index', index: 0x12345678 }],
  ['GNU_str_index', (out) => out.uleb(300), { kind: 'string-index', index: 300 }],
  ['strp_sup', (out) => out.u32(0x70), { kind: 'supplementary-string', offset: 0x70 }],
  ['GNU_strp_alt', (out) => out.u64(0x70n), { kind: 'supplementary-string', offset: 0x70 }, long],
  [
    'indirect',
    (out) => out.uleb(DW_FORM.udata).uleb(9),
    { kind: 'constant', value: 9n, signed: false, size: 0 },
  ],
];

describe('every form', () => {
  test.each(rows.map((row) => ({ form: row[0], row })))('$form', ({ row }) => {
    const [name, write, value, change] = row;
    const out = new ByteWriter();
    write(out);
    const { length } = out;
    const cursor = new ByteCursor(out.u8(0xee).finish(), 'x');
    const context = unit(change);
    expect(readForm(cursor, DW_FORM[name], undefined, context)).toEqual(value);
    expect(cursor.offset).toBe(length);
    // What walks over the form goes as far as what reads it; negative steps are those that depend on contents.
    const step = formStep(DW_FORM[name], context) ?? Number.NaN;
    if (step >= 0) expect(step).toBe(length);
    else expect(length).toBeGreaterThan(0);
  });

  test('implicit_const has its value in the abbreviation', () => {
    const cursor = new ByteCursor(Uint8Array.of(), 'x');
    expect(readForm(cursor, DW_FORM.implicit_const, -7n, unit())).toEqual({
      kind: 'constant',
      value: -7n,
      signed: true,
      size: 0,
    });
    expect(formStep(DW_FORM.implicit_const, unit())).toBe(0);
  });

  test('none is left out', () => {
    const tested = new Set([...rows.map(([name]) => name), 'implicit_const']);
    expect(Object.keys(DW_FORM).filter((name) => !tested.has(name))).toEqual([]);
  });
});
