/** Parts of a variable that lies in several pieces, as results in two registers and strings of Go do: a part within one piece can be had. */
import { isAbsent, type Absent } from '../../format/absent.js';
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../format/error.js';
import type { VariableLocation, VariableSymbol } from '../symbols/module-symbols.js';
import { sizeOf } from '../types/layout.js';
import { type LocationSite, type PlanLocation, rewriteLocation } from './lower-location.js';
import { OpWriter } from './op-writer.js';
import { wholeOf } from './scalar.js';
import type { Typed } from './typed.js';

export interface VariablePart {
  readonly variable: VariableSymbol;
  /** In bytes. */
  readonly offset: number;
  readonly size: number;
}

/** The part of a variable that a node is; undefined where it is something else. */
export function partOf(node: Typed): VariablePart | undefined {
  const size = sizeOf(node.type);
  let offset = 0n;
  let at = node;
  while (at.kind === 'member' || at.kind === 'element') {
    if (at.kind === 'member') {
      if (at.bits !== undefined) return undefined;
      offset += BigInt(at.byteOffset);
      at = at.object;
    } else {
      if (at.index.kind !== 'constant') return undefined;
      offset += wholeOf(at.index.value) * BigInt(at.size);
      at = at.array;
    }
  }
  if (at.kind !== 'variable' || size === undefined || size === 0) return undefined;
  if (offset < 0n || offset > BigInt(maxObjectBytes)) return undefined;
  return { variable: at.variable, offset: Number(offset), size };
}

/** No object in pieces is as large. */
const maxObjectBytes = 1024 * 1024;

/** Undefined where the location is not in several pieces, or none of them has all of the part. */
export function rewritePart(
  location: VariableLocation | Absent,
  { offset, size }: Pick<VariablePart, 'offset' | 'size'>,
  site: LocationSite,
): PlanLocation | undefined {
  if (isAbsent(location) || location.kind === 'constant') return undefined;
  for (const piece of piecesOf(location.expression)) {
    if (offset < piece.offset || offset + size > piece.offset + piece.size) continue;
    const place = rewriteLocation(piece.expression, site);
    if (isAbsent(place)) return undefined;
    const within = offset - piece.offset;
    if (within === 0) return place;
    const out = new OpWriter().raw(place.expression);
    if (place.kind === 'address') out.plus(BigInt(within));
    else if (within + size > 8) return undefined;
    else out.constant(BigInt(within * 8)).op(DW_OP.DW_OP_shr);
    return { kind: place.kind, expression: out.finish() };
  }
  return undefined;
}

export function hasPieces(location: VariableLocation | Absent): boolean {
  return !isAbsent(location) && location.kind === 'expression' && piecesOf(location.expression).length > 0;
}

interface Piece {
  readonly offset: number;
  readonly size: number;
  readonly expression: Uint8Array;
}

/** Empty where there are not several. */
function piecesOf(expression: Uint8Array): readonly Piece[] {
  const pieces: Piece[] = [];
  let [start, offset] = [0, 0];
  try {
    const operations = decodeExpression(expression, { addressSize: 8, name: 'location' });
    for (const [index, { code, a, offset: at }] of operations.entries()) {
      if (code === DW_OP.DW_OP_bit_piece) return [];
      if (code !== DW_OP.DW_OP_piece) continue;
      const size = a > BigInt(maxObjectBytes) ? maxObjectBytes : Number(a);
      pieces.push({ offset, size, expression: expression.subarray(start, at) });
      offset += size;
      start = operations[index + 1]?.offset ?? expression.length;
    }
  } catch (error) {
    if (error instanceof StillframeError) return [];
    throw error;
  }
  return pieces.length > 1 ? pieces : [];
}
