/** C is complete: every kind of value in one program, in every way of building it, each leaf compared with gdb; and the kinds by name. */
import { beforeAll, describe, expect, test } from 'vitest';
import { threadStack } from '../../../controller/snapshot/frames.js';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { openSymbols } from '../../../controller/service/symbols.js';
import { evaluateExpressions, showLocals } from '../../../controller/snapshot/show.js';
import type { VariableDocument } from '../../../controller/types/value-document.js';
import { compareCore } from '../../support/compare-gdb.js';
import { compileFixture } from '../../support/compile.js';
import { crashCore } from '../../support/core.js';

const fixture = 'c-kinds/kinds.c';
const always = ['-g', '-w', '-pthread'];

/** What gdb shows and we withhold. Anything else fails. */
const bearable: readonly RegExp[] = [
  // gdb shows what the register holds in the innermost frame; that is not the variable's value.
  / is not preserved across calls, so its value in the caller is lost/,
  // gdb takes a flexible array for one element, which is a guess.
  /text\[0\]: no-debug-info: the length of the array is not in the debug information$/,
  // clang keeps the length of an array nowhere; gdb takes it for 1.
  /\[0\][^:]*: optimized-out: the length of the array is kept nowhere at this point$/,
  // What only `eval` is asked: arithmetic of types that are read but not calculated with.
  / eval .*: unsupported: (error: )?/,
];

/** What gdb itself cannot do: numbers of 16 bytes, thread-local variables of static programs, arrays whose length it does not know. */
const notOfGdb =
  /more than 8 bytes$|thread-local variables on this target$|no such vector element$|not know an operation of DWARF 5$|arrays of variable length$/;
/**
 * In split units gcc 12 writes an address where the offset of a thread-local variable belongs; gdb takes it for the offset, and finds
 * nothing there. Of clang's it does not find the length of arrays. What we show of both has a test below.
 */
const wrongInSplitUnits = {
  gcc: /(own_block|thread_number|thread_record)[^:]*: gdb Cannot access memory/,
  clang: /(variable|records|matrix): gdb has 1 elements, ours 3$/,
} as const;

const packagings: readonly (readonly string[])[] = [
  ['-gdwarf-5', '-fPIE', '-pie'],
  ['-gdwarf-4', '-fPIE', '-pie'],
  ['-gdwarf-5', '-fno-pie', '-static'],
  ['-gdwarf-4', '-fno-pie', '-static'],
  ['-gdwarf-4', '-fno-pie', '-no-pie', '-gsplit-dwarf'],
  ['-gdwarf-5', '-fPIE', '-pie', '-gsplit-dwarf'],
];
// NB: gdb 13 does not find the entries of location lists in split units of clang with DWARF 5.
const isKnownToGdb = (cc: string, opt: string, flags: readonly string[]): boolean =>
  !(cc === 'clang' && opt === '-O2' && flags.includes('-gdwarf-5') && flags.includes('-gsplit-dwarf'));
const builds = (['gcc', 'clang'] as const).flatMap((cc) =>
  ['-O0', '-O2'].flatMap((opt) =>
    packagings
      .filter((flags) => isKnownToGdb(cc, opt, flags))
      .map((flags) => ({ name: [cc, opt, ...flags].join(' '), cc, opt, flags: [opt, ...always, ...flags] })),
  ),
);

test.each(builds)('every leaf is as gdb has it: $name', ({ cc, opt, flags }) => {
  const program = compileFixture(fixture, { cc, flags });
  using core = crashCore(program, []);
  const tally = compareCore(program, core.path, { depth: 2, more: true });
  const wrongInGdb = flags.includes('-gsplit-dwarf') ? wrongInSplitUnits[cc] : undefined;
  expect(tally.differences.filter((each) => wrongInGdb?.test(each) !== true)).toEqual([]);
  expect(tally.withheld.filter((each) => !bearable.some((pattern) => pattern.test(each)))).toEqual([]);
  expect(tally.skipped.filter((each) => !notOfGdb.test(each))).toEqual([]);
  expect(tally.compared).toBeGreaterThan(opt === '-O0' ? 2000 : 1000);
});

test.each(['-gdwarf-4', '-gdwarf-5'])('thread-local variables of split units of gcc: %s', (dwarf) => {
  const program = compileFixture(fixture, { cc: 'gcc', flags: ['-O0', ...always, dwarf, '-gsplit-dwarf'] });
  using core = crashCore(program, []);
  using snapshot = openSnapshot(core.path, { openSymbols: (elf, file) => openSymbols(elf, file, []) });
  const frame = threadStack(snapshot, snapshot.threads[0] ?? never()).frames.find(
    (each) => each.function === 'storage',
  );
  const values = evaluateExpressions(snapshot, ['own_block', 'thread_number', 'thread_record.name'], {
    frame: frame?.index,
  });
  expect(values).toMatchObject([{ value: '98' }, { value: '42' }, { text: 'inner' }]);
});

function never(): never {
  throw new Error('the core has no thread');
}

describe('by name, built by gcc without optimisation', () => {
  let locals: ReadonlyMap<string, readonly VariableDocument[]>;

  beforeAll(() => {
    const program = compileFixture(fixture, { cc: 'gcc', flags: ['-O0', ...always, '-gdwarf-5'] });
    using core = crashCore(program, []);
    using snapshot = openSnapshot(core.path);
    const { frames } = threadStack(snapshot, snapshot.threads[0] ?? never());
    locals = new Map(
      frames.map((frame) => [frame.function ?? '', showLocals(snapshot, frame, { depth: 2, raw: true })]),
    );
  });

  test.each<[string, string, Partial<VariableDocument>]>([
    ['scalars', 'yes', { type: '_Bool', kind: 'bool', value: 'true' }],
    ['scalars', 'plain', { kind: 'char', value: '120', text: "'x'" }],
    ['scalars', 'high', { kind: 'char', value: '200', text: String.raw`'\310'` }],
    ['scalars', 'huge', { type: '__int128', kind: 'int', value: '-92233720368547758079' }],
    ['scalars', 'unsigned_huge', { kind: 'int', value: '340282366920938463463374607431768211454' }],
    ['scalars', 'tenth', { kind: 'float', value: '0.1' }],
    ['scalars', 'tiny', { kind: 'float', value: '1e-45' }],
    ['scalars', 'infinite', { kind: 'float', value: 'inf' }],
    ['scalars', 'negative_zero', { kind: 'float', value: '-0' }],
    ['scalars', 'not_a_number', { kind: 'float', value: 'nan' }],
    ['scalars', 'extended', { type: 'long double', kind: 'float', value: '0.1' }],
    ['scalars', 'extended_huge', { kind: 'float', value: '1.5e+4000' }],
    ['scalars', 'quadruple', { type: '_Float128', kind: 'float', value: '0.1' }],
    ['scalars', 'complex_double', { kind: 'float', value: '0.1+1e+300i', text: '0.1 + 1e+300i' }],
    ['scalars', 'complex_extended', { kind: 'float', value: '1.5+0.1i' }],
    ['enumerations', 'gold', { type: 'enum tier', kind: 'enum', value: '3', text: 'GOLD' }],
    ['enumerations', 'no_tier', { kind: 'enum', value: '77' }],
    ['enumerations', 'both', { kind: 'enum', value: '3', text: '(READ | WRITE)' }],
    ['enumerations', 'part', { kind: 'enum', value: '65', text: '(READ | unknown: 0x40)' }],
    ['enumerations', 'low', { kind: 'enum', value: '-5', text: 'LOW' }],
    ['enumerations', 'large', { kind: 'enum', value: '1250999896491', text: 'LARGE' }],
    ['arrays', 'zero', { type: 'int [0]', kind: 'array', length: 0, elements: [] }],
    ['arrays', 'many', { type: 'long [120]', kind: 'array', length: 120 }],
    ['arrays', 'variable', { type: 'short [3]', kind: 'array', length: 3 }],
    ['arrays', 'matrix', { type: 'int [3][2]', kind: 'array', length: 3 }],
    ['arrays', 'vector', { type: 'four', kind: 'array', length: 4 }],
    ['pointers', 'nothing', { type: 'void *', kind: 'pointer', value: '0x0' }],
    ['pointers', 'function', { type: 'callback', kind: 'pointer', text: 'double_it' }],
    ['pointers', 'offset_function', { kind: 'pointer', text: 'double_it+1' }],
    ['pointers', 'text', { type: 'const char * restrict', kind: 'pointer', text: 'text' }],
    ['strings', 'full', { type: 'char [4]', kind: 'array', text: 'full' }],
    ['strings', 'inner_nul', { kind: 'array', length: 8, text: 'ab' }],
    ['strings', 'latin', { kind: 'array', text: String.raw`caf\xe9 \xff\x80` }],
    ['strings', 'utf8', { kind: 'array', text: 'café €' }],
    ['strings', 'wide', { kind: 'array', text: 'wé€' }],
    ['strings', 'sixteen', { kind: 'array', text: 'u€' }],
    ['strings', 'thirty_two', { kind: 'array', text: '😀!' }],
    ['strings', 'wide_pointer', { type: 'const wchar_t *', kind: 'pointer', text: 'wide' }],
    ['strings', 'at_end', { kind: 'pointer', text: 'end' }],
    ['strings', 'unterminated', { kind: 'pointer', text: 'cut' }],
    ['strings', 'nowhere', { kind: 'pointer', value: '0x0' }],
    ['qualified', 'atomic', { type: '_Atomic int', kind: 'int', value: '2' }],
    ['qualified', 'to_constant', { type: 'const count * const', kind: 'pointer' }],
    ['storage', 'calls', { kind: 'int', value: '11' }],
    ['storage', 'own_block', { kind: 'int', value: '98' }],
    ['old_style', 'c', { type: 'float', parameter: true, value: '2.5' }],
    ['nested_function', 'own', { kind: 'int', value: '7' }],
  ])('%s: %s', (where, name, document) => {
    expect(locals.get(where)?.find((each) => each.name === name)).toMatchObject(document);
  });

  test('an unterminated string says that it goes on where nothing is', () => {
    const cut = locals.get('strings')?.find(({ name }) => name === 'unterminated');
    expect(cut?.absent?.reason).toBe('not-captured');
    const wild = locals.get('strings')?.find(({ name }) => name === 'wild');
    expect(wild).toMatchObject({ value: '0x20', target: { absent: { reason: 'not-captured' } } });
    expect(wild?.text).toBeUndefined();
  });

  test('hidden names: innermost first', () => {
    const shadows = locals.get('storage')?.filter(({ name }) => name === 'shadow');
    expect(shadows?.map(({ type, shadowed }) => [type, shadowed ?? false])).toEqual([
      ['const char *', false],
      ['long', true],
      ['int', true],
    ]);
  });

  test('members without a name, bit fields at odd places, what is packed', () => {
    const find = (where: string, name: string): VariableDocument | undefined =>
      locals.get(where)?.find((each) => each.name === name);
    expect(find('bit_fields', 'bits')?.fields?.map(({ name, value }) => [name, value])).toEqual([
      ['first', '1'],
      ['signed_three', '-4'],
      ['across', '78187493530'],
      ['flag', 'true'],
      ['tier', '2'],
      ['last', '-2'],
      ['whole', '-1'],
    ]);
    expect(find('bit_fields', 'packed')?.fields?.map(({ value }) => value)).toEqual([
      '112',
      '-42',
      '17',
      '5000',
      '2.5',
      undefined,
    ]);
    expect(find('composites', 'nested')?.fields?.map(({ name, kind }) => [name, kind])).toEqual([
      ['id', 'int'],
      ['', 'union'],
      ['named', 'struct'],
      ['', 'struct'],
    ]);
  });
});
