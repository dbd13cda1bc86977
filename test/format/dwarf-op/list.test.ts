/** The list of operations against readelf's, over every operation, by way of a small ELF file with one variable an expression. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ByteWriter } from '../../../format/bytes.js';
import { listExpression } from '../../../format/dwarf-op/list.js';
import { DW_OP, type OperationName } from '../../../format/dwarf-op/opcodes.js';
import { expression as e, sleb, u16, u32, u64, uleb } from '../../support/dwarf-expression.js';
import { writeElf } from '../../support/elf-writer.js';

const DW_TAG_compile_unit = 0x11;
const DW_TAG_variable = 0x34;
const DW_AT_location = 0x02;
const DW_FORM_exprloc = 0x18;

/** DWARF 4: a compile unit whose children are variables with these locations. */
function programWith(expressions: readonly Uint8Array[]): Uint8Array {
  const abbrev = e(
    e(1, DW_TAG_compile_unit, 1, 0, 0),
    e(2, DW_TAG_variable, 0, DW_AT_location, DW_FORM_exprloc, 0, 0),
    0,
  );
  const body = new ByteWriter().u16(4).u32(0).u8(8).u8(1);
  for (const each of expressions) body.u8(2).uleb(each.length).raw(each);
  body.u8(0);
  const info = new ByteWriter().u32(body.length).raw(body.finish()).finish();
  return writeElf({
    sections: [
      { name: '.debug_abbrev', bytes: abbrev },
      { name: '.debug_info', bytes: info },
    ],
  });
}

/** What readelf says of each, in our spelling where it differs: `DW_OP_breg7 (rsp): 16` is `DW_OP_breg7 16`. */
function asReadelf(expressions: readonly Uint8Array[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'list-'));
  try {
    const path = join(folder, 'x.elf');
    writeFileSync(path, programWith(expressions));
    const out = execFileSync('readelf', ['--debug-dump=info', path], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 26,
    });
    return [...out.matchAll(/DW_AT_location *: .*? byte block: [0-9a-f ]*\t\((.*)\)/g)].map(([, text]) =>
      (text ?? '')
        .replaceAll(/ \([a-z0-9.]+\)/g, '')
        .replaceAll(/DW_OP_addr: ([0-9a-f]+)/g, 'DW_OP_addr 0x$1')
        .replaceAll(/size: (\d+) offset: (\d+) ?/g, '$1 offset $2')
        .replaceAll(
          /(DW_OP_implicit_value) (\d+) byte block: ((?:[0-9a-f]+ ?)+)/g,
          (_, name, size, bytes: string) => `${name} ${size} bytes: ${bytesOf(bytes)}`,
        )
        .replaceAll(/(DW_OP_\w+): /g, '$1 '),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function bytesOf(text: string): string {
  return text
    .trim()
    .split(' ')
    .map((byte) => byte.padStart(2, '0'))
    .join('');
}

const number = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const unsigned = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const small = fc.nat(255);
const numbered: Partial<Record<OperationName, fc.Arbitrary<Uint8Array>>> = {
  DW_OP_addr: unsigned.map(u64),
  DW_OP_const1u: small.map((n) => e(n)),
  DW_OP_const1s: small.map((n) => e(n)),
  DW_OP_const2u: fc.nat(65_535).map(u16),
  DW_OP_const2s: fc.nat(65_535).map(u16),
  DW_OP_const4u: fc.nat().map(u32),
  DW_OP_const4s: fc.integer().map(u32),
  DW_OP_const8u: unsigned.map(u64),
  DW_OP_const8s: number.map(u64),
  DW_OP_constu: unsigned.map(uleb),
  DW_OP_consts: number.map(sleb),
  DW_OP_pick: small.map((n) => e(n)),
  DW_OP_plus_uconst: unsigned.map(uleb),
  DW_OP_regx: fc.nat(60).map(uleb),
  DW_OP_fbreg: number.map(sleb),
  DW_OP_bregx: fc.tuple(fc.nat(60), number).map(([register, offset]) => e(uleb(register), sleb(offset))),
  DW_OP_piece: fc.nat(1000).map(uleb),
  DW_OP_bit_piece: fc.tuple(fc.nat(1000), fc.nat(64)).map(([size, offset]) => e(uleb(size), uleb(offset))),
  DW_OP_deref_size: small.map((n) => e(n)),
  DW_OP_xderef_size: small.map((n) => e(n)),
  DW_OP_implicit_value: fc
    .uint8Array({ minLength: 1, maxLength: 5 })
    .map((bytes) => e(uleb(bytes.length), bytes)),
};
function operandsOf(name: string): fc.Arbitrary<Uint8Array> {
  if (/^DW_OP_breg\d/.test(name)) return number.map(sleb);
  return numbered[name as OperationName] ?? fc.constant(e());
}

/** Their text in readelf is of another kind, or it does not know them. */
const others: ReadonlySet<string> = new Set([
  'DW_OP_bra',
  'DW_OP_skip',
  'DW_OP_call2',
  'DW_OP_call4',
  'DW_OP_call_ref',
  'DW_OP_implicit_pointer',
  'DW_OP_addrx',
  'DW_OP_constx',
  'DW_OP_entry_value',
  'DW_OP_const_type',
  'DW_OP_regval_type',
  'DW_OP_deref_type',
  'DW_OP_xderef_type',
  'DW_OP_convert',
  'DW_OP_reinterpret',
  'DW_OP_form_tls_address',
  'DW_OP_xderef',
]);
const operation = fc
  .constantFrom(
    ...Object.entries(DW_OP).filter(([name]) => !others.has(name) && !name.startsWith('DW_OP_GNU')),
  )
  .chain(([name, code]) => operandsOf(name).map((operands) => e(code, operands)));

test('every operation, as readelf lists it', () => {
  const expressions = fc.sample(
    fc.array(operation, { minLength: 1, maxLength: 8 }).map((operations) => e(...operations)),
    1500,
  );
  const theirs = asReadelf(expressions);
  expect(theirs.length).toBe(expressions.length);
  for (const [i, each] of expressions.entries()) expect(listExpression(each)).toBe(theirs[i]);
});

test.each<[Uint8Array, string]>([
  [e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_bra, u16(1), DW_OP.DW_OP_nop), 'DW_OP_lit1; DW_OP_bra to 5; DW_OP_nop'],
  [
    e(DW_OP.DW_OP_entry_value, 1, DW_OP.DW_OP_reg5, DW_OP.DW_OP_stack_value),
    'DW_OP_entry_value (DW_OP_reg5); DW_OP_stack_value',
  ],
  [e(DW_OP.DW_OP_implicit_pointer, u32(0x2a), sleb(-1)), 'DW_OP_implicit_pointer <0x2a> -1'],
  [e(DW_OP.DW_OP_const_type, uleb(0x2a), 2, 1, 2), 'DW_OP_const_type <0x2a> 2 bytes: 0102'],
  [
    e(DW_OP.DW_OP_regval_type, 17, uleb(0x2a), DW_OP.DW_OP_convert, 0),
    'DW_OP_regval_type 17 <0x2a>; DW_OP_convert <0x0>',
  ],
  [e(DW_OP.DW_OP_deref_type, 4, uleb(0x2a)), 'DW_OP_deref_type 4 <0x2a>'],
  [e(DW_OP.DW_OP_addrx, 3, DW_OP.DW_OP_call2, u16(9)), 'DW_OP_addrx 3; DW_OP_call2 <0x9>'],
  [e(DW_OP.DW_OP_GNU_push_tls_address), 'DW_OP_GNU_push_tls_address'],
  [e(DW_OP.DW_OP_lit0, 0xe8, 1, 2), 'DW_OP_lit0; <unknown operation 0xe8: 0102>'],
  [e(DW_OP.DW_OP_const2u, 1), '<0a01: cannot parse DWARF expression: 2 bytes wanted, 1 left at offset 0x1>'],
  [e(), ''],
])('%j', (bytes, text) => {
  expect(listExpression(bytes)).toBe(text);
});
