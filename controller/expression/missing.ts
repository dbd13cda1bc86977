import type { Absent } from '../../format/absent.js';
import { hex } from '../../format/address.js';

/**
 * Says of bytes that are missing what they are and how to get them: the reader of memory knows only addresses.
 * `path` is the expression that wanted them.
 */
export function missingAt(cause: Absent, path: string, address: bigint, length: number): Absent {
  if (cause.absent !== 'not-captured') return cause;
  const first = cause.address ?? address;
  return {
    absent: 'not-captured',
    detail: `${path} was not captured: ${length} byte${length === 1 ? '' : 's'} at ${hex(address)}`,
    address: first,
    length: length - Number(BigInt.asUintN(64, first - address)),
    hint: `capture it with --capture ${shellQuoted(path)}`,
  };
}

/** As a POSIX shell takes it. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
