import type { Type } from '../type.js';
import type { View } from '../view.js';

/** The view of a type of Go; undefined where it has none. */
export function goView(_type: Type): View | undefined {
  return undefined;
}
