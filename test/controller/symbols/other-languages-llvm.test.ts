import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { runLineProgram } from '../../../controller/dwarf/line-program.js';
import { normalizePath, parseLineHeader } from '../../../controller/dwarf/line.js';
import { DW_AT } from '../../../controller/dwarf/constants.js';
import { linkAddress } from '../../../format/address.js';
import { gdbScopes } from '../../support/gdb-symbols.js';
import { debugInfoOf, symbolsOf } from '../../support/symbols.js';
import { cplusplusProgram, goProgram, rustProgram } from './other-languages.js';

const programs = [
  ['C++, g++ -O0', (): string => cplusplusProgram('g++')],
  ['C++, g++ -O2', (): string => cplusplusProgram('g++', '-O2')],
  [
    'C++, g++ -O2, type units, DWARF 4',
    (): string => cplusplusProgram('g++', '-O2', '-gdwarf-4', '-fdebug-types-section'),
  ],
  ['C++, clang -O2', (): string => cplusplusProgram('clang++', '-O2')],
  ['Rust', (): string => rustProgram()],
  ['Rust -O', (): string => rustProgram('-O')],
  ['Go', (): string => goProgram()],
] as const;

const wanted = 1500;

/** Addresses of rows all over the program. */
function sampleRows(program: string): number[] {
  const info = debugInfoOf(program);
  const addresses = new Set<number>();
  for (const unit of info.units) {
    const offset = unit.root.sectionOffset(DW_AT.stmt_list);
    if (offset === undefined) continue;
    const rows = runLineProgram(unit.sections, parseLineHeader(unit.sections, offset, unit.addressSize));
    for (const { first, last, start } of rows.sequences) {
      if (start <= 1) continue;
      for (let i = first; i < last; i++) addresses.add(rows.addresses[i] ?? 0);
    }
  }
  const all = [...addresses].toSorted((a, b) => a - b);
  const step = Math.max(1, Math.floor(all.length / wanted));
  return all.filter((_, i) => i % step === 0);
}

/** Functions at each address, innermost first. */
function symbolize(program: string, addresses: readonly number[]): string[][] {
  const output = execFileSync(
    'llvm-symbolizer',
    ['--functions=short', '--no-demangle', '--inlines', `--obj=${program}`],
    {
      input: addresses.map((each) => `0x${each.toString(16)}\n`).join(''),
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  );
  // Names and places take turns.
  return output
    .trimEnd()
    .split('\n\n')
    .map((block) => block.split('\n').filter((line, i) => i % 2 === 0 && line !== '??'));
}

function isShort(short: string | undefined, name: string): boolean {
  return short !== undefined && (name === short || name.endsWith(`::${short}`));
}

describe('functions of other languages by name', () => {
  test.each([
    ['a method', (): string => cplusplusProgram('g++', '-O2'), 'total'],
    ['a method of a template', (): string => cplusplusProgram('clang++', '-O2'), 'price'],
    ['a linkage name', (): string => cplusplusProgram('g++'), '_ZNK4shop5Order5totalEv'],
    ['a method of a trait', (): string => rustProgram(), 'area'],
    ['a method of Go', (): string => goProgram(), 'main.(*Order).Price'],
  ])('%s', (_, build, name) => {
    const symbols = symbolsOf(build());
    const entries = symbols.findFunctions(name).flatMap(({ entry }) => entry ?? []);
    expect(entries.length).toBeGreaterThan(0);
    for (const entry of entries) {
      expect(symbols.functionAt(entry)?.entry).toBe(entry);
    }
  });
});

describe('debug information of other languages is read without error', () => {
  test.each(programs)(
    'functions and inlined copies of addresses, as llvm-symbolizer names them: %s',
    (_, build) => {
      const program = build();
      const symbols = symbolsOf(program);
      const addresses = sampleRows(program);
      expect(addresses.length).toBeGreaterThan(300);
      const expected = symbolize(program, addresses);
      const wrong = addresses.flatMap((address, i) => {
        const found = symbols.sourceStack(linkAddress(BigInt(address))).map((frame) => frame.function);
        const theirs = expected[i] ?? [];
        // Its short names are without the namespaces, which gdb's and ours have.
        const same = found.length === theirs.length && found.every((name, j) => isShort(theirs[j], name));
        return same ? [] : [{ address: address.toString(16), found, theirs }];
      });
      expect(wrong.slice(0, 5)).toEqual([]);
    },
  );

  test.each(programs)('lines of addresses, as gdb has them: %s', { timeout: 120_000 }, (_, build) => {
    const program = build();
    const symbols = symbolsOf(program);
    const addresses = sampleRows(program);
    const expected = gdbScopes(
      program,
      addresses.map((address) => BigInt(address)),
    );
    const wrong = addresses.flatMap((address, i) => {
      const found = symbols.sourceStack(linkAddress(BigInt(address)))[0]?.line ?? 0;
      const theirs = expected[i]?.line;
      return found === theirs ? [] : [{ address: address.toString(16), found, theirs }];
    });
    expect(wrong).toEqual([]);
  });

  test.each(programs)('every variable in scope has a type and a location or a reason: %s', (_, build) => {
    const program = build();
    const symbols = symbolsOf(program);
    let variables = 0;
    for (const address of sampleRows(program)) {
      const at = linkAddress(BigInt(address));
      for (const { scope, file } of symbols.sourceStack(at)) {
        if (file !== undefined) expect(normalizePath(file)).toBe(file);
        for (const variable of scope?.variables ?? []) {
          variables++;
          expect(variable.type().kind).toBeDefined();
          expect(variable.locationAt(at)).toBeDefined();
        }
      }
    }
    expect(variables).toBeGreaterThan(500);
    for (const name of symbols.globalNames()) {
      for (const each of symbols.findGlobals(name)) expect(each.type().kind).toBeDefined();
    }
  });
});
