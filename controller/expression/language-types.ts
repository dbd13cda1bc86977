/** Types that Rust and Go have without anybody declaring them, for programs whose debug information does not name them. */
import type { ViewLanguage } from '../types/language.js';
import type { BaseEncoding, Type } from '../types/type.js';

function table(...rows: readonly (readonly [string, number, BaseEncoding])[]): ReadonlyMap<string, Type> {
  return new Map(
    rows.map(([name, byteSize, encoding]) => [name, { kind: 'base', name, byteSize, encoding }]),
  );
}

const rust = table(
  ['i8', 1, 'signed'],
  ['i16', 2, 'signed'],
  ['i32', 4, 'signed'],
  ['i64', 8, 'signed'],
  ['i128', 16, 'signed'],
  ['isize', 8, 'signed'],
  ['u8', 1, 'unsigned'],
  ['u16', 2, 'unsigned'],
  ['u32', 4, 'unsigned'],
  ['u64', 8, 'unsigned'],
  ['u128', 16, 'unsigned'],
  ['usize', 8, 'unsigned'],
  ['f32', 4, 'float'],
  ['f64', 8, 'float'],
  ['bool', 1, 'boolean'],
  ['char', 4, 'utf'],
);

const go = table(
  ['int', 8, 'signed'],
  ['int8', 1, 'signed'],
  ['int16', 2, 'signed'],
  ['int32', 4, 'signed'],
  ['int64', 8, 'signed'],
  ['uint', 8, 'unsigned'],
  ['uint8', 1, 'unsigned'],
  ['uint16', 2, 'unsigned'],
  ['uint32', 4, 'unsigned'],
  ['uint64', 8, 'unsigned'],
  ['uintptr', 8, 'unsigned'],
  ['float32', 4, 'float'],
  ['float64', 8, 'float'],
  ['bool', 1, 'boolean'],
);

/** Other names of the same types. */
const goAliases: ReadonlyMap<string, string> = new Map([
  ['byte', 'uint8'],
  ['rune', 'int32'],
  ['any', 'interface {}'],
]);

/** `byte` is `uint8`. */
export function aliasOf(name: string, language: ViewLanguage | undefined): string {
  return language === 'go' ? (goAliases.get(name) ?? name) : name;
}

/** Undefined where the language has no such type of its own. */
export function languageType(name: string, language: ViewLanguage | undefined): Type | undefined {
  if (language === 'rust') return rust.get(name);
  return language === 'go' ? go.get(name) : undefined;
}
