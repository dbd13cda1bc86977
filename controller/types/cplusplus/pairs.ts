/** Key and value of a map's node: a std::pair, which libc++ before LLVM 20 has in a wrapper of its own. */
import type { Held } from '../blocks.js';
import type { Type } from '../type.js';
import { argument, firstPartOf, partOf } from './part.js';
import { sizeOf } from '../layout.js';

export interface KeyAndValue {
  readonly key: () => Type;
  readonly value: () => Type;
  /** Offsets in a node. */
  readonly holds: { readonly key: number; readonly value: number };
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
  const holds = { key: storage.offset + first.offset, value: storage.offset + second.offset };
  return { key: () => key, value: () => value, holds };
}

/** The same for a plan, which brings nodes whole. */
export function heldEntry({ key, value, holds }: KeyAndValue): Held {
  return [
    { type: key, offset: holds.key },
    { type: value, offset: holds.value },
  ];
}
