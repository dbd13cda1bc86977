import { describe, expect, test } from 'vitest';
import { buildRedis } from '../../support/fixtures.js';
import { gdbLayouts } from '../../support/gdb-symbols.js';
import { layoutOf } from '../../support/gdb-view.js';
import { debugInfoOf, symbolsOf } from '../../support/symbols.js';
import { nameOfVariant, program, typeNames, variants } from './programs.js';

describe('types have the layout that gdb sees', () => {
  test.each(variants.map((variant) => [nameOfVariant(variant), variant] as const))('%s', (_, variant) => {
    const path = program(variant);
    const symbols = symbolsOf(path);
    const mine = Object.fromEntries(typeNames.map((name) => [name, layoutOf(symbols, name)]));
    expect(mine).toEqual(gdbLayouts(path, typeNames));
  });
});

test(
  'redis: all structs, unions and enumerations have the layout that gdb sees',
  { timeout: 300_000 },
  () => {
    const path = buildRedis();
    const symbols = symbolsOf(path);
    const tags = new Map([
      [0x13, 'struct'],
      [0x17, 'union'],
      [0x04, 'enum'],
    ]);
    const found = new Set<string>();
    for (const unit of debugInfoOf(path).units) {
      for (const die of unit.root.children()) {
        const keyword = tags.get(die.tag);
        if (keyword !== undefined && die.name !== undefined) found.add(`${keyword} ${die.name}`);
      }
    }
    const all = [...found].filter((name) => symbols.findType(name) !== undefined);
    expect(all.length).toBeGreaterThan(250);
    const gdb = gdbLayouts(path, all);
    const different = all.filter(
      (name) => JSON.stringify(layoutOf(symbols, name)) !== JSON.stringify(gdb[name]),
    );
    expect(different).toEqual([]);
  },
);
