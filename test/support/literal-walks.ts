/** One container of each kind in literal memory, at 0x1000, and what is found in it. */
import { addressAt, pointerAt } from '../../format/recipe/recipe.js';
import type { Found } from '../../format/walk/found.js';
import type { WordPlace } from '../../format/walk/read.js';
import type { Walk } from '../../format/walk/walk.js';
import { at, type LiteralRange, u16, u64 } from './literal-memory.js';

export interface LiteralContainer {
  readonly walk: Walk;
  readonly memory: readonly LiteralRange[];
  readonly found: readonly Found[];
}

const words = (address: bigint, ...values: readonly (bigint | number)[]): LiteralRange =>
  at(address, ...values.map((value) => u64(value)));
const word = (index: number): WordPlace => ({ offset: index * 8, size: 8 });
const elements = (...addresses: readonly bigint[]): Found[] => addresses.map((element) => ({ element }));
const entries = (...nodes: readonly bigint[]): Found[] =>
  nodes.map((node) => ({ key: node, value: node + 8n }));
const bits = (...values: readonly (0 | 1)[]): Found[] => values.map((bit) => ({ bit }));
const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const field = (index: number): ReturnType<typeof pointerAt> => pointerAt(index * 8);

export const literalContainers: { readonly [K in Walk['kind']]: LiteralContainer } = {
  array: {
    walk: {
      kind: 'array',
      data: field(0),
      length: field(1),
      capacity: field(2),
      stride: 16,
      holds: { key: 0, value: 8 },
    },
    memory: [words(0x1000n, 0x2000, 2, 3)],
    found: entries(0x2000n, 0x2010n),
  },
  page: {
    walk: {
      kind: 'page',
      of: { kind: 'array', data: field(0), length: field(1), stride: 4, holds: { element: 0 } },
      from: 1,
      to: 3,
    },
    memory: [words(0x1000n, 0x2000, 9)],
    found: elements(0x2004n, 0x2008n),
  },
  tree: {
    walk: {
      kind: 'tree',
      header: addressAt(8),
      root: field(2),
      first: field(3),
      count: field(5),
      parent: 8,
      left: 16,
      right: 24,
      holds: { key: 32, value: 40 },
    },
    memory: [
      words(0x1000n, 0, 0, 0x2000, 0x3000, 0x4000, 3),
      words(0x2000n, 1, 0x1008, 0x3000, 0x4000, 2, 20),
      words(0x3000n, 0, 0x2000, 0, 0, 1, 10),
      words(0x4000n, 0, 0x2000, 0, 0, 3, 30),
    ],
    found: entries(0x3020n, 0x2020n, 0x4020n),
  },
  'b-tree': {
    walk: {
      kind: 'b-tree',
      root: field(0),
      height: field(1),
      length: field(2),
      node: { parent: 0, parentIndex: 8, length: 10, edges: 32, capacity: 2 },
      key: { offset: 16, stride: 8 },
    },
    memory: [
      words(0x1000n, 0x2000, 1, 4),
      at(
        0x2000n,
        u64(0),
        u16(0),
        u16(1),
        bytes(0, 0, 0, 0),
        u64(3),
        u64(0),
        u64(0x3000),
        u64(0x4000),
        u64(0),
      ),
      at(0x3000n, u64(0x2000), u16(0), u16(2), bytes(0, 0, 0, 0), u64(1), u64(2)),
      at(0x4000n, u64(0x2000), u16(1), u16(1), bytes(0, 0, 0, 0), u64(4), u64(0)),
    ],
    found: elements(0x3010n, 0x3018n, 0x2010n, 0x4010n),
  },
  'hash-table': {
    walk: {
      kind: 'hash-table',
      ctrl: field(0),
      bucketMask: field(1),
      growthLeft: field(2),
      items: field(3),
      stride: 16,
      holds: { key: 0, value: 8 },
      groupWidths: [16],
    },
    memory: [
      words(0x1000n, 0x2000, 3, 1, 2),
      at(
        0x2000n,
        bytes(0x11, 0xff, 0x22, 0xff),
        bytes(...Array.from({ length: 12 }, () => 0xff)),
        bytes(0x11, 0xff, 0x22, 0xff),
      ),
    ],
    found: entries(0x1ff0n, 0x1fd0n),
  },
  'node-hash': {
    walk: {
      kind: 'node-hash',
      buckets: field(0),
      bucketCount: field(1),
      before: addressAt(16),
      first: field(2),
      count: field(3),
      next: 0,
      code: 16,
      holds: { element: 8 },
    },
    memory: [
      words(0x1000n, 0x5000, 4, 0x2000, 3),
      words(0x2000n, 0x3000, 1, 5),
      words(0x3000n, 0x4000, 2, 5),
      words(0x4000n, 0, 3, 6),
      words(0x5000n, 0, 0x1010, 0x3000, 0),
    ],
    found: elements(0x2008n, 0x3008n, 0x4008n),
  },
  'node-ring': {
    walk: { kind: 'node-ring', end: addressAt(0), first: field(0), next: 0, previous: 8, element: 16 },
    memory: [
      words(0x1000n, 0x2000, 0x3000, 2),
      words(0x2000n, 0x3000, 0x1000, 1),
      words(0x3000n, 0x1000, 0x2000, 2),
    ],
    found: elements(0x2010n, 0x3010n),
  },
  'node-chain': {
    walk: { kind: 'node-chain', first: field(0), next: 0, element: 8 },
    memory: [words(0x1000n, 0x2000), words(0x2000n, 0x3000, 1), words(0x3000n, 0, 2)],
    found: elements(0x2008n, 0x3008n),
  },
  'linked-list': {
    walk: { kind: 'linked-list', head: field(0), length: field(2), element: 0, next: 8, previous: 16 },
    memory: [words(0x1000n, 0x2000, 0x3000, 2), words(0x2000n, 1, 0x3000, 0), words(0x3000n, 2, 0, 0x2000)],
    found: elements(0x2000n, 0x3000n),
  },
  'block-range': {
    walk: {
      kind: 'block-range',
      start: { entry: field(0), at: field(1), first: field(2), last: field(3) },
      finish: { entry: field(4), at: field(5), first: field(6) },
      stride: 8,
      perBlock: 2,
    },
    memory: [
      words(0x1000n, 0x5000, 0x2008, 0x2000, 0x2010, 0x5010, 0x4008, 0x4000),
      words(0x5000n, 0x2000, 0x3000, 0x4000),
    ],
    found: elements(0x2008n, 0x3000n, 0x3008n, 0x4000n),
  },
  'block-index': {
    walk: {
      kind: 'block-index',
      mapBegin: field(0),
      mapEnd: field(1),
      start: field(2),
      length: field(3),
      stride: 4,
      perBlock: 2,
    },
    memory: [words(0x1000n, 0x5000, 0x5010, 1, 3), words(0x5000n, 0x2000, 0x3000)],
    found: elements(0x2004n, 0x3000n, 0x3004n),
  },
  'bit-range': {
    walk: { kind: 'bit-range', start: field(0), finish: field(1), startBit: field(2), finishBit: field(3) },
    memory: [words(0x1000n, 0x2000, 0x2000, 0, 3), words(0x2000n, 0b101)],
    found: bits(1, 0, 1),
  },
  'bit-count': {
    walk: { kind: 'bit-count', data: field(0), length: field(1), words: field(2) },
    memory: [words(0x1000n, 0x2000, 66, 2), words(0x2000n, 0, 0b10)],
    found: bits(...Array.from({ length: 64 }, () => 0 as const), 0, 1),
  },
  'bit-fields': {
    walk: { kind: 'bit-fields', offset: 8, count: 4 },
    memory: [words(0x1000n, 0, 0b0110)],
    found: bits(0, 1, 1, 0),
  },
  channel: {
    walk: {
      kind: 'channel',
      channel: field(0),
      words: { qcount: word(0), dataqsiz: word(1), buf: word(2), elemsize: word(3), recvx: word(4) },
      stride: 8,
    },
    memory: [words(0x1000n, 0x2000), words(0x2000n, 3, 4, 0x3000, 8, 2)],
    found: elements(0x3010n, 0x3018n, 0x3000n),
  },
  'go-map': {
    walk: {
      kind: 'go-map',
      map: field(0),
      words: { count: word(0), flags: word(1), B: word(2), buckets: word(3), oldbuckets: word(4) },
      bucket: {
        bytes: 48,
        slots: 2,
        tophash: 0,
        key: { offset: 8, stride: 8, isIndirect: false },
        value: { offset: 24, stride: 8, isIndirect: true },
        overflow: 40,
      },
    },
    memory: [
      words(0x1000n, 0x2000),
      words(0x2000n, 2, 0, 0, 0x3000, 0),
      at(0x3000n, bytes(5, 0, 0, 0, 0, 0, 0, 0), u64(1), u64(0), u64(0x5000), u64(0), u64(0x4000)),
      at(0x4000n, bytes(1, 9, 0, 0, 0, 0, 0, 0), u64(0), u64(2), u64(0), u64(0x5008), u64(0)),
      words(0x5000n, 10, 20),
    ],
    found: [
      { key: 0x3008n, value: 0x5000n },
      { key: 0x4010n, value: 0x5008n },
    ],
  },
  'go-swiss-map': {
    walk: {
      kind: 'go-swiss-map',
      map: field(0),
      words: { used: word(0), dirPtr: word(1), dirLen: word(2), writing: word(3) },
      table: { used: word(0), capacity: word(1), index: word(2), data: word(3), lengthMask: word(4) },
      group: {
        bytes: 40,
        control: 0,
        slots: 2,
        slotBytes: 16,
        key: { offset: 8, isIndirect: false },
        value: { offset: 16, isIndirect: false },
      },
    },
    memory: [
      words(0x1000n, 0x2000),
      words(0x2000n, 2, 0x3000, 4, 0),
      words(0x3000n, 0x4000, 0x4000, 0x5000, 0x5000),
      words(0x4000n, 1, 2, 0, 0x6000, 0),
      words(0x5000n, 1, 2, 2, 0x7000, 0),
      at(0x6000n, bytes(1, 0x80, 0, 0, 0, 0, 0, 0), u64(1), u64(10), u64(0), u64(0)),
      at(0x7000n, bytes(0xfe, 2, 0, 0, 0, 0, 0, 0), u64(0), u64(0), u64(2), u64(20)),
    ],
    found: entries(0x6008n, 0x7018n),
  },
  'ring-buffer': {
    walk: {
      kind: 'ring-buffer',
      data: field(0),
      head: field(1),
      length: field(2),
      capacity: field(3),
      stride: 8,
    },
    memory: [words(0x1000n, 0x2000, 2, 3, 4)],
    found: elements(0x2010n, 0x2018n, 0x2000n),
  },
};
