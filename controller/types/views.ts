import { cplusplusView } from './cplusplus/view.js';
import { goView } from './go/view.js';
import { originOf } from './language.js';
import { rustView } from './rust/view.js';
import type { Type } from './type.js';
import type { View } from './view.js';

const known = new WeakMap<Type, { readonly view: View | undefined }>();

/** The view of a type, typedefs and all; undefined where an object is shown as it is declared. Found once a type. */
export function viewOf(type: Type): View | undefined {
  const found = known.get(type);
  if (found !== undefined) return found.view;
  const view = find(type);
  known.set(type, { view });
  return view;
}

function find(type: Type): View | undefined {
  const origin = originOf(type);
  if (origin?.view !== undefined) return origin.view;
  switch (origin?.language) {
    case 'c++':
      return cplusplusView(type);
    case 'rust':
      return rustView(type);
    case 'go':
      return goView(type);
    case undefined:
      return undefined;
  }
}
