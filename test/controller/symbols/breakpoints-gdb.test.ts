import { describe, expect, test } from 'vitest';
import { linkAddress } from '../../../format/address.js';
import type { ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { buildFixture, buildRedis } from '../../support/fixtures.js';
import { gdbBreakpoints } from '../../support/gdb-symbols.js';
import { symbolsOf } from '../../support/symbols.js';
import { nameOfVariant, program, variants } from './programs.js';

/**
 * `break FUNCTION` as gdb 13 takes it. Where it differs on purpose: gdb takes the lowest address of an inlined copy for its entry, we
 * what DW_AT_entry_pc says, so the copies are compared by their first range; and gdb moves a copy at the beginning of a
 * function after that function's prologue even where it leaves the copy.
 */
function functionAddresses(symbols: ModuleSymbols, name: string): number[] {
  const addresses = symbols
    .findFunctions(name)
    .flatMap((each) => [each.afterPrologue, ...each.inlinedCopies.map((copy) => copy.ranges[0]?.start)]);
  return [...new Set(addresses.flatMap((each) => (each === undefined ? [] : [Number(each)])))].toSorted(
    (a, b) => a - b,
  );
}

function describedFunctions(symbols: ModuleSymbols): string[] {
  return [...new Set(symbols.functionNames())].filter((name) =>
    symbols.findFunctions(name).some((each) => each.file !== undefined),
  );
}

function lines(symbols: ModuleSymbols): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const file of symbols.sourceFiles()) {
    for (const line of symbols.linesWithCode(file)) {
      const addresses = symbols.findLine(file, line).map(({ address }) => Number(address));
      found.set(`${file}:${line}`, addresses);
    }
  }
  return found;
}

/**
 * gdb takes the split-off cold part of a function, where it lies before the rest, for the prologue, and moves a point in it to
 * the entry. There the line is not passed, so we do not.
 */
function withoutColdParts(symbols: ModuleSymbols, byLine: Map<string, number[]>): Map<string, number[]> {
  const isCold = (address: number): boolean => {
    const found = symbols.functionAt(linkAddress(BigInt(address)));
    return found?.entry !== undefined && address < Number(found.entry);
  };
  return new Map([...byLine].filter(([, addresses]) => !addresses.some(isCold)));
}

function gdbAddresses(path: string, specs: readonly string[]): Map<string, unknown> {
  return new Map(Object.entries(gdbBreakpoints(path, specs)));
}

describe('every function and line of a program has the addresses that gdb chooses', () => {
  test.each(variants.map((variant) => [nameOfVariant(variant), variant] as const))('%s', (_, variant) => {
    const path = program(variant);
    const symbols = symbolsOf(path);
    const names = describedFunctions(symbols);
    expect(names).toEqual(expect.arrayContaining(['main', 'square', 'folded', 'leaf', 'variadic', 'vla']));
    const mine = new Map(names.map((name) => [name, functionAddresses(symbols, name)]));
    expect(mine).toEqual(gdbAddresses(path, names));
    const byLine = withoutColdParts(symbols, lines(symbols));
    expect(byLine.size).toBeGreaterThan(30);
    expect(byLine).toEqual(gdbAddresses(path, [...byLine.keys()]));
  });

  test.each([
    ['static', { static: true, pie: false, opt: 'O2' }],
    ['not PIE', { pie: false, opt: 'O0' }],
    ['clang', { cc: 'clang', opt: 'O2' }],
  ] as const)('the order service, %s', (_, options) => {
    const path = buildFixture('order-service', options);
    const symbols = symbolsOf(path);
    const names = describedFunctions(symbols);
    const mine = new Map(names.map((name) => [name, functionAddresses(symbols, name)]));
    expect(mine).toEqual(gdbAddresses(path, names));
  });
});

/** What may differ in a program of thousands of functions, each for a reason that the test above names. */
test('redis: functions and lines have the addresses that gdb chooses', { timeout: 300_000 }, () => {
  const path = buildRedis();
  const symbols = symbolsOf(path);
  // gdb takes a minute for all of them.
  const names = describedFunctions(symbols).filter((_, i) => i % 16 === 0);
  const gdb = gdbAddresses(path, names);
  const different = names.filter(
    (name) => JSON.stringify(functionAddresses(symbols, name)) !== JSON.stringify(gdb.get(name)),
  );
  expect(names.length).toBeGreaterThan(200);
  expect(different).toEqual([]);
  const byLine = [...withoutColdParts(symbols, lines(symbols))].filter((_, i) => i % 20 === 0);
  const gdbLines = gdbAddresses(
    path,
    byLine.map(([spec]) => spec),
  );
  expect(byLine.length).toBeGreaterThan(1500);
  expect(
    byLine.filter(([spec, mine]) => JSON.stringify(mine) !== JSON.stringify(gdbLines.get(spec))),
  ).toEqual([]);
});
