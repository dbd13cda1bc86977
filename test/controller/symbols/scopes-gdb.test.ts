import { describe, expect, test } from 'vitest';
import { linkAddress } from '../../../format/address.js';
import { DW_TAG } from '../../../controller/dwarf/constants.js';
import type { Die } from '../../../controller/dwarf/die.js';
import { nameOf } from '../../../controller/symbols/origin.js';
import { compileC } from '../../support/compile-c.js';
import { buildRedis } from '../../support/fixtures.js';
import { type GdbScope, gdbScopes } from '../../support/gdb-symbols.js';
import { scopeAt, sorted } from '../../support/gdb-view.js';
import { allStatements, debugInfoOf, symbolsOf } from '../../support/symbols.js';
import { nameOfVariant, program, variants } from './programs.js';

describe('every statement has the line, the inlined functions and the variables that gdb sees there', () => {
  test.each(variants.map((variant) => [nameOfVariant(variant), variant] as const))('%s', (_, variant) => {
    const path = program(variant);
    const symbols = symbolsOf(path);
    const addresses = allStatements(symbols);
    expect(addresses.length).toBeGreaterThan(25);
    const mine = addresses.map((address) => scopeAt(symbols, address));
    expect(mine).toEqual(gdbScopes(path, addresses).map(sorted));
  });
});

test.each(['gcc', 'clang'] as const)('a function that the linker knows by another name: %s', (compiler) => {
  const renamed = `
int work(int x) __asm__("other_name");
static int again(int x) __asm__("another_name");
__attribute__((noinline)) int work(int x) { volatile int y = x; return y + 1; }
static __attribute__((noinline)) int again(int x) { volatile int y = x; return work(y) + 2; }
int main(int argc, char **argv) { return again(argc) + (argv == 0); }
`;
  const path = compileC(renamed, { name: 'renamed', compiler, flags: ['-O1', '-g'] });
  const symbols = symbolsOf(path);
  const addresses = allStatements(symbols);
  const mine = addresses.map((address) => scopeAt(symbols, address));
  expect(mine).toEqual(gdbScopes(path, addresses).map(sorted));
  expect(mine.flatMap((scope) => scope.levels.map((level) => level.function))).toContain('other_name');
  expect(symbols.findFunctions('work').map((each) => each.entry)).toEqual([
    symbols.findSymbol('other_name')?.address,
  ]);
});

test(
  'redis: statements have the line, the inlined functions and the variables that gdb sees there',
  { timeout: 300_000 },
  () => {
    const path = buildRedis();
    const symbols = symbolsOf(path);
    const addresses = allStatements(symbols)
      .filter((_, i) => i % 14 === 0)
      // Bodies that gcc made one of several equal functions are described once; the others have a symbol only.
      .filter((address) => symbols.sourceStack(linkAddress(address))[0]?.scope !== undefined);
    expect(addresses.length).toBeGreaterThan(1500);
    const labels = labelsOf(path);
    const gdb = gdbScopes(path, addresses).map((scope) => withoutLabels(sorted(scope), labels));
    const different = addresses.flatMap((address, i) => {
      const mine = withoutLabels(scopeAt(symbols, address), labels);
      const theirs = gdb[i];
      return JSON.stringify(mine) === JSON.stringify(theirs) ? [] : [{ address, mine, theirs }];
    });
    expect(different).toEqual([]);
  },
);

/** gdb counts a `goto` label whose code is gone as a variable that is optimised out; a real variable may have its name. */
function withoutLabels(theirs: GdbScope, labels: ReadonlySet<string>): GdbScope {
  const levels = theirs.levels.map((level) => ({
    ...level,
    variables: level.variables.filter(([name]) => !labels.has(`${level.function} ${name}`)),
  }));
  return { ...theirs, levels };
}

/** `FUNCTION LABEL` of every label. */
function labelsOf(path: string): Set<string> {
  const labels = new Set<string>();
  const walk = (die: Die, name: string): void => {
    for (const child of die.children()) {
      if (child.tag === DW_TAG.label) labels.add(`${name} ${nameOf(child) ?? ''}`);
      else if (child.tag === DW_TAG.subprogram) walk(child, nameOf(child) ?? '');
      else if (child.tag === DW_TAG.lexical_block) walk(child, name);
    }
  };
  for (const unit of debugInfoOf(path).units) walk(unit.root, '');
  return labels;
}
