/** std::unique_ptr, shared_ptr, weak_ptr, reference_wrapper: what they point to, and who else does. */
import { asComposite, asPointer, isVoid, stripType } from '../layout.js';
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { Fact, View } from '../view.js';
import { firstElement } from './records.js';
import { argument, firstPartOf, minus, type Part, partOf, plus, pointerIn, wordAt } from './part.js';

export function uniquePointerView(type: Type): View | undefined {
  // NB: the deleter may be a pointer, too.
  const tuple = firstPartOf(type, ['_M_t', '_M_t'], ['_M_t']);
  const pointer = firstElement(tuple) ?? firstPartOf(type, ['__ptr_', '__value_'], ['__ptr_']);
  return pointing(type, pointer, pointerIn(pointer));
}

export function referenceWrapperView(type: Type): View | undefined {
  const pointer = firstPartOf(type, ['_M_data'], ['__f_']);
  return pointing(type, pointer, pointerIn(pointer));
}

export function sharedPointerView(type: Type): View | undefined {
  const pointer = firstPartOf(type, ['_M_ptr'], ['__ptr_']);
  return pointing(type, pointer, pointerIn(pointer), countsOf(type)?.facts);
}

/** An object that is gone is no object: what the pointer leads to is shown only while somebody owns it. */
export function weakPointerView(type: Type): View | undefined {
  const pointer = firstPartOf(type, ['_M_ptr'], ['__ptr_']);
  const target = pointerIn(pointer);
  const counts = countsOf(type);
  if (target === undefined || counts === undefined) return undefined;
  const [uses] = counts.facts;
  if (uses === undefined) return undefined;
  const isGone = binary(uses.value, '==', constant(0));
  return pointing(type, pointer, choose(isGone, constant(0), target), counts.facts);
}

function pointing(
  type: Type,
  pointer: Part | undefined,
  recipe: Recipe | undefined,
  facts?: readonly Fact[],
): View | undefined {
  const target = pointer === undefined ? undefined : asPointer(pointer.type)?.target();
  if (recipe === undefined || target === undefined) return undefined;
  // The same type, as the program calls it.
  const named = argument(type, 0);
  const shown = named !== undefined && stripType(named) === stripType(target) ? named : target;
  return {
    kind: 'pointer',
    pointer: recipe,
    target: () => shown,
    ...(facts === undefined ? {} : { facts }),
  };
}

/** Counts of owners and observers; undefined where nothing is known of the block that has them. */
function countsOf(type: Type): { readonly facts: readonly Fact[] } | undefined {
  const control = firstPartOf(type, ['_M_refcount', '_M_pi'], ['__cntrl_']);
  const block = pointerIn(control);
  const target = control === undefined ? undefined : asPointer(control.type)?.target();
  if (block === undefined || target === undefined || isVoid(target)) return undefined;
  const loaded = (part: Part | undefined): Recipe | undefined => {
    const word = wordAt(part);
    if (part === undefined || word?.op !== 'field') return undefined;
    const address = plus(block, constant(part.offset));
    return { op: 'load', address, size: word.size, ...(word.signed === true ? { signed: true } : {}) };
  };
  const counts =
    libstdcxxCounts(target, loaded) ?? libcxxCounts(target, loaded) ?? declaredCounts(target, loaded);
  if (counts === undefined) return undefined;
  const { uses, observers } = counts;
  const unlessNone = (value: Recipe): Recipe => choose(binary(block, '==', constant(0)), constant(0), value);
  return {
    facts: [
      { name: 'use_count', value: unlessNone(uses) },
      { name: 'weak_count', value: unlessNone(observers) },
    ],
  };
}

interface Counts {
  readonly uses: Recipe;
  /** Weak pointers. */
  readonly observers: Recipe;
}

type Loader = (part: Part | undefined) => Recipe | undefined;

/** All owners together count as one observer. */
function libstdcxxCounts(block: Type, loaded: Loader): Counts | undefined {
  const uses = loaded(partOf(block, '_M_use_count'));
  const weak = loaded(partOf(block, '_M_weak_count'));
  if (uses === undefined || weak === undefined) return undefined;
  return { uses, observers: choose(uses, minus(weak, constant(1)), weak) };
}

/**
 * clang describes libc++'s block only where its functions are compiled. It is part of the interface of the library's binary, whose version its namespace is: in
 * version 1 the words after the pointer to the vtable are the counts.
 */
function declaredCounts(block: Type, loaded: Loader): Counts | undefined {
  if (asComposite(block)?.name !== 'std::__1::__shared_weak_count') return undefined;
  const word: Type = { kind: 'base', name: 'long', byteSize: 8, encoding: 'signed' };
  return libcxxBlock(loaded({ type: word, offset: 8 }), loaded({ type: word, offset: 16 }));
}

function libcxxCounts(block: Type, loaded: Loader): Counts | undefined {
  return libcxxBlock(
    loaded(partOf(block, '__shared_owners_')),
    loaded(partOf(block, '__shared_weak_owners_')),
  );
}

/** Counts are one less than what they count. */
function libcxxBlock(owners: Recipe | undefined, weak: Recipe | undefined): Counts | undefined {
  if (owners === undefined || weak === undefined) return undefined;
  const uses = plus(owners, constant(1));
  return { uses, observers: choose(uses, weak, plus(weak, constant(1))) };
}
