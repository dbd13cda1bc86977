/**
 * The spelling of a type, exactly as gdb 13 prints it for C: `struct order *`, `char [16]`, `int (*)(int, char *)`.
 * A C declarator wraps around the name that it declares, so a type is built as what stands before and after that name.
 */
import { defaultLimits } from '../../format/limits.js';
import { languageOf } from './language.js';
import type { QualifiedType, Type } from './type.js';

/** As `whatis` of gdb 13 prints it. */
export function typeName(type: Type): string {
  return nameWithin(type, { left: maxNameCharacters }, 0);
}

/**
 * Parameters of parameters can double with each level: names are written in full until so many characters are, then as `...`.
 */
const maxNameCharacters = 65_536;

interface Budget {
  left: number;
}

function nameWithin(type: Type, budget: Budget, nesting: number): string {
  const { base, prefix, suffix } = declarator(type, false, budget, nesting);
  return prefix === '' && suffix === '' ? base : `${base} ${prefix}${suffix}`;
}

interface Declarator {
  /** `const struct order`. */
  readonly base: string;
  /** `*(*`. */
  readonly prefix: string;
  /** `)(int)`. */
  readonly suffix: string;
}

type Qualifier = QualifiedType['qualifier'];

/** gdb's order, and gdb's words. */
const qualifierWords: readonly (readonly [Qualifier, string])[] = [
  ['const', 'const'],
  ['volatile', 'volatile'],
  ['restrict', 'restrict'],
  ['atomic', '_Atomic'],
];

/** `behindPointer`: a function or an array that a pointer points to needs parentheses around what is declared. */
function declarator(type: Type, behindPointer: boolean, budget: Budget, nesting: number): Declarator {
  const qualifiers = new Set<Qualifier>();
  let at = type;
  while (at.kind === 'qualified' && nesting < defaultLimits.maxNesting) {
    qualifiers.add(at.qualifier);
    at = at.target();
    nesting++;
  }
  if (nesting >= defaultLimits.maxNesting || budget.left <= 0) return { base: '...', prefix: '', suffix: '' };
  const words = qualifierWords.filter(([name]) => qualifiers.has(name)).map(([, word]) => word);
  const before = words.map((word) => `${word} `).join('');
  const open = behindPointer ? '(' : '';
  const close = behindPointer ? ')' : '';

  if ((at.kind === 'pointer' || at.kind === 'array' || at.kind === 'function') && at.name !== undefined) {
    budget.left -= at.name.length + 1;
    return { base: `${before}${at.name}`, prefix: '', suffix: '' };
  }
  const pointed = at.kind === 'pointer' && at.flavor === 'pointer' ? at.target() : undefined;
  if (pointed !== undefined && languageOf(pointed) === 'go')
    return { base: `${before}*${nameWithin(pointed, budget, nesting + 1)}`, prefix: '', suffix: '' };
  switch (at.kind) {
    case 'pointer': {
      const inner = declarator(at.target(), true, budget, nesting + 1);
      const star = { pointer: '*', reference: '&', 'rvalue-reference': '&&' }[at.flavor];
      // NB: gdb writes a space after the qualifiers of an inner pointer: `const char * const *`.
      const marks = words.length === 0 ? '' : ` ${words.join(' ')}${behindPointer ? ' ' : ''}`;
      return { base: inner.base, prefix: `${inner.prefix}${star}${marks}`, suffix: inner.suffix };
    }
    case 'array': {
      if (at.spelling === 'rust') {
        const element = nameWithin(at.element(), budget, nesting + 1);
        return { base: `[${element}; ${at.count ?? '_'}]`, prefix: '', suffix: '' };
      }
      // A qualified array is an array of qualified elements (C11 6.7.3p9).
      const element = [...qualifiers].reduce<Type>(
        (target, qualifier) => ({ kind: 'qualified', qualifier, target: () => target }),
        at.element(),
      );
      const inner = declarator(element, false, budget, nesting + 1);
      const bound = at.count ?? (at.dynamicCount === undefined ? '' : 'variable length');
      const own = at.vector === true ? `__attribute__ ((vector_size(${bound})))` : `[${bound}]`;
      return {
        base: inner.base,
        prefix: `${inner.prefix}${open}`,
        suffix: `${close}${close !== '' && at.vector === true ? ' ' : ''}${own}${inner.suffix}`,
      };
    }
    case 'function': {
      const inner = declarator(at.result(), false, budget, nesting + 1);
      const parameters: string[] = [];
      for (const parameter of at.parameters()) {
        parameters.push(nameWithin(parameter, budget, nesting + 1));
        if (budget.left <= 0) break;
      }
      if (at.variadic) parameters.push('...');
      else if (parameters.length === 0 && at.prototyped) parameters.push('void');
      return {
        base: inner.base,
        prefix: `${inner.prefix}${open}`,
        suffix: `${close}(${parameters.join(', ')})${inner.suffix}`,
      };
    }
    case 'qualified':
    case 'void':
    case 'base':
    case 'typedef':
    case 'struct':
    case 'union':
    case 'class':
    case 'enum':
    case 'unknown':
      break;
  }
  const base = `${before}${plainName(at)}`;
  budget.left -= base.length + 1;
  return { base, prefix: '', suffix: '' };
}

/** gcc writes the names on the left into debug information; gdb shows the right, which is also what clang writes. */
const canonicalNames: ReadonlyMap<string, string> = new Map([
  ['short int', 'short'],
  ['short unsigned int', 'unsigned short'],
  ['long int', 'long'],
  ['long unsigned int', 'unsigned long'],
  ['long long int', 'long long'],
  ['long long unsigned int', 'unsigned long long'],
]);

function plainName(type: Exclude<Type, { kind: 'pointer' | 'array' | 'function' }>): string {
  switch (type.kind) {
    case 'void':
      return 'void';
    case 'base':
      return canonicalNames.get(type.name) ?? type.name;
    case 'typedef':
      return type.name;
    case 'struct':
    case 'union':
    case 'enum':
      return type.tagless === true && type.name !== undefined
        ? type.name
        : `${type.kind} ${type.name ?? '{...}'}`;
    case 'class':
      return type.name ?? 'class {...}';
    case 'unknown':
      return `<unknown type: ${type.detail}>`;
    case 'qualified':
      break;
  }
  return '...';
}
