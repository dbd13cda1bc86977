/** Key and value of a map's node: a std::pair, which libc++ before LLVM 20 has in a wrapper of its own. */
import type { Held } from '../blocks.js';
import type { Type } from '../type.js';
import type { Entry } from '../view.js';
import { valueAt } from './nodes.js';
import { argument, firstPartOf, partOf } from './part.js';
import { sizeOf } from '../layout.js';

export interface KeyAndValue {
  readonly key: () => Type;
  readonly value: () => Type;
  /** In a node. */
  readonly keyOffset: number;
  readonly valueOffset: number;
}

/** Where they lie in a node: by the pair that is the template argument of the node, laid where the node stores it. */
export function keyAndValue(container: Type, node: Type): KeyAndValue | undefined {
  const storage = firstPartOf(node, ['_M_storage'], ['__value_'], ['_M_data']);
  const stored = argument(node, 0);
  if (storage === undefined || stored === undefined) return undefined;
  const pair = firstPartOf({ type: stored, offset: 0 }, ['__cc'], ['__cc_']) ?? { type: stored, offset: 0 };
  const [first, second] = [partOf(pair, 'first'), partOf(pair, 'second')];
  const [whole, size] = [sizeOf(node), sizeOf(stored)];
  const [key, value] = [argument(container, 0), argument(container, 1)];
  if (first === undefined || second === undefined || key === undefined || value === undefined)
    return undefined;
  if (whole === undefined || size === undefined || storage.offset + size > whole) return undefined;
  if (sizeOf(key) !== sizeOf(first.type) || sizeOf(value) !== sizeOf(second.type)) return undefined;
  const [keyOffset, valueOffset] = [storage.offset + first.offset, storage.offset + second.offset];
  return { key: () => key, value: () => value, keyOffset, valueOffset };
}

/** The same for a plan, which brings nodes whole. */
export function heldEntry({ key, value, keyOffset, valueOffset }: KeyAndValue): Held {
  return [
    { type: key, offset: keyOffset },
    { type: value, offset: valueOffset },
  ];
}

export function entryOf(pair: KeyAndValue, node: bigint): Entry {
  return {
    key: valueAt(pair.key(), node + BigInt(pair.keyOffset)),
    value: valueAt(pair.value(), node + BigInt(pair.valueOffset)),
  };
}
