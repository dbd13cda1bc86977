/**
 * LLVM describes what lies in the stack by its distance from the stack pointer as it is in the body of a function, and does not mind that
 * the pushes of a call with many arguments have moved it: there, such a location is of something else. gdb reads it all the same.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { linkAddress, type LinkAddress } from '../../format/address.js';
import type { CallFrameTable } from '../dwarf/call-frame.js';
import type { ModuleSymbols } from './module-symbols.js';

/** Places of a function whose rows are looked at: its body has most of them. */
const samples = 64n;
/** How much rarer than the body the pushes of calls are. */
const rarer = 3;

/** By module and beginning of the function: how often each distance of the CFA from the stack pointer was found, and the rules there. */
const known = new WeakMap<ModuleSymbols, Map<bigint, ReadonlyMap<bigint, Distance>>>();

interface Distance {
  count: number;
  readonly savedRegisters: number;
}

export interface CodePlace {
  readonly symbols: ModuleSymbols;
  readonly frames: CallFrameTable;
  readonly address: LinkAddress;
  /** DWARF number. */
  readonly stackPointer: number;
}

/** Why the stack pointer at a place is not the one that locations count from; undefined when it is. */
export function movedStackPointer(place: CodePlace): Absent | undefined {
  const here = distanceAt(place, place.address);
  if (here === undefined) return undefined;
  const distances = distancesOf(place);
  const own = distances.get(here.distance)?.count ?? 1;
  for (const [distance, { count, savedRegisters }] of distances) {
    // Without its callee-saved registers it would be the prologue, or a part of the function that has no frame.
    if (distance < here.distance && savedRegisters === here.savedRegisters && count >= own * rarer)
      return absent(
        'optimized-out',
        `the compiler counts from the stack pointer of the function's body, which the arguments of a call have moved by ${here.distance - distance} bytes here`,
      );
  }
  return undefined;
}

function distancesOf(place: CodePlace): ReadonlyMap<bigint, Distance> {
  const { symbols, address } = place;
  const range = symbols
    .functionAt(address)
    ?.ranges.find(({ start, end }) => start <= address && address < end);
  if (range === undefined) return new Map();
  const ofModule = known.get(symbols) ?? new Map<bigint, ReadonlyMap<bigint, Distance>>();
  known.set(symbols, ofModule);
  const before = ofModule.get(range.start);
  if (before !== undefined) return before;
  const distances = new Map<bigint, Distance>();
  const size = range.end - range.start;
  const step = size / samples > 0n ? size / samples : 1n;
  for (let at: bigint = range.start; at < range.end; at += step) {
    const row = distanceAt(place, linkAddress(at));
    if (row === undefined) continue;
    const distance = distances.get(row.distance);
    if (distance === undefined) distances.set(row.distance, { count: 1, savedRegisters: row.savedRegisters });
    else distance.count++;
  }
  ofModule.set(range.start, distances);
  return distances;
}

/** Undefined where the CFA does not follow the stack pointer: then nothing tells that it moved. */
function distanceAt(
  { frames, stackPointer }: CodePlace,
  address: LinkAddress,
): { readonly distance: bigint; readonly savedRegisters: number } | undefined {
  const row = frames.findRow(address);
  if (isAbsent(row) || row.cfa.kind !== 'register' || row.cfa.register !== stackPointer) return undefined;
  return { distance: row.cfa.offset, savedRegisters: row.rules.size };
}
