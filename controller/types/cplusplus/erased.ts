/** std::any and std::function: what they hold only the process knows, by the function or vtable that they manage it with. */
import { absent, type Absent, isAbsent } from '../../../format/absent.js';
import { readWord } from '../../../format/walk/read.js';
import { asComposite } from '../layout.js';
import { addressAt, computeRecipe } from '../../../format/recipe/recipe.js';
import type { CompositeType, Type } from '../type.js';
import type { View, ViewContext } from '../view.js';
import { libraryName } from './library-name.js';
import { valueAt } from './nodes.js';
import { argument, firstPartOf, partOf, pointerIn } from './part.js';

export function anyView(type: Type): View | undefined {
  const manager = firstPartOf(type, ['_M_manager'], ['__h'], ['__h_']);
  const storage = firstPartOf(type, ['_M_storage'], ['__s'], ['__s_']);
  const inside = firstPartOf(storage, ['_M_buffer'], ['__buf']);
  const outside = firstPartOf(storage, ['_M_ptr'], ['__ptr']);
  const [manages, pointer] = [pointerIn(manager), pointerIn(outside)];
  if (manages === undefined || pointer === undefined || inside === undefined) return undefined;
  return {
    kind: 'dynamic',
    none: 'empty',
    resolve: (object, context) => {
      const function_ = computeRecipe(manages, object, context.memory);
      if (isAbsent(function_)) return function_;
      if (function_ === 0n) return undefined;
      const holder = memberClass(function_, context);
      const held = holder === undefined ? undefined : argument(holder, 0);
      const where = holder === undefined ? undefined : anyHolders.get(lastName(holder));
      if (held === undefined || where === undefined)
        return unknown(function_, 'the function that manages it');
      const place = computeRecipe(
        where === 'inside' ? addressAt(inside.offset) : pointer,
        object,
        context.memory,
      );
      return isAbsent(place) ? place : valueAt(held, place);
    },
  };
}

const anyHolders: ReadonlyMap<string, 'inside' | 'outside'> = new Map([
  ['_Manager_internal', 'inside'],
  ['_Manager_external', 'outside'],
  ['_SmallHandler', 'inside'],
  ['_LargeHandler', 'outside'],
]);

export function functionView(type: Type): View | undefined {
  return managedFunction(type) ?? virtualFunction(type);
}

/** libstdc++: `_Function_handler<R(A...), F>` has the functor in the object where it fits and may lie, else a pointer to it. */
function managedFunction(type: Type): View | undefined {
  const manages = pointerIn(partOf(type, '_M_manager'));
  const invokes = pointerIn(partOf(type, '_M_invoker'));
  const storage = partOf(type, '_M_functor');
  if (manages === undefined || invokes === undefined || storage === undefined) return undefined;
  return {
    kind: 'dynamic',
    none: 'empty',
    resolve: (object, context) => {
      const manager = computeRecipe(manages, object, context.memory);
      if (isAbsent(manager)) return manager;
      if (manager === 0n) return undefined;
      const invoker = computeRecipe(invokes, object, context.memory);
      if (isAbsent(invoker)) return invoker;
      // NB: of functors that do the same gcc folds the functions that call them, not those that manage them: these name the type's own type_info.
      const handler = handlerOf(manager, context) ?? handlerOf(invoker, context);
      const functor = handler === undefined ? undefined : argument(handler, 1);
      if (handler === undefined || functor === undefined)
        return unknown(invoker, 'the function that calls it');
      const inside = computeRecipe(addressAt(storage.offset), object, context.memory);
      if (isAbsent(inside)) return inside;
      const isInside = storedLocally(handler);
      if (isInside === undefined) return unknown(invoker, 'whether it lies in the object');
      if (isInside) return valueAt(functor, inside);
      const outside = readWord(context.memory, inside);
      return isAbsent(outside) ? outside : valueAt(functor, outside);
    },
  };
}

function handlerOf(function_: bigint, context: ViewContext): CompositeType | undefined {
  const handler = memberClass(function_, context);
  return handler !== undefined && lastName(handler) === '_Function_handler' ? handler : undefined;
}

/** What is small and may be moved by its bytes: a constant of the class that manages it says so. */
function storedLocally(handler: CompositeType): boolean | undefined {
  for (const { base, type } of handler.members()) {
    const known = base ? asComposite(type())?.constants?.().get('__stored_locally') : undefined;
    if (known !== undefined) return known.value !== 0n;
  }
  return undefined;
}

/** libc++: a pointer to an object of `__func<F, Allocator, R(A...)>`, within the object or outside of it; its vtable names the type. */
function virtualFunction(type: Type): View | undefined {
  const pointer = pointerIn(partOf(type, '__f_', '__f_'));
  if (pointer === undefined) return undefined;
  return {
    kind: 'dynamic',
    none: 'empty',
    resolve: (object, context) => {
      const address = computeRecipe(pointer, object, context.memory);
      if (isAbsent(address)) return address;
      if (address === 0n) return undefined;
      const vtable = readWord(context.memory, address);
      if (isAbsent(vtable)) return vtable;
      const holder = context.typeOfDescriptor?.(vtable, 'c++-vtable');
      const functor = holder === undefined ? undefined : argument(holder, 0);
      const place = firstPartOf(holder, ['__f_', '__f_', '__value_'], ['__f_', '__f_'], ['__func_']);
      if (functor === undefined || place === undefined) return unknown(vtable, 'the vtable of what it calls');
      return valueAt(functor, address + BigInt(place.offset));
    },
  };
}

function memberClass(function_: bigint, context: ViewContext): CompositeType | undefined {
  const type = context.typeOfDescriptor?.(function_, 'c++-member');
  return type === undefined ? undefined : asComposite(type);
}

/** `_Manager_internal` of `std::any::_Manager_internal<int>`. */
function lastName(type: CompositeType): string {
  const name = type.name === undefined ? '' : (libraryName(type.name) ?? '');
  return name.slice(name.lastIndexOf(':') + 1);
}

function unknown(address: bigint, what: string): Absent {
  return absent('no-debug-info', `${what} is not known, and so what it holds is not`, { address });
}
