/**
 * What a type of Go is for a person. Debug information says what each type is to the runtime (DW_AT_go_kind) and lays the runtime's own structs out; both must
 * be as they are known, or the type has no view.
 */
import { isAbsent } from '../../../format/absent.js';
import { findMember, stripType } from '../layout.js';
import { binary, computeRecipe, constant, pointerAt } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { PointerView, SequenceView, StringView, View } from '../view.js';
import { channelView, orZero } from './channel.js';
import { interfaceView } from './interface.js';
import { GO_KIND, goFacts } from './kind.js';
import { mapView } from './map.js';
import { timeView } from './time.js';

/** The view of a type of Go; undefined where it has none. */
export function goView(type: Type): View | undefined {
  const facts = goFacts(type);
  switch (facts?.kind) {
    case GO_KIND.String:
      return stringView(type);
    case GO_KIND.Slice:
      return sliceView(type);
    case GO_KIND.Interface:
      return interfaceView(type);
    case GO_KIND.Func:
      return funcView(type);
    case GO_KIND.Chan:
      return facts?.element === undefined ? undefined : channelView(type, facts.element);
    case GO_KIND.Struct:
      return timeView(type);
    case GO_KIND.Map:
      return facts === undefined ? undefined : mapView(type, facts);
    case undefined:
    default:
      return undefined;
  }
}

function stringView(type: Type): StringView | undefined {
  const array = pointerMember(type, 'str');
  const length = findMember(type, 'len');
  if (array === undefined || length === undefined) return undefined;
  return {
    kind: 'string',
    data: pointerAt(array.offset),
    length: pointerAt(length.byteOffset),
    unit: array.target(),
  };
}

function sliceView(type: Type): SequenceView | undefined {
  const array = pointerMember(type, 'array');
  const [length, capacity] = [findMember(type, 'len'), findMember(type, 'cap')];
  if (array === undefined || length === undefined || capacity === undefined) return undefined;
  const data = pointerAt(array.offset);
  return {
    kind: 'sequence',
    data,
    length: pointerAt(length.byteOffset),
    capacity: pointerAt(capacity.byteOffset),
    element: array.target,
    isNil: binary(data, '==', constant(0)),
  };
}

function pointerMember(
  type: Type,
  name: string,
): { readonly offset: number; readonly target: () => Type } | undefined {
  const member = findMember(type, name);
  const pointer = member === undefined ? undefined : stripType(member.type);
  if (member === undefined || pointer?.kind !== 'pointer') return undefined;
  return { offset: member.byteOffset, target: pointer.target };
}

/** Shown as the address of its code, which names the function. */
function funcView(type: Type): PointerView | undefined {
  const closure = stripType(type);
  const code = closure.kind === 'pointer' ? pointerMember(closure.target(), 'fn') : undefined;
  if (code === undefined) return undefined;
  const address = binary(pointerAt(0), '+', constant(code.offset));
  const pointer = orZero({ op: 'load', address, size: 8 });
  return {
    kind: 'pointer',
    pointer,
    target: code.target,
    held: (object, { memory, typeOfDescriptor }) => {
      const at = computeRecipe(pointer, object, memory);
      const closureAt = computeRecipe(pointerAt(0), object, memory);
      if (isAbsent(at) || isAbsent(closureAt)) return undefined;
      const captured = typeOfDescriptor?.(at, 'go-closure');
      if (captured === undefined) return undefined;
      return { type: captured, place: { kind: 'memory', address: closureAt } };
    },
  };
}
