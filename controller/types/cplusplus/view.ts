/**
 * How types of C++ are shown: those of the standard library as what they stand for, by the names of their members. Whether it is libstdc++ or
 * libc++ is told by these, not by namespaces: a layout that is neither's has no view, and is shown as it is declared.
 */
import { asComposite } from '../layout.js';
import type { Type } from '../type.js';
import type { View } from '../view.js';
import { bitsetView, vectorOfBoolView } from './bits.js';
import { dequeView } from './deques.js';
import { anyView, functionView } from './erased.js';
import { hashMapView, hashSetView } from './hashes.js';
import { libraryName } from './library-name.js';
import { forwardListView, listView } from './lists.js';
import { argument } from './part.js';
import { referenceWrapperView, sharedPointerView, uniquePointerView, weakPointerView } from './pointers.js';
import { complexView, pairView, tupleView } from './records.js';
import { arrayView, initializerListView, spanView, vectorView } from './sequences.js';
import { pathView, stringView, stringViewView } from './strings.js';
import { optionalView, variantView } from './sums.js';
import { treeMapView, treeSetView } from './trees.js';
import { adapterView, atomicFlagView, atomicView, durationView, timePointView } from './wrappers.js';

const views: ReadonlyMap<string, (type: Type) => View | undefined> = new Map([
  ['basic_string', stringView],
  ['basic_string_view', stringViewView],
  ['filesystem::path', pathView],
  ['vector', (type) => vectorView(type) ?? vectorOfBoolView(type)],
  ['array', arrayView],
  ['span', spanView],
  ['initializer_list', initializerListView],
  ['bitset', bitsetView],
  ['deque', dequeView],
  ['list', listView],
  ['forward_list', forwardListView],
  ['map', treeMapView],
  ['multimap', treeMapView],
  ['set', (type) => treeSetView(type, 'set', argument(type, 0))],
  ['multiset', (type) => treeSetView(type, 'multiset', argument(type, 0))],
  ['unordered_map', hashMapView],
  ['unordered_multimap', hashMapView],
  ['unordered_set', (type) => hashSetView(type, 'unordered_set', argument(type, 0))],
  ['unordered_multiset', (type) => hashSetView(type, 'unordered_multiset', argument(type, 0))],
  ['pair', pairView],
  ['tuple', tupleView],
  ['complex', complexView],
  ['optional', optionalView],
  ['variant', variantView],
  ['any', anyView],
  ['function', functionView],
  ['unique_ptr', uniquePointerView],
  ['shared_ptr', sharedPointerView],
  ['weak_ptr', weakPointerView],
  ['reference_wrapper', referenceWrapperView],
  ['atomic', atomicView],
  ['atomic_flag', atomicFlagView],
  ['chrono::duration', durationView],
  ['chrono::time_point', timePointView],
  ['stack', adapterView],
  ['queue', adapterView],
  ['priority_queue', adapterView],
]);

/** The view of a type of C++; undefined where it has none. */
export function cplusplusView(type: Type): View | undefined {
  const composite = asComposite(type);
  if (composite?.name === undefined || composite.incomplete) return undefined;
  const name = libraryName(composite.name);
  return name === undefined ? undefined : views.get(name)?.(composite);
}
