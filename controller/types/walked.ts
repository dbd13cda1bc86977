/** What walks find, as values: places are given the types that the view says. */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import type { Found, WalkContext } from '../../format/walk/found.js';
import { walk } from '../../format/walk/walk.js';
import type { ObjectView } from './object-view.js';
import type { Type } from './type.js';
import type { Value } from './value.js';
import type { Entry, WalkedMapView, WalkedView } from './view.js';

/** The elements in their order, and why there are no more: missing or corrupt. */
export function* walkElements(
  view: WalkedView,
  object: ObjectView,
  context: WalkContext,
): Generator<Value | Absent> {
  const type = view.element();
  for (const found of walk(view.walk, object, context)) {
    yield isAbsent(found) ? found : elementOf(type, found);
  }
}

/** The same of a map. */
export function* walkEntries(
  view: WalkedMapView,
  object: ObjectView,
  context: WalkContext,
): Generator<Entry | Absent> {
  const [key, value] = [view.key(), view.value()];
  for (const found of walk(view.walk, object, context)) {
    yield isAbsent(found) ? found : entryOf({ key, value }, found);
  }
}

function elementOf(type: Type, found: Found): Value | Absent {
  if ('element' in found) return valueAt(type, found.element);
  if ('bit' in found) return { type, place: { kind: 'bytes', bytes: Uint8Array.of(found.bit) } };
  return absent('unsupported', 'the walk of its elements gives entries');
}

function entryOf(types: { readonly key: Type; readonly value: Type }, found: Found): Entry | Absent {
  if (!('key' in found)) return absent('unsupported', 'the walk of its entries gives elements');
  return { key: valueAt(types.key, found.key), value: valueAt(types.value, found.value) };
}

function valueAt(type: Type, at: bigint | Absent): Value {
  return {
    type,
    place: isAbsent(at) ? { kind: 'absent', absent: at } : { kind: 'memory', address: at },
  };
}
