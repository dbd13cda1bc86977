import type { Type } from '../type.js';
import type { View } from '../view.js';

/** The view of a type of C++; undefined where it has none. */
export function cplusplusView(_type: Type): View | undefined {
  return undefined;
}
