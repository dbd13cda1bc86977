/** `--format`: how integers are written for people. `value` stays decimal, as the contract has it; `text` says it the other way. */
import type { ValueDocument, VariableDocument } from '../types/value-document.js';

export const formats = {
  d: (value: bigint): string => value.toString(10),
  x: (value: bigint): string => radix(value, 16, '0x'),
  o: (value: bigint): string => radix(value, 8, '0'),
  t: (value: bigint): string => radix(value, 2, '0b'),
  c: (value: bigint): string =>
    value >= 0x20n && value < 0x7fn ? `'${String.fromCharCode(Number(value))}'` : value.toString(10),
} as const;

export type Format = keyof typeof formats;

/** Sign and magnitude: the width of a type is not ours to know here. */
function radix(value: bigint, base: number, prefix: string): string {
  return value < 0n ? `-${prefix}${(-value).toString(base)}` : `${prefix}${value.toString(base)}`;
}

const integers: ReadonlySet<string> = new Set(['int', 'char', 'enum']);

export function withFormat(value: ValueDocument, format: Format): ValueDocument {
  const isInteger = integers.has(value.kind) && value.value !== undefined && /^-?\d+$/.test(value.value);
  return {
    ...value,
    ...(isInteger ? { text: formats[format](BigInt(value.value ?? '0')) } : {}),
    ...(value.fields === undefined
      ? {}
      : {
          fields: value.fields.map((field): VariableDocument => ({ ...field, ...withFormat(field, format) })),
        }),
    ...(value.elements === undefined
      ? {}
      : { elements: value.elements.map((each) => withFormat(each, format)) }),
    ...(value.target === undefined ? {} : { target: withFormat(value.target, format) }),
  };
}
