/** Comparisons of texts, by the bytes that they are in. */
import { decodeUtf8, decodeWideUnits } from '../bytes.js';
import type { RegularExpression } from '../regular-expression.js';

export type TextOperator = '==' | '!=' | 'startsWith' | 'contains' | 'matches';

/** Of a text that is searched. */
export const maxSearchedBytes: number = 1 << 20;

/** Both without their NUL. */
export function compareText(
  operator: TextOperator,
  subject: Uint8Array,
  literal: Uint8Array,
  pattern?: Pick<RegularExpression, 'test'>,
  unitBytes: 1 | 2 | 4 = 1,
): boolean {
  switch (operator) {
    case '==':
      return sameBytes(subject, literal);
    case '!=':
      return !sameBytes(subject, literal);
    case 'startsWith':
      return sameBytes(subject.subarray(0, literal.length), literal);
    case 'contains':
      return includesUnits(Buffer.from(subject), Buffer.from(literal), unitBytes);
    case 'matches':
      return (
        pattern?.test(unitBytes === 1 ? decodeUtf8(subject) : decodeWideUnits(subject, unitBytes)) ?? false
      );
  }
}

/** A find between two units is none. */
function includesUnits(subject: Buffer, literal: Buffer, unitBytes: number): boolean {
  let at = subject.indexOf(literal);
  while (at >= 0 && at % unitBytes !== 0) at = subject.indexOf(literal, at + 1);
  return at >= 0;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
