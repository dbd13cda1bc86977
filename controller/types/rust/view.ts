import type { Type } from '../type.js';
import type { View } from '../view.js';

/** The view of a type of Rust; undefined where it has none. */
export function rustView(_type: Type): View | undefined {
  return undefined;
}
