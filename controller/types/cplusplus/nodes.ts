/** Objects in the nodes of containers. */
import { sizeOf } from '../layout.js';
import type { Type } from '../type.js';
import type { Value } from '../value.js';

export function valueAt(type: Type, address: bigint): Value {
  return { type, place: { kind: 'memory', address: BigInt.asUintN(64, address) } };
}

/** The size that elements lie apart by; undefined where it is not known. */
export function strideOf(element: Type | undefined): number | undefined {
  const size = element === undefined ? undefined : sizeOf(element);
  return size === 0 ? undefined : size;
}
