/** Of a member that a class does not have: the cast to write where the object is of a class that does. */
import { hasMember } from '../types/class-member.js';
import { isPolymorphic } from '../types/cplusplus/dynamic-object.js';
import { typeName } from '../types/type-name.js';
import type { NameScope } from './scope.js';
import type { Typed } from './typed.js';

export interface DerivedHint {
  readonly hint: string;
  /** The process says so. */
  readonly isKnown: boolean;
}

interface Missing {
  readonly object: Typed;
  /** Of what stands before the `.` or `->`. */
  readonly path: string;
  /** That it leads to the object, and is not the object itself. */
  readonly isPointer: boolean;
  readonly name: string;
  readonly wholeTypeOf: NameScope['wholeTypeOf'];
}

/** Undefined where the object can be of no other class. */
export function derivedHint({
  object,
  path,
  isPointer,
  name,
  wholeTypeOf,
}: Missing): DerivedHint | undefined {
  if (!isPolymorphic(object.type)) return undefined;
  const whole = wholeTypeOf?.(object);
  const isKnown = whole !== undefined && hasMember(whole, name);
  const written = (type: string): string =>
    isPointer ? `((${type} *)${path})->${name}` : `((${type} &)${path}).${name}`;
  if (!isKnown) return { hint: `of a derived class cast it: ${written('CLASS')}`, isKnown };
  const type = typeName(whole).replace(/^(?:const |volatile )+/, '');
  return { hint: `the object is a "${type}", which has it: ${written(type)}`, isKnown };
}
