/** The base types of C: `unsigned long`, `long unsigned int` and `unsigned long int` are one, and compilers name it differently. */
import type { BaseEncoding, Type } from '../types/type.js';

interface Builtin {
  /** Spellings that debug information uses: gcc's first, then clang's. */
  readonly names: readonly string[];
  readonly byteSize: number;
  readonly encoding: BaseEncoding;
}

/** Sizes of the x86-64 ABI, for types that a program does not use and so does not describe. */
const builtins: readonly Builtin[] = [
  { names: ['char'], byteSize: 1, encoding: 'signed-char' },
  { names: ['signed char'], byteSize: 1, encoding: 'signed-char' },
  { names: ['unsigned char'], byteSize: 1, encoding: 'unsigned-char' },
  { names: ['short int', 'short'], byteSize: 2, encoding: 'signed' },
  { names: ['short unsigned int', 'unsigned short'], byteSize: 2, encoding: 'unsigned' },
  { names: ['int'], byteSize: 4, encoding: 'signed' },
  { names: ['unsigned int'], byteSize: 4, encoding: 'unsigned' },
  { names: ['long int', 'long'], byteSize: 8, encoding: 'signed' },
  { names: ['long unsigned int', 'unsigned long'], byteSize: 8, encoding: 'unsigned' },
  { names: ['long long int', 'long long'], byteSize: 8, encoding: 'signed' },
  { names: ['long long unsigned int', 'unsigned long long'], byteSize: 8, encoding: 'unsigned' },
  { names: ['__int128'], byteSize: 16, encoding: 'signed' },
  { names: ['__int128 unsigned', 'unsigned __int128'], byteSize: 16, encoding: 'unsigned' },
  { names: ['_Bool', 'bool'], byteSize: 1, encoding: 'boolean' },
  { names: ['float'], byteSize: 4, encoding: 'float' },
  { names: ['double'], byteSize: 8, encoding: 'float' },
  { names: ['long double'], byteSize: 16, encoding: 'float' },
  { names: ['complex float'], byteSize: 8, encoding: 'complex-float' },
  { names: ['complex double'], byteSize: 16, encoding: 'complex-float' },
  { names: ['complex long double'], byteSize: 32, encoding: 'complex-float' },
];

/** `unsigned int long` as sorted words, `int` and `signed` dropped where they say nothing. */
function canonical(words: readonly string[]): string {
  const spelled = words.map((word) => (word === '_Complex' ? 'complex' : word === 'bool' ? '_Bool' : word));
  const isChar = spelled.includes('char');
  const kept = spelled.filter((word) => !(word === 'signed' && !isChar));
  const sized = kept.some((word) => word === 'short' || word === 'long' || word === 'unsigned');
  const rest = kept.filter((word) => !(word === 'int' && sized));
  return (rest.length === 0 ? ['int'] : rest).toSorted().join(' ');
}

const byCanonical: ReadonlyMap<string, Builtin> = new Map(
  builtins.map((builtin) => [canonical((builtin.names[0] ?? '').split(' ')), builtin]),
);

/** What debug information may call the base type of these words; undefined when they spell none. */
export function spellingsOf(words: readonly string[]): readonly string[] | undefined {
  return byCanonical.get(canonical(words))?.names;
}

/** The type by one of its spellings, where no unit describes it. */
export function builtinType(spellings: readonly string[]): Type | undefined {
  const found = builtins.find((builtin) => builtin.names === spellings);
  const name = found?.names[0];
  return found === undefined || name === undefined
    ? undefined
    : { kind: 'base', name, byteSize: found.byteSize, encoding: found.encoding };
}
