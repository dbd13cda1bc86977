/** What a walk gives: places, not values. Whoever walks knows by the types what lies there; the walk itself knows no types. */
import { absent, type Absent } from '../absent.js';
import type { MemoryReader } from '../memory.js';

/** Items come in the order of the container. Addresses are below 2^64; nothing says that the memory there can be read. */
export type Found = FoundElement | FoundEntry | FoundBit;

export interface FoundElement {
  readonly element: bigint;
}

/** Of maps. A key or a value may be nowhere though its place in the table is in use: Go keeps large ones behind pointers. */
export interface FoundEntry {
  readonly key: bigint | Absent;
  readonly value: bigint | Absent;
}

/** Of containers of bits, which have no addresses of their own. */
export interface FoundBit {
  readonly bit: 0 | 1;
}

export interface WalkContext {
  readonly memory: MemoryReader;
  /** No more items than these are given: a walk that has more ends there without a word. */
  readonly maxElements: number;
}

/** What a node or a place of a table holds: offsets from where it begins. */
export type Holds = { readonly element: number } | { readonly key: number; readonly value: number };

export function foundIn(holds: Holds, address: bigint): FoundElement | FoundEntry {
  if ('element' in holds) return { element: further(address, holds.element) };
  return { key: further(address, holds.key), value: further(address, holds.value) };
}

export function further(address: bigint, offset: number): bigint {
  return BigInt.asUintN(64, address + BigInt(offset));
}

export function corrupt(detail: string, address?: bigint): Absent {
  return absent('unreadable', `corrupt: ${detail}`, address === undefined ? {} : { address });
}
