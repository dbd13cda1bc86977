/**
 * From where DWARF says that an object is (DWARF5 2.6) to a place that values are read from. An object in pieces becomes bytes, with
 * what is missing of them: a member that is there whole is shown, a scalar of which a part is missing is not.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import type { Location, LocationPiece } from '../../format/dwarf-op/location.js';
import { type MemoryReader, type Provenance, weaker } from '../../format/memory.js';
import type { Gap, Place, Pointee } from '../types/value.js';
import type { FrameRegisters } from '../unwind/frame-registers.js';

export interface PlaceContext {
  readonly memory: MemoryReader;
  readonly registers: FrameRegisters;
  /** What a DW_OP_implicit_pointer points to: the DIE at an offset of `.debug_info`, some bytes into its object. */
  readonly pointee?: (die: number, offset: bigint) => Pointee;
}

interface Part {
  readonly bytes: Uint8Array;
  readonly provenance?: Provenance | undefined;
}

type Missing = Extract<Place, { kind: 'absent' }>;

/** An object of more bytes in pieces is no variable of any program. */
const maxPiecesBytes = 1 << 20;

/** The place of an object of `size` bytes; `size` undefined where the type does not know: then only memory will do. */
export function placeOfLocation(
  location: Location | Absent,
  size: number | undefined,
  context: PlaceContext,
): Place {
  if (isAbsent(location)) return missing(location);
  if (location.kind === 'memory') return { kind: 'memory', address: location.address };
  if (size === undefined) return missing(unknownSize(location));
  if (location.kind === 'pieces') return assemble(location.pieces, size, context);
  const part = partOf(location, size, context);
  if ('kind' in part) return part;
  const { bytes, provenance } = part;
  return { kind: 'bytes', bytes, ...(provenance === undefined ? {} : { provenance }) };
}

function missing(why: Absent): Missing {
  return { kind: 'absent', absent: why };
}

function unknownSize(location: Location): Absent {
  if (location.kind === 'empty') return optimizedOut();
  return absent('unsupported', 'an object of unknown size that is not in memory');
}

function optimizedOut(): Absent {
  return absent('optimized-out', 'the compiler kept it nowhere at this point');
}

type SimpleLocation = Exclude<Location, { kind: 'pieces' }>;

function partOf(location: SimpleLocation, size: number, context: PlaceContext): Part | Missing {
  switch (location.kind) {
    case 'memory': {
      const read = context.memory.read(location.address, size);
      return isAbsent(read) ? missing(read) : { bytes: read.bytes, provenance: read.provenance };
    }
    case 'register': {
      const register = context.registers.bytes(location.register);
      if (isAbsent(register)) return missing(register);
      // What is in an x87 register has ten bytes, whatever it is: a double there is no double.
      if (isX87(location.register) && size < x87Bytes)
        return missing(absent('unsupported', `an object of ${size} bytes in an x87 register`));
      return firstBytes(register, size, 'a register');
    }
    case 'value':
      return firstBytes({ bytes: location.bytes }, size, 'a computed value');
    case 'implicit':
      return firstBytes({ bytes: location.bytes }, size, 'a constant');
    case 'implicit-pointer': {
      const why = absent('optimized-out', 'it points to an object that the compiler kept nowhere in memory');
      const pointee = context.pointee?.(location.die, location.offset);
      return { ...missing(why), ...(pointee === undefined ? {} : { pointee }) };
    }
    case 'empty':
      return missing(optimizedOut());
    default:
      return missing(absent('unsupported', 'a location of an unknown kind'));
  }
}

const x87Bytes = 10;

/** DWARF numbers of st0 to st7 on x86-64 (psABI, figure 3.36). */
function isX87(register: number): boolean {
  return register >= 33 && register <= 40;
}

/** Little-endian: the object is the low-order bytes of what is wider. */
function firstBytes(part: Part, size: number, what: string): Part | Missing {
  if (part.bytes.length < size)
    return missing(absent('unsupported', `an object of ${size} bytes in ${what} of ${part.bytes.length}`));
  return { ...part, bytes: part.bytes.slice(0, size) };
}

/** clang does not describe the end of an object of which nothing is left: no piece is as good as an empty one. */
function assemble(pieces: readonly LocationPiece[], size: number, context: PlaceContext): Place {
  const totalBits = pieces.reduce((sum, piece) => sum + piece.bitSize, 0);
  // More than there is of the object describes another object; gdb refuses it too.
  if (totalBits > size * 8 || size > maxPiecesBytes)
    return missing(absent('unsupported', `an object of ${size} bytes in pieces of ${totalBits} bits`));
  const bytes = new Uint8Array(size);
  const gaps: Gap[] = [];
  let provenance: Provenance | undefined;
  let at = 0;
  for (const piece of pieces) {
    const end = at + piece.bitSize;
    const part = pieceOf(piece, context);
    if ('kind' in part) {
      const { pointee } = part;
      if (end > at)
        gaps.push({
          start: at,
          end,
          absent: part.absent,
          ...(pointee === undefined ? {} : { pointee }),
        });
    } else {
      copyBits(part.bytes, piece.bitOffset, bytes, at, piece.bitSize);
      if (part.provenance !== undefined)
        provenance = provenance === undefined ? part.provenance : weaker(provenance, part.provenance);
    }
    at = end;
  }
  // NB: gdb shows zeros there.
  const rest = absent('optimized-out', 'the compiler does not say where this part of it is');
  if (at < size * 8) gaps.push({ start: at, end: size * 8, absent: rest });
  return withoutNothing({
    kind: 'bytes',
    bytes,
    ...(provenance === undefined ? {} : { provenance }),
    ...(gaps.length === 0 ? {} : { gaps }),
  });
}

/** An object of which nothing is there is absent as a whole, for the reason of its first piece. */
function withoutNothing(place: Extract<Place, { kind: 'bytes' }>): Place {
  const { gaps = [], bytes } = place;
  const known = bytes.length * 8 - gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0);
  const [first] = gaps;
  // A pointer to what is nowhere still leads somewhere.
  if (known > 0 || first === undefined || gaps.some((gap) => gap.pointee !== undefined)) return place;
  return missing(first.absent);
}

function pieceOf(piece: LocationPiece, context: PlaceContext): Part | Missing {
  if (isAbsent(piece.location)) return missing(piece.location);
  return partOf(piece.location, Math.ceil((piece.bitOffset + piece.bitSize) / 8), context);
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
