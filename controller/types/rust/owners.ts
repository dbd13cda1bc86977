/** What owns, shares or borrows an object: `Rc`, `Arc`, `Weak`, `Ref`, and the guards of locks. A thin `Box` is a pointer and needs no view. */
import { stripType } from '../layout.js';
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { CompositeType } from '../type.js';
import type { Fact, PointerView, View } from '../view.js';
import { byteOf } from './text.js';
import { firstPart, isZero, partAt, plus, targetOf, wordBehind, wordOf } from './layout.js';
import { countedTraitObjectView } from './trait-object.js';

/** `Rc` and `Arc`: a pointer to the counts and the object. */
export function countedView(type: CompositeType): View | undefined {
  const wide = wideCountedView(type);
  if (wide !== undefined) return wide;
  const pointer = wordOf(partAt(type, 'ptr'));
  const inner = targetOf(partAt(type, 'ptr'));
  if (pointer === undefined || inner === undefined) return undefined;
  const content = firstPart(inner, ['value'], ['data']);
  const strong = wordBehind(pointer, partAt(inner, 'strong'));
  const weak = wordBehind(pointer, partAt(inner, 'weak'));
  if (content === undefined || strong === undefined || weak === undefined) return undefined;
  return {
    kind: 'pointer',
    pointer: plus(pointer, content.offset),
    target: () => content.type,
    facts: [
      { name: 'strong', value: strong },
      { name: 'weak', value: binary(weak, '-', constant(1)) },
    ],
  };
}

/** `Rc<str>`, `Rc<[T]>`, `Rc<dyn Trait>`. */
function wideCountedView(type: CompositeType): View | undefined {
  const wide = partAt(type, 'ptr', 'pointer');
  if (wide === undefined || stripType(wide.type).kind !== 'struct') return undefined;
  const thin = wordOf(firstPart(type, ['ptr', 'pointer', 'data_ptr'], ['ptr', 'pointer', 'pointer']));
  const inner = targetOf(firstPart(wide.type, ['data_ptr'], ['pointer']));
  const content = inner === undefined ? undefined : firstPart(inner, ['value'], ['data']);
  if (thin === undefined || content === undefined) return undefined;
  const vtable = wordOf(partAt(type, 'ptr', 'pointer', 'vtable'));
  if (vtable !== undefined) return countedTraitObjectView(thin, vtable, content.offset);
  const length = wordOf(partAt(type, 'ptr', 'pointer', 'length'));
  if (length === undefined) return undefined;
  const data = plus(thin, content.offset);
  const pointee = /^alloc::\w+::(?:Rc|Arc)<(?<pointee>.*)$/s.exec(type.name ?? '')?.groups?.['pointee'] ?? '';
  const unit = byteOf(content.type);
  if (/^str[,>]/.test(pointee) && unit !== undefined) return { kind: 'string', data, length, unit };
  if (!pointee.startsWith('[')) return undefined;
  return { kind: 'sequence', data, length, element: () => content.type };
}

/** All ones: a `Weak` that never had an object. */
const dangling = constant((1n << 64n) - 1n);

/** `Weak`: its object is there as long as somebody owns it. */
export function weakView(type: CompositeType): PointerView | undefined {
  const pointer = wordOf(partAt(type, 'ptr'));
  const inner = targetOf(partAt(type, 'ptr'));
  if (pointer === undefined || inner === undefined) return undefined;
  const content = firstPart(inner, ['value'], ['data']);
  const strongCount = wordBehind(pointer, partAt(inner, 'strong'));
  const weakCount = wordBehind(pointer, partAt(inner, 'weak'));
  if (content === undefined || strongCount === undefined || weakCount === undefined) return undefined;
  const ofNone = (otherwise: Recipe): Recipe =>
    choose(binary(pointer, '==', dangling), constant(0), otherwise);
  const strong = ofNone(strongCount);
  // The owners of an object count as one of the weak ones.
  const weak = ofNone(choose(isZero(strongCount), weakCount, binary(weakCount, '-', constant(1))));
  return {
    kind: 'pointer',
    pointer: choose(isZero(strong), constant(0), plus(pointer, content.offset)),
    target: () => content.type,
    facts: [
      { name: 'strong', value: strong },
      { name: 'weak', value: weak },
    ],
  };
}

/** `Ref` and `RefMut` of a `RefCell`. */
export function borrowView(type: CompositeType): PointerView | undefined {
  const pointer = wordOf(partAt(type, 'value'));
  const target = targetOf(partAt(type, 'value'));
  if (pointer === undefined || target === undefined) return undefined;
  const count = wordOf(partAt(type, 'borrow', 'borrow'));
  const cell = targetOf(partAt(type, 'borrow', 'borrow'));
  const borrow =
    count === undefined || cell === undefined ? undefined : wordBehind(count, { type: cell, offset: 0 });
  return {
    kind: 'pointer',
    pointer,
    target: () => target,
    ...(borrow === undefined ? {} : { facts: borrowFacts(borrow) }),
  };
}

/** A `RefCell` counts readers upwards and writers downwards from zero. */
export function borrowFacts(borrow: Recipe): readonly Fact[] {
  const written = binary(borrow, '>>', constant(63));
  return [
    { name: 'borrow', value: choose(written, constant(0), borrow) },
    { name: 'borrow_mut', value: choose(written, binary(constant(0), '-', borrow), constant(0)) },
  ];
}

/** `MutexGuard`, `RwLockWriteGuard`: a reference to the lock, whose object it lends. */
export function guardView(type: CompositeType): PointerView | undefined {
  const lock = wordOf(partAt(type, 'lock'));
  const locked = targetOf(partAt(type, 'lock'));
  const content = locked === undefined ? undefined : partAt(locked, 'data', 'value');
  if (lock === undefined || content === undefined) return undefined;
  return { kind: 'pointer', pointer: plus(lock, content.offset), target: () => content.type };
}

/** `RwLockReadGuard`: a pointer to the object. */
export function readGuardView(type: CompositeType): PointerView | undefined {
  const pointer = wordOf(partAt(type, 'data'));
  const target = targetOf(partAt(type, 'data'));
  if (pointer === undefined || target === undefined) return guardView(type);
  return { kind: 'pointer', pointer, target: () => target };
}
