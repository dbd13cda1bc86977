/** Pointers with a length: `&[T]`, `&str`, `Box<[T]>`, and the same in `Rc` and `Arc`. */
import { stripType } from '../layout.js';
import type { CompositeType } from '../type.js';
import type { View } from '../view.js';
import { partAt, targetOf, wordOf } from './layout.js';
import { pointeeName } from './names.js';
import { textBehind } from './text.js';
import { traitObjectView } from './trait-object.js';

/** The view of a pointer that is a struct; undefined for all other structs, and for pointers to structs that end in a slice. */
export function widePointerView(type: CompositeType): View | undefined {
  const pointee = pointeeName(type.name ?? '');
  if (pointee === undefined) return undefined;
  if (partAt(type, 'vtable') !== undefined) return traitObjectView(type);
  const text = textBehind(pointee, type);
  if (text !== undefined) return text;
  if (!pointee.startsWith('[')) return undefined;
  const data = wordOf(partAt(type, 'data_ptr'));
  const length = wordOf(partAt(type, 'length'));
  const element = targetOf(partAt(type, 'data_ptr'));
  if (data === undefined || length === undefined || element === undefined) return undefined;
  if (stripType(element).kind === 'void') return undefined;
  return { kind: 'sequence', data, length, element: () => element };
}
