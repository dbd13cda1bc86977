import { defaultLimits } from '../../format/limits.js';
import type { Type, TypeOrigin } from './type.js';

/** Languages whose types have views. */
export type ViewLanguage = 'c++' | 'rust' | 'go';

/** The language that a type was written in, looked for beneath typedefs and qualifiers; undefined for C and what says nothing. */
export function languageOf(type: Type): ViewLanguage | undefined {
  return originOf(type)?.language;
}

export function originOf(type: Type): TypeOrigin | undefined {
  let at = type;
  for (let i = 0; i < defaultLimits.maxNesting; i++) {
    if (at.kind === 'struct' || at.kind === 'union' || at.kind === 'class') return at.origin;
    if ((at.kind === 'typedef' || at.kind === 'pointer') && at.origin !== undefined) return at.origin;
    if (at.kind !== 'typedef' && at.kind !== 'qualified') return undefined;
    at = at.target();
  }
  return undefined;
}
