/** Types of variable-length arrays in a frame: with the lengths that they have there, so that expressions can index them and take their size. */
import { isAbsent, type Absent } from '../../format/absent.js';
import { defaultLimits } from '../../format/limits.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import type { ArrayType, Type } from '../types/type.js';

type Count = (type: ArrayType) => number | Absent;

/** The variable itself where no length depends on the frame. */
export function withLengths(variable: VariableSymbol, count: Count): VariableSymbol {
  const type = variable.type();
  const known = resolved(type, count, 0);
  if (known === type) return variable;
  return {
    name: variable.name,
    parameter: variable.parameter,
    shadowed: variable.shadowed,
    type: () => known,
    ...(variable.declaredFile === undefined ? {} : { declaredFile: variable.declaredFile }),
    ...(variable.declaredLine === undefined ? {} : { declaredLine: variable.declaredLine }),
    ...(variable.unit === undefined ? {} : { unit: variable.unit }),
    locationAt: (address) => variable.locationAt(address),
    availableRanges: () => variable.availableRanges(),
  };
}

/** Arrays, what they are made of, and what pointers lead to; not members, which have lengths of their own. */
function resolved(type: Type, count: Count, nesting: number): Type {
  if (nesting > defaultLimits.maxNesting) return type;
  if (type.kind === 'array') {
    const own = type.element();
    const element = resolved(own, count, nesting + 1);
    const length = type.count === undefined && type.dynamicCount !== undefined ? count(type) : undefined;
    if (length === undefined || isAbsent(length))
      return element === own ? type : { ...type, element: () => element };
    return { kind: 'array', element: () => element, count: Math.max(0, length) };
  }
  if (type.kind !== 'pointer' && type.kind !== 'typedef' && type.kind !== 'qualified') return type;
  const own = type.target();
  const target = resolved(own, count, nesting + 1);
  return target === own ? type : { ...type, target: () => target };
}
