import { describe, expect, test } from 'vitest';
import type { ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { sizeOf, stripType } from '../../../controller/types/layout.js';
import { buildRedis } from '../../support/fixtures.js';
import { type GdbLayout, gdbLayouts } from '../../support/gdb-symbols.js';
import { debugInfoOf, symbolsOf } from '../../support/symbols.js';
import { nameOfVariant, program, variants } from './programs.js';

/** The same facts as gdb gives: places of members and values of enumerators. */
function layoutOf(symbols: ModuleSymbols, name: string): GdbLayout | string {
  const found = symbols.findType(name);
  if (found === undefined) return 'not found';
  const type = stripType(found);
  const size = sizeOf(type) ?? -1;
  if (type.kind === 'enum') {
    const fields = type.enumerators().map((each) => [each.name, Number(each.value), 0] as const);
    return { size, fields };
  }
  if (type.kind !== 'struct' && type.kind !== 'union') return type.kind;
  const fields = type
    .members()
    .map(
      ({ name: member, byteOffset, bitOffset = 0, bitSize = 0 }) =>
        [member ?? null, byteOffset * 8 + bitOffset, bitSize] as const,
    );
  return { size, fields };
}

const names = [
  'struct bits',
  'struct node',
  'struct packed',
  'struct numbers',
  'pair',
  'enum color',
  'enum level',
  'greek',
];

describe('types have the layout that gdb sees', () => {
  test.each(variants.map((variant) => [nameOfVariant(variant), variant] as const))('%s', (_, variant) => {
    const path = program(variant);
    const symbols = symbolsOf(path);
    const mine = Object.fromEntries(names.map((name) => [name, layoutOf(symbols, name)]));
    expect(mine).toEqual(gdbLayouts(path, names));
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
