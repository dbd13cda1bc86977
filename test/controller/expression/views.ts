/** A program of types with views, one of each kind: what the tests of expressions on views look into. */
import type { CompositeType, Type } from '../../../controller/types/type.js';
import { u32, u64 } from '../../support/literal-memory.js';
import * as t from '../../support/types.js';
import {
  anyType,
  cellType,
  listType,
  mapType,
  optionalType,
  resultType,
  sharedType,
  stringType,
  vectorType,
} from '../../support/view-types.js';
import { Program } from './program.js';

const { field, int, long, struct } = t;

export const text: Type = stringType();
export const wideText: Type = stringType(t.char16, 'WideText');

const base = (name: string, size: number, members: Parameters<typeof struct>[2]): CompositeType => ({
  ...struct(name, size, members),
  tagless: true,
});

export const shape: CompositeType = base('Shape', 8, [field('id', int, 0), field('colour', int, 4)]);
export const named: CompositeType = base('ns::Named<int>', 8, [field('id', int, 0), field('label', int, 4)]);
export const circle: CompositeType = base('Circle', 24, [
  { type: () => shape, byteOffset: 0, base: true },
  { type: () => named, byteOffset: 8, base: true },
  field('radius', t.double, 16),
]);

export const item: CompositeType = base('Item', 48, () => [field('id', int, 0), field('name', text, 8)]);

const at = 0x7f00_0000_0000n;
/** Where each variable is; what it leads to lies behind. */
type PlaceName =
  | 'name'
  | 'longName'
  | 'numbers'
  | 'items'
  | 'shared'
  | 'maybe'
  | 'none'
  | 'outcome'
  | 'failed'
  | 'counter'
  | 'list'
  | 'ages'
  | 'squares'
  | 'any'
  | 'nobody'
  | 'circle'
  | 'wide'
  | 'broken'
  | 'empty'
  | 'tuple'
  | 'lost'
  | 'lostList'
  | 'numbersData'
  | 'itemsData'
  | 'longData'
  | 'sharedCount'
  | 'nodes'
  | 'agesData'
  | 'squaresData'
  | 'wideData';

export const places: Readonly<Record<PlaceName, bigint>> = {
  name: at + 0x100n,
  longName: at + 0x200n,
  numbers: at + 0x300n,
  items: at + 0x340n,
  shared: at + 0x380n,
  maybe: at + 0x3c0n,
  none: at + 0x400n,
  outcome: at + 0x440n,
  failed: at + 0x480n,
  counter: at + 0x4c0n,
  list: at + 0x500n,
  ages: at + 0x540n,
  squares: at + 0x580n,
  any: at + 0x5c0n,
  nobody: at + 0x600n,
  circle: at + 0x640n,
  wide: at + 0x680n,
  broken: at + 0x6c0n,
  empty: at + 0x700n,
  tuple: at + 0x740n,
  lost: at + 0x780n,
  lostList: at + 0x7c0n,
  numbersData: at + 0x1000n,
  itemsData: at + 0x1100n,
  longData: at + 0x1200n,
  sharedCount: at + 0x1300n,
  nodes: at + 0x1400n,
  agesData: at + 0x1500n,
  squaresData: at + 0x1600n,
  wideData: at + 0x1800n,
};

const shortText = (characters: string): Uint8Array =>
  Buffer.concat([
    u64(0),
    u64(Buffer.byteLength(characters)),
    u64(15),
    Buffer.from(characters.padEnd(16, '\0')),
  ]);

/** A fresh program that a test may change. */
export function viewProgram(): Program {
  const program = new Program();
  const p = places;
  const variables: readonly (readonly [string, Type, bigint, ...Uint8Array[]])[] = [
    ['name', text, p.name, shortText('abc')],
    ['long_name', text, p.longName, u64(p.longData), u64(25), u64(31), new Uint8Array(16)],
    ['empty', text, p.empty, shortText('')],
    [
      'numbers',
      vectorType(int, 4),
      p.numbers,
      u64(p.numbersData),
      u64(p.numbersData + 12n),
      u64(p.numbersData + 16n),
    ],
    [
      'items',
      vectorType(item, 48, 'Items'),
      p.items,
      u64(p.itemsData),
      u64(p.itemsData + 96n),
      u64(p.itemsData + 96n),
    ],
    ['shared', sharedType(item), p.shared, u64(p.itemsData), u64(p.sharedCount)],
    ['maybe', optionalType(int, 4), p.maybe, u64(1), u32(42)],
    ['none', optionalType(item, 48, 'MaybeItem'), p.none, u64(0), new Uint8Array(48)],
    ['outcome', resultType(text, int, 40), p.outcome, u64(0), shortText('fine')],
    ['failed', resultType(text, int, 40), p.failed, u64(1), u32(-5), new Uint8Array(36)],
    ['counter', cellType(int), p.counter, u64(1), u32(7), u32(0)],
    ['list', listType(int), p.list, u64(p.nodes), u64(3)],
    ['ages', mapType(text, int, 40, 48), p.ages, u64(p.agesData), u64(2)],
    ['squares', mapType(long, long, 8, 16), p.squares, u64(p.squaresData), u64(20)],
    ['any', anyType([int, item]), p.any, u64(2), u64(p.itemsData)],
    ['nobody', anyType([int, item]), p.nobody, u64(0), u64(0)],
    ['circle', circle, p.circle, u32(1), u32(2), u32(3), u32(4), u64(0x4004_0000_0000_0000n)],
    ['wide', wideText, p.wide, u64(p.wideData), u64(3), u64(31), new Uint8Array(16)],
    [
      'broken',
      vectorType(int, 4),
      p.broken,
      u64(p.numbersData),
      u64(p.numbersData + 7n),
      u64(p.numbersData + 16n),
    ],
    [
      'tuple',
      base('(i32, (i32, i32))', 12, [
        field('__0', int, 0),
        field('__1', base('(i32, i32)', 8, [field('__0', int, 0), field('__1', int, 4)]), 4),
      ]),
      p.tuple,
      u32(5),
      u32(6),
      u32(7),
    ],
    [
      'lost',
      vectorType(int, 4),
      p.lost,
      u64(0x7f77_0000_0000n),
      u64(0x7f77_0000_0010n),
      u64(0x7f77_0000_0010n),
    ],
    ['lost_list', listType(int), p.lostList, u64(0x7f77_0000_1000n), u64(3)],
  ];
  for (const [name, type, address, ...bytes] of variables) {
    program.variable(name, type, { kind: 'memory', address });
    program.write(address, Buffer.concat(bytes));
  }
  program
    .variable('vector', t.pointer(vectorType(int, 4)), { kind: 'value', bytes: u64(p.numbers) })
    .variable('this', t.pointer(circle), { kind: 'value', bytes: u64(p.circle) })
    .variable('handle', text, { kind: 'value', bytes: shortText('abc') })
    .variable('main.total', long, { kind: 'global', link: 0x4000n })
    .variable('ns::limit', int, { kind: 'global', link: 0x4008n })
    .variable('i', int, { kind: 'value', bytes: u32(1) })
    .type('Item', item)
    .type('main.Item', t.typedef('main.Item', item))
    .type('Circle', circle)
    .type('Shape', shape)
    .type('Named', named);
  program
    .integer(0x5000_0000_4000n, 99, 8)
    .integer(0x5000_0000_4008n, 12, 4)
    .write(p.numbersData, Buffer.concat([u32(10), u32(20), u32(30), u32(40)]))
    .write(
      p.itemsData,
      Buffer.concat([u32(1), u32(0), shortText('first'), u32(2), u32(0), shortText('sec\0nd')]),
    )
    .write(p.longData, Buffer.from('a string that is not here'))
    .write(p.sharedCount, u64(2))
    .write(p.nodes, Buffer.concat([u64(p.nodes + 32n), u32(100), u32(0), new Uint8Array(16)]))
    .write(p.nodes + 32n, Buffer.concat([u64(p.nodes + 64n), u32(200), u32(0), new Uint8Array(16)]))
    .write(p.nodes + 64n, Buffer.concat([u64(0), u32(300), u32(0)]))
    .write(p.agesData, Buffer.concat([shortText('ada'), u32(36), u32(0), shortText('bob'), u32(41), u32(0)]))
    .write(
      p.squaresData,
      Buffer.concat(Array.from({ length: 20 }, (_, i) => Buffer.concat([u64(i), u64(i * i)]))),
    )
    .write(p.wideData, Buffer.from('a\u20acb', 'utf16le'));
  return program;
}
