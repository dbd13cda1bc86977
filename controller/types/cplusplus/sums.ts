/** std::optional and std::variant: one of several, and which. */
import { sizeOf } from '../layout.js';
import { typeName } from '../type-name.js';
import type { Type } from '../type.js';
import type { Alternative, View } from '../view.js';
import { argument, firstPartOf, wordAt } from './part.js';
import { spokenName } from './spoken-name.js';

export function optionalView(type: Type): View | undefined {
  const engaged = firstPartOf(type, ['_M_payload', '_M_engaged'], ['__engaged_']);
  const content = firstPartOf(
    type,
    ['_M_payload', '_M_payload', '_M_value'],
    ['_M_payload', '_M_payload'],
    ['__val_'],
  );
  const value = argument(type, 0);
  const discriminant = wordAt(engaged);
  if (discriminant === undefined || content === undefined || value === undefined) return undefined;
  if (sizeOf(content.type) !== sizeOf(value)) return undefined;
  return {
    kind: 'variant',
    discriminant,
    alternatives: [
      { name: 'nullopt', discriminants: [{ from: 0n, to: 0n }], role: 'empty' },
      {
        name: 'value',
        discriminants: [{ from: 1n, to: 1n }],
        content: { type: () => value, offset: content.offset },
        role: 'value',
      },
    ],
  };
}

/** All alternatives begin where the first one does; the highest index says that there is none (`valueless_by_exception`). */
export function variantView(type: Type): View | undefined {
  const index = firstPartOf(type, ['_M_index'], ['__impl', '__index'], ['__impl_', '__index']);
  const storage = firstPartOf(type, ['_M_u'], ['__impl', '__data'], ['__impl_', '__data']);
  const word = wordAt(index);
  if (word?.op !== 'field' || storage === undefined) return undefined;
  const { offset, size } = word;
  const types = alternativesOf(type);
  const room = sizeOf(storage.type);
  if (types === undefined || types.length === 0 || room === undefined) return undefined;
  if (types.some((each) => (sizeOf(each) ?? Infinity) > room)) return undefined;
  const names = distinct(types.map((each) => spokenName(typeName(each))));
  const alternatives = types.map((each, i): Alternative => {
    const at = BigInt(i);
    const content = { type: () => each, offset: storage.offset };
    return { name: names[i] ?? '', discriminants: [{ from: at, to: at }], content, role: 'value' };
  });
  const none = (1n << BigInt(size * 8)) - 1n;
  return {
    kind: 'variant',
    discriminant: { op: 'field', offset, size },
    alternatives: [
      ...alternatives,
      { name: 'valueless', discriminants: [{ from: none, to: none }], role: 'empty' },
    ],
  };
}

function alternativesOf(type: Type): Type[] | undefined {
  const types: Type[] = [];
  for (let i = 0; i < 256; i++) {
    const each = argument(type, i);
    if (each === undefined) return types;
    types.push(each);
  }
  return undefined;
}

/** Alternatives of one type are told apart by their index. */
function distinct(names: readonly string[]): string[] {
  return names.map((name, i) => (names.indexOf(name) === names.lastIndexOf(name) ? name : `${name}#${i}`));
}
