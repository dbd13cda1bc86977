import { defaultLimits } from '../../../format/limits.js';
import type { GoFacts, Type } from '../type.js';

/** reflect.Kind, as DW_AT_go_kind has it. */
export const GO_KIND = {
  Array: 17,
  Chan: 18,
  Func: 19,
  Interface: 20,
  Map: 21,
  Pointer: 22,
  Slice: 23,
  String: 24,
  Struct: 25,
  UnsafePointer: 26,
} as const;

/** What debug information says of a type: of itself or, where it is only a name, of what that names. */
export function goFacts(type: Type): GoFacts | undefined {
  let at = type;
  for (let i = 0; i < defaultLimits.maxNesting; i++) {
    if ('origin' in at && at.origin?.go !== undefined) return at.origin.go;
    if (at.kind !== 'typedef' && at.kind !== 'qualified') return undefined;
    at = at.target();
  }
  return undefined;
}
