/** What holds one object and is shown as it: cells, locks, atomics, `Pin`, `NonZero`. */
import { sizeOf, stripType } from '../layout.js';
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { CompositeType } from '../type.js';
import type { Fact, View, WrapperView } from '../view.js';
import { firstPart, innermost, partAt, type Part, wordOf } from './layout.js';
import { borrowFacts } from './owners.js';
import { argument } from './vec.js';

function wrapper(part: Part | undefined, facts: readonly Fact[] = []): WrapperView | undefined {
  if (part === undefined) return undefined;
  return {
    kind: 'wrapper',
    content: { type: () => part.type, offset: part.offset },
    ...(facts.length === 0 ? {} : { facts }),
  };
}

/** `Cell` and `UnsafeCell`. */
export function cellView(type: CompositeType): View | undefined {
  return wrapper(firstPart(type, ['value', 'value'], ['value']));
}

export function unsafeCellView(type: CompositeType): View | undefined {
  return wrapper(partAt(type, 'value'));
}

export function refCellView(type: CompositeType): View | undefined {
  const borrow = wordOf(partAt(type, 'borrow'));
  return wrapper(partAt(type, 'value', 'value'), borrow === undefined ? [] : borrowFacts(borrow));
}

/** `OnceCell`: an `Option` inside. */
export function onceCellView(type: CompositeType): View | undefined {
  return wrapper(partAt(type, 'inner', 'value'));
}

export function lazyCellView(type: CompositeType): View | undefined {
  return wrapper(partAt(type, 'state', 'value'));
}

export function pinView(type: CompositeType): View | undefined {
  return wrapper(firstPart(type, ['pointer'], ['__pointer']));
}

export function manuallyDropView(type: CompositeType): View | undefined {
  return wrapper(manuallyDropContent({ type, offset: 0 }));
}

/** What is in a `ManuallyDrop`; between them stands a `MaybeDangling` since rustc 1.94. */
export function manuallyDropContent({ type, offset }: Part): Part | undefined {
  const value = partAt(type, 'value');
  if (value === undefined) return undefined;
  const named = stripType(value.type);
  const isDangling =
    named.kind === 'struct' && named.name?.startsWith('core::mem::maybe_dangling::') === true;
  const content = isDangling ? partAt(type, 'value', '__0') : value;
  return content === undefined ? undefined : { ...content, offset: content.offset + offset };
}

/** `Wrapping` and `Saturating`. */
export function arithmeticView(type: CompositeType): View | undefined {
  return wrapper(partAt(type, '__0'));
}

export function mutexView(type: CompositeType): View | undefined {
  const futex = wordOf(partAt(type, 'inner', 'futex'));
  const locked: readonly Fact[] = futex === undefined ? [] : [{ name: 'locked', value: isSet(futex) }];
  return wrapper(partAt(type, 'data', 'value'), [...locked, ...poisonFacts(type)]);
}

/** The lower 30 bits count readers; all of them set mean a writer (futex locks). */
export function rwLockView(type: CompositeType): View | undefined {
  const state = wordOf(partAt(type, 'inner', 'state'));
  const facts: Fact[] = [];
  if (state?.op === 'field' && state.size === 4) {
    const mask = constant(0x3fff_ffff);
    const count = binary(state, '&', mask);
    const written = binary(count, '==', mask);
    facts.push(
      { name: 'readers', value: choose(written, constant(0), count) },
      { name: 'written', value: written },
    );
  }
  return wrapper(partAt(type, 'data', 'value'), [...facts, ...poisonFacts(type)]);
}

function poisonFacts(type: CompositeType): readonly Fact[] {
  const failed = wordOf(partAt(type, 'poison', 'failed'));
  return failed === undefined ? [] : [{ name: 'poisoned', value: isSet(failed) }];
}

const isSet = (recipe: Recipe): Recipe => binary(constant(0), '<', recipe);

/** Atomics and `NonZero`, which are a number or a pointer in wrappers. */
export function numberView(type: CompositeType): View | undefined {
  const inner = innermost({ type, offset: 0 });
  return inner.type === type ? undefined : wrapper(inner);
}

/** `AtomicBool`, and `Atomic<T>` since rustc 1.96: what is in it is stored as an integer, and is something else. */
export function atomicView(type: CompositeType): View | undefined {
  const inner = innermost({ type, offset: 0 });
  const shown = argument(type, 0) ?? type.origin?.findType('bool');
  if (inner.type === type) return undefined;
  const fits = shown !== undefined && sizeOf(shown) === sizeOf(inner.type);
  return wrapper(fits ? { ...inner, type: shown } : inner);
}
