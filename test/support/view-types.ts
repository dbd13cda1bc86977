/**
 * A library of types of its own with one view of each kind, so that tests of what reads views depend on no language. All are `tagless` structs of 64-bit fields.
 */
import { absent, isAbsent } from '../../format/absent.js';
import { addressAt, binary, choose, computeRecipe, constant, pointerAt } from '../../format/recipe/recipe.js';
import type { CompositeType, Member, Type } from '../../controller/types/type.js';
import type { Block, DynamicView, View, WalkedMapView, WalkedView } from '../../controller/types/view.js';
import { char, field, int, long, pointer, struct, uchar } from './types.js';

export function viewed(
  name: string,
  byteSize: number,
  members: readonly Member[] | (() => readonly Member[]),
  view: View,
): CompositeType {
  return {
    ...struct(name, byteSize, members),
    tagless: true,
    origin: { language: 'c++', templateArguments: () => [], findType: () => undefined, view },
  };
}

/** `{data, size, capacity}`; short ones (`capacity < 16`) lie in the object, at 24. */
export function stringType(unit: Type = char, name = 'Text'): CompositeType {
  const isShort = binary(pointerAt(16), '<', constant(16));
  return viewed(
    name,
    40,
    [
      field('data', pointer(unit), 0),
      field('size', long, 8),
      field('capacity', long, 16),
      field('local', long, 24),
    ],
    {
      kind: 'string',
      data: choose(isShort, addressAt(24), pointerAt(0)),
      length: pointerAt(8),
      capacity: pointerAt(16),
      unit,
    },
  );
}

/** `{begin, end, limit}`, as std::vector. */
export function vectorType(element: Type, size: number, name = 'Vector'): CompositeType {
  const bytes = binary(pointerAt(8), '-', pointerAt(0));
  const length = binary(bytes, '/', constant(size));
  return viewed(
    name,
    24,
    [
      field('begin', pointer(element), 0),
      field('end', pointer(element), 8),
      field('limit', pointer(element), 16),
    ],
    {
      kind: 'sequence',
      data: pointerAt(0),
      length,
      capacity: binary(binary(pointerAt(16), '-', pointerAt(0)), '/', constant(size)),
      valid: binary(binary(length, '*', constant(size)), '==', bytes),
      element: () => element,
    },
  );
}

/** `{object, count}`. */
export function sharedType(target: Type | (() => Type), name = 'Shared'): CompositeType {
  const to = typeof target === 'function' ? target : (): Type => target;
  return viewed(name, 16, [field('object', pointer(to), 0), field('count', pointer(long), 8)], {
    kind: 'pointer',
    pointer: pointerAt(0),
    target: to,
    facts: [{ name: 'use_count', value: { op: 'load', address: pointerAt(8), size: 8 } }],
  });
}

/** `{tag: 1 byte, value at 8}`: 0 none, 1 a value. */
export function optionalType(content: Type, byteSize: number, name = 'Maybe'): CompositeType {
  return viewed(name, 8 + byteSize, [field('tag', uchar, 0), field('content', content, 8)], {
    kind: 'variant',
    discriminant: { op: 'field', offset: 0, size: 1 },
    alternatives: [
      { name: 'None', discriminants: [{ from: 0n, to: 0n }], role: 'empty' },
      {
        name: 'Some',
        discriminants: [{ from: 1n, to: 1n }],
        role: 'value',
        content: { type: () => content, offset: 8 },
      },
    ],
  });
}

/** `{tag: 8 bytes, payload at 8}`: 0 Ok, 1 Err. */
export function resultType(value: Type, error: Type, byteSize: number, name = 'Outcome'): CompositeType {
  return viewed(name, 8 + byteSize, [field('tag', long, 0)], {
    kind: 'variant',
    discriminant: pointerAt(0),
    alternatives: [
      {
        name: 'Ok',
        discriminants: [{ from: 0n, to: 0n }],
        role: 'value',
        content: { type: () => value, offset: 8 },
      },
      {
        name: 'Err',
        discriminants: [{ from: 1n, to: 1n }],
        role: 'error',
        content: { type: () => error, offset: 8 },
      },
    ],
  });
}

/** `{value, borrows}`. */
export function cellType(content: Type, offset = 8, name = 'Cell'): CompositeType {
  return viewed(name, 16, [field('borrows', long, 0), field('content', content, offset)], {
    kind: 'wrapper',
    content: { type: () => content, offset },
    facts: [{ name: 'borrow', value: pointerAt(0) }],
  });
}

/** `{first, size}` of nodes `{next, element}`. */
export function listType(element: Type, size = 4, name = 'List'): CompositeType {
  const block: Block = {
    address: pointerAt(0),
    bytes: constant(8 + size),
    maxBytes: 8 + size,
    holds: [{ type: () => element, offset: 8 }],
    next: () => [block],
  };
  const view: WalkedView = {
    kind: 'walked',
    length: pointerAt(8),
    blocks: () => [block],
    element: () => element,
    noun: 'list',
    walk: { kind: 'node-chain', first: pointerAt(0), next: 0, element: 8 },
  };
  return viewed(name, 16, [field('first', pointer(long), 0), field('size', long, 8)], view);
}

/** `{entries, count}` of `{key, value}`, one after another. */
export function mapType(key: Type, value: Type, keyBytes: number, entryBytes: number): CompositeType {
  const block: Block = {
    address: pointerAt(0),
    bytes: binary(pointerAt(8), '*', constant(entryBytes)),
    maxBytes: 64 * entryBytes,
    objects: [0, 1, 2].flatMap((i) => [
      {
        type: () => key,
        address: binary(pointerAt(0), '+', constant(i * entryBytes)),
        exists: binary(constant(i), '<', pointerAt(8)),
      },
      {
        type: () => value,
        address: binary(pointerAt(0), '+', constant(i * entryBytes + keyBytes)),
        exists: binary(constant(i), '<', pointerAt(8)),
      },
    ]),
  };
  const view: WalkedMapView = {
    kind: 'map',
    length: pointerAt(8),
    blocks: () => [block],
    key: () => key,
    value: () => value,
    walk: {
      kind: 'array',
      data: pointerAt(0),
      length: pointerAt(8),
      stride: entryBytes,
      holds: { key: 0, value: keyBytes },
    },
  };
  return viewed('Map', 16, [field('entries', pointer(long), 0), field('count', long, 8)], view);
}

/** `{type, object}`: the type is an index into what is given; 0 is none. */
export function anyType(types: readonly Type[]): CompositeType {
  const view: DynamicView = {
    kind: 'dynamic',
    blocks: () => [{ address: pointerAt(8), bytes: constant(64), maxBytes: 64 }],
    isNone: binary(pointerAt(0), '==', constant(0)),
    resolve(object, { memory }) {
      const index = computeRecipe(pointerAt(0), object, memory);
      if (isAbsent(index)) return index;
      if (index === 0n) return undefined;
      const type = types[Number(index) - 1];
      if (type === undefined) return absent('unreadable', 'the object is corrupt: no such type');
      const address = computeRecipe(pointerAt(8), object, memory);
      if (isAbsent(address)) return address;
      return { type, place: objectPlace(address) };
    },
  };
  return viewed('Any', 16, [field('type', long, 0), field('object', pointer(long), 8)], view);
}

function objectPlace(address: bigint): { readonly kind: 'memory'; readonly address: bigint } {
  return { kind: 'memory', address };
}

/** `{id: int at 0, name: Text at 8}`. */
export const order: CompositeType = struct('Order', 48, [
  field('id', int, 0),
  field('name', stringType(), 8),
]);
