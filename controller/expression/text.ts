import { decodeUtf8 } from '../../format/bytes.js';
import type { TextOperator } from './typed.js';

/** Both without their NUL. */
export function compareText(
  operator: TextOperator,
  subject: Uint8Array,
  literal: Uint8Array,
  pattern?: RegExp,
): boolean {
  switch (operator) {
    case '==':
      return sameBytes(subject, literal);
    case '!=':
      return !sameBytes(subject, literal);
    case 'startsWith':
      return sameBytes(subject.subarray(0, literal.length), literal);
    case 'contains':
      return Buffer.from(subject).includes(Buffer.from(literal));
    case 'matches':
      return pattern?.test(decodeUtf8(subject)) ?? false;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
