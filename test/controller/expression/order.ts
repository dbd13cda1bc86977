/** The order service in little: the program that the tests of this folder look into. */
import type { CompositeType, EnumType, Type } from '../../../controller/types/type.js';
import * as t from '../../support/types.js';
import { Program } from './program.js';

export const tier: EnumType = t.enumeration('tier', { BRONZE: 0, SILVER: 1, GOLD: 2 });

export const customer: CompositeType = t.struct('customer', 48, () => [
  t.field('name', t.pointer(t.char), 0),
  t.field('tier', tier, 8),
  t.field('code', t.array(t.char, 8), 12),
  t.field('score', t.float, 20),
  t.field('balance', t.double, 24),
  t.field(
    'referrer',
    t.pointer(() => customer),
    32,
  ),
  t.field('parts', t.pointer(t.pointer(t.char)), 40),
]);

export const order: CompositeType = t.struct('order', 88, () => [
  t.field('id', t.long, 0),
  t.field('customer', t.pointer(customer), 8),
  t.field('total', t.long, 16),
  t.field('items', t.array(t.short, 4), 24),
  t.field('open', t.uint, 32, { bitOffset: 0, bitSize: 1 }),
  t.field('level', t.int, 32, { bitOffset: 1, bitSize: 4 }),
  t.field('flags', t.uint, 32, { bitOffset: 5, bitSize: 20 }),
  t.field('wide', t.ulong, 40, { bitOffset: 3, bitSize: 50 }),
  t.field('count', t.uint, 48),
  t.field('small', t.uchar, 52),
  t.field('tiny', t.schar, 53),
  t.field(undefined, t.union(undefined, 8, [t.field('raw', t.ulong, 0), t.field('ratio', t.double, 0)]), 56),
  t.field('data', t.pointer(t.voidType), 64),
  t.field('opaque', t.pointer(t.incompleteStruct('hidden')), 72),
  t.field('handler', t.pointer(t.functionType(t.int, [t.pointer(t.voidType)])), 80),
]);

export const orderAddress = 0x7f00_0000_1000n;
export const customerAddress = 0x7f00_0000_2000n;
export const nameAddress = 0x7f00_0000_3000n;
export const partsAddress = 0x7f00_0000_4000n;
export const stackAddress = 0x7ffc_0000_0000n;

const bytesOf = (value: number, size: 4 | 8): Uint8Array => {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return new Uint8Array(view.buffer);
};

/** A fresh program that a test may change. */
export function orderProgram(): Program {
  const program = new Program();
  const orderPointer = t.pointer(order);
  const sizeType = t.typedef('size_t', t.ulong);
  const aliases: readonly (readonly [string, Type])[] = [
    ['struct order', order],
    ['struct customer', customer],
    ['order_t', t.typedef('order_t', order)],
    ['size_t', sizeType],
    ['uint8_t', t.typedef('uint8_t', t.uchar)],
    ['enum tier', tier],
    ['struct hidden', t.incompleteStruct('hidden')],
  ];
  for (const [name, type] of aliases) program.type(name, type);
  program.registers[0] = 0x1122_3344_5566_7788n;
  program.registers[5] = orderAddress;
  program.registers[16] = 0x5000_0040_1136n;
  program
    .variable('order', orderPointer, { kind: 'register', register: 5 })
    .variable('i', t.int, { kind: 'memory', address: stackAddress })
    .variable('u', t.uint, { kind: 'memory', address: stackAddress + 8n })
    .variable('l', t.long, { kind: 'memory', address: stackAddress + 16n })
    .variable('ul', t.typedef('size_t', t.ulong), { kind: 'memory', address: stackAddress + 24n })
    .variable('c', t.char, { kind: 'memory', address: stackAddress + 32n })
    .variable('f', t.float, { kind: 'memory', address: stackAddress + 40n })
    .variable('d', t.double, { kind: 'memory', address: stackAddress + 48n })
    .variable('flag', t.bool, { kind: 'memory', address: stackAddress + 56n })
    .variable('grid', t.array(t.array(t.int, 3), 2), { kind: 'memory', address: stackAddress + 64n })
    .variable('big', t.int128, { kind: 'memory', address: stackAddress + 96n })
    .variable('ld', t.longDouble, { kind: 'memory', address: stackAddress + 112n })
    .variable('nothing', orderPointer, { kind: 'value', bytes: new Uint8Array(8) })
    .variable('pair', t.struct('pair', 8, [t.field('a', t.int, 0), t.field('b', t.short, 4)]), {
      kind: 'register',
      register: 0,
    })
    .variable('gone', t.int, {
      kind: 'absent',
      absent: { absent: 'optimized-out', detail: 'optimised out here' },
    })
    .variable('total_orders', t.long, { kind: 'global', link: 0x4000n })
    .variable("'stats.c'::hits", t.int, { kind: 'global', link: 0x4010n })
    .function('main', 0x1136n, t.functionType(t.int, []));
  program
    .integer(stackAddress, -7, 4)
    .integer(stackAddress + 8n, 4_000_000_000, 4)
    .integer(stackAddress + 16n, -5_000_000_000n, 8)
    .integer(stackAddress + 24n, 0xffff_ffff_ffff_fff0n, 8)
    .integer(stackAddress + 32n, 0x41, 1)
    .write(stackAddress + 40n, bytesOf(1.5, 4))
    .write(stackAddress + 48n, bytesOf(-2.25, 8))
    .integer(stackAddress + 56n, 1, 1)
    .integer(stackAddress + 96n, -(1n << 100n), 16)
    .write(stackAddress + 112n, [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f]) // 1.5
    .integer(stackAddress + 122n, 0, 6)
    .integer(0x4000n + 0x5000_0000_0000n, 123_456, 8)
    .integer(0x4010n + 0x5000_0000_0000n, 7, 4);
  for (let k = 0; k < 6; k++) program.integer(stackAddress + 64n + BigInt(4 * k), k * 10, 4);
  program
    .integer(orderAddress, 42, 8)
    .integer(orderAddress + 8n, customerAddress, 8)
    .integer(orderAddress + 16n, 12_000, 8)
    .integer(orderAddress + 24n, 0x0004_0003_fffe_0001n, 8)
    .integer(orderAddress + 32n, 1n | (0b1101n << 1n) | (0xabcden << 5n), 8)
    .integer(orderAddress + 40n, 0x3_1234_5678_9abcn << 3n, 8)
    .integer(orderAddress + 48n, 3_000_000_000, 4)
    .integer(orderAddress + 52n, 200, 1)
    .integer(orderAddress + 53n, -100, 1)
    .write(orderAddress + 56n, bytesOf(0.1, 8))
    .integer(orderAddress + 64n, nameAddress, 8)
    .integer(orderAddress + 72n, 0x10n, 8)
    .integer(orderAddress + 80n, 0x5000_0000_1136n, 8);
  program
    .integer(customerAddress, nameAddress, 8)
    .integer(customerAddress + 8n, 2, 4)
    .write(customerAddress + 12n, [0x41, 0x42, 0x43, 0x2d, 0x31, 0x32, 0x33, 0x34]) // ABC-1234, full
    .write(customerAddress + 20n, bytesOf(0.1, 4))
    .write(customerAddress + 24n, bytesOf(99.5, 8))
    .integer(customerAddress + 32n, 0, 8)
    .integer(customerAddress + 40n, partsAddress, 8);
  program.text(nameAddress, 'Ada Lovelace');
  program.integer(partsAddress, nameAddress, 8).integer(partsAddress + 8n, nameAddress + 4n, 8);
  return program;
}
