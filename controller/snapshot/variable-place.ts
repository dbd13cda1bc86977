/**
 * From where DWARF says that an object is (DWARF5 2.6) to a place that values are read from. Of an object in pieces some may be gone: the
 * place says which bits, and why; it is absent when none is there.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import type { Location, LocationPiece } from '../../format/dwarf-op/location.js';
import { type MemoryReader, type Provenance, weaker } from '../../format/memory.js';
import type { MissingBits } from '../types/missing-bits.js';
import type { Place } from '../types/value.js';
import type { FrameRegisters } from '../unwind/frame-registers.js';

export interface PlaceContext {
  readonly memory: MemoryReader;
  readonly registers: FrameRegisters;
}

interface Part {
  readonly bytes: Uint8Array;
  readonly provenance?: Provenance | undefined;
  readonly missing?: readonly MissingBits[];
}

/** An object of more bytes in pieces is no variable of any program. */
const maxPiecesBytes = 1 << 20;

/** The place of an object of `size` bytes; `size` undefined where the type does not know: then only memory will do. */
export function placeOfLocation(
  location: Location | Absent,
  size: number | undefined,
  context: PlaceContext,
): Place {
  if (isAbsent(location)) return { kind: 'absent', absent: location };
  if (location.kind === 'memory') return { kind: 'memory', address: location.address };
  const part = size === undefined ? unknownSize(location) : partOf(location, size, context);
  if (isAbsent(part)) return { kind: 'absent', absent: part };
  const { bytes, provenance, missing } = part;
  return {
    kind: 'bytes',
    bytes,
    ...(provenance === undefined ? {} : { provenance }),
    ...(missing === undefined ? {} : { missing }),
  };
}

function unknownSize(location: Location): Absent {
  if (location.kind === 'empty') return optimizedOut();
  return absent('unsupported', 'an object of unknown size that is not in memory');
}

function optimizedOut(): Absent {
  return absent('optimized-out', 'the compiler kept it nowhere at this point');
}

function partOf(location: Location, size: number, context: PlaceContext): Part | Absent {
  switch (location.kind) {
    case 'memory': {
      const read = context.memory.read(location.address, size);
      return isAbsent(read) ? read : { bytes: read.bytes, provenance: read.provenance };
    }
    case 'register': {
      const register = context.registers.bytes(location.register);
      return isAbsent(register) ? register : firstBytes(register, size, 'a register');
    }
    case 'value':
      return firstBytes({ bytes: location.bytes }, size, 'a computed value');
    case 'implicit':
      return firstBytes({ bytes: location.bytes }, size, 'a constant');
    case 'implicit-pointer':
      return absent('optimized-out', 'it points to an object that the compiler kept nowhere in memory');
    case 'pieces':
      return assemble(location.pieces, size, context);
    case 'empty':
      return optimizedOut();
    default:
      return absent('unsupported', 'a location of an unknown kind');
  }
}

/** Little-endian: the object is the low-order bytes of what is wider. */
function firstBytes(part: Part, size: number, what: string): Part | Absent {
  if (part.bytes.length < size)
    return absent('unsupported', `an object of ${size} bytes in ${what} of ${part.bytes.length}`);
  return { ...part, bytes: part.bytes.slice(0, size) };
}

function assemble(pieces: readonly LocationPiece[], size: number, context: PlaceContext): Part | Absent {
  if (size > maxPiecesBytes) return absent('unsupported', `an object of ${size} bytes in pieces`);
  const bytes = new Uint8Array(size);
  let provenance: Provenance | undefined;
  const missing: MissingBits[] = [];
  let at = 0;
  for (const piece of pieces) {
    // What is left over of the pieces is no part of the object.
    const end = Math.min(at + piece.bitSize, size * 8);
    if (end === at) continue;
    const part = pieceOf(piece, end - at, context);
    if (isAbsent(part)) missing.push({ start: at, end, absent: part });
    else {
      copyBits(part.bytes, piece.bitOffset, bytes, at, end - at);
      if (part.provenance !== undefined)
        provenance = provenance === undefined ? part.provenance : weaker(provenance, part.provenance);
    }
    at = end;
  }
  // What no piece describes is nowhere.
  if (at < size * 8) missing.push({ start: at, end: size * 8, absent: optimizedOut() });
  const [first] = missing;
  if (first === undefined) return { bytes, provenance };
  const isAllGone = missing.reduce((sum, { start, end }) => sum + end - start, 0) === size * 8;
  return isAllGone ? first.absent : { bytes, provenance, missing };
}

function pieceOf(piece: LocationPiece, bits: number, context: PlaceContext): Part | Absent {
  if (isAbsent(piece.location)) return piece.location;
  const bytes = Math.ceil((piece.bitOffset + bits) / 8);
  return partOf(piece.location, bytes, context);
}

function copyBits(from: Uint8Array, fromBit: number, to: Uint8Array, toBit: number, count: number): void {
  if (fromBit % 8 === 0 && toBit % 8 === 0 && count % 8 === 0) {
    to.set(from.subarray(fromBit / 8, (fromBit + count) / 8), toBit / 8);
    return;
  }
  for (let i = 0; i < count; i++) {
    const bit = ((from[(fromBit + i) >> 3] ?? 0) >> ((fromBit + i) & 7)) & 1;
    const index = (toBit + i) >> 3;
    to[index] = (to[index] ?? 0) | (bit << ((toBit + i) & 7));
  }
}
