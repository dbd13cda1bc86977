import type { Mapping } from '../../format/capture.js';
import { findMapping } from '../linux/proc.js';

/** What a leaf function may use below its stack pointer (System V psABI 3.2.2). */
export const redZoneBytes = 128n;

export interface StackWindow {
  readonly address: bigint;
  readonly length: number;
}

/**
 * The stack bytes to take of a thread: from `sp - 128` upwards, `stackBytes` of them, but not past the mapping that holds `sp`;
 * undefined when `sp` is in no readable memory.
 */
export function stackWindow(
  mappings: readonly Mapping[],
  sp: bigint,
  stackBytes: number,
): StackWindow | undefined {
  const mapping = findMapping(mappings, sp);
  if (mapping === undefined || !mapping.permissions.startsWith('r')) return undefined;
  const wanted = sp - redZoneBytes;
  const address = wanted < mapping.start ? mapping.start : wanted;
  const room = mapping.end - address;
  const length = room < BigInt(stackBytes) ? Number(room) : stackBytes;
  return length > 0 ? { address, length } : undefined;
}

/** Of a window that was read as far as memory goes, how many bytes are of the mapping that holds `sp`; all where it is in none. */
export function bytesOfStack(mappings: readonly Mapping[], sp: bigint, window: StackWindow): number {
  const mapping = findMapping(mappings, sp);
  const room = mapping === undefined ? undefined : mapping.end - window.address;
  return room !== undefined && room < BigInt(window.length) ? Number(room) : window.length;
}

/** Stack bytes for each of so many threads, so that all together keep to `maxBytes`. */
export function stackShare(
  request: { readonly stackBytes: number; readonly maxBytes: number },
  threads: number,
): number {
  return Math.min(request.stackBytes, Math.floor(request.maxBytes / Math.max(threads, 1)));
}
