import type { PlanRange } from '../../format/plan/plan.js';
import { maxRepeatNesting, type PlanRepeat } from '../../format/plan/repeat.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { OpWriter } from './op-writer.js';

/** Where something is: an expression for its address, with the owner's address as the object address. */
export interface At {
  readonly owner: TreeRange | undefined;
  readonly code: Uint8Array;
}

export interface TreeRange extends PlanRange {
  readonly children: TreeRange[];
}

export interface Extent {
  readonly path: string;
  /** Bytes, or an expression for their number. */
  readonly length: number | Uint8Array;
  readonly maxBytes: number;
  readonly untilNul?: boolean;
  readonly secret?: boolean;
  /** Then length and `maxBytes` are those of an item. */
  readonly repeat?: PlanRepeat;
}

/** The ranges of one site while they are found: the same bytes are asked for once. */
export class RangeTree {
  readonly roots: TreeRange[] = [];
  /** Set when a range was wanted but there were too many. */
  isFull = false;
  readonly #byKey = new Map<string, TreeRange>();
  readonly #ids = new Map<TreeRange, number>();
  /** How many repeats a range is below of, itself included. */
  readonly #nesting = new Map<TreeRange, number>();
  readonly #maxRanges: number;

  constructor(maxRanges: number) {
    this.#maxRanges = maxRanges;
  }

  get size(): number {
    return this.#ids.size;
  }

  /** The range at a place; undefined when there are too many already, or too many repeats around it. */
  ensure(at: At, extent: Extent): TreeRange | undefined {
    const { path, length, maxBytes, untilNul = false, secret = false, repeat } = extent;
    const code = typeof length === 'number' ? new OpWriter().constant(BigInt(length)).finish() : length;
    const owner = at.owner === undefined ? -1 : (this.#ids.get(at.owner) ?? -1);
    const again = repeat === undefined ? '' : `${repeat.next.join(',')} ${repeat.count?.join(',')}`;
    const key = `${owner} ${at.code.join(',')} ${code.join(',')} ${untilNul} ${again}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const around = at.owner === undefined ? 0 : (this.#nesting.get(at.owner) ?? 0);
    if (this.#ids.size >= this.#maxRanges || (repeat !== undefined && around >= maxRepeatNesting)) {
      this.isFull = true;
      return undefined;
    }
    const range: TreeRange = {
      path,
      address: at.code,
      length: code,
      maxBytes,
      untilNul,
      secret,
      ...(repeat === undefined ? {} : { repeat }),
      children: [],
    };
    this.#nesting.set(range, around + (repeat === undefined ? 0 : 1));
    this.#byKey.set(key, range);
    this.#ids.set(range, this.#ids.size);
    (at.owner === undefined ? this.roots : at.owner.children).push(range);
    return range;
  }
}

/** The first byte of a range. */
export function beginningOf(owner: TreeRange): At {
  return { owner, code: Uint8Array.of(DW_OP.DW_OP_push_object_address) };
}

export function moved(at: At, offset: number | bigint): At {
  const code = new OpWriter().raw(at.code).plus(BigInt(offset)).finish();
  return { owner: at.owner, code };
}

/** Where the pointer that lies there points to. */
export function followed(at: At): At {
  return { owner: at.owner, code: Uint8Array.of(...at.code, DW_OP.DW_OP_deref) };
}

/** `code` where `condition` leaves something else than 0, else 0. */
export function guarded(condition: Uint8Array, code: Uint8Array): Uint8Array {
  const out = new OpWriter();
  const [yes, end] = [out.label(), out.label()];
  out.raw(condition).jump(DW_OP.DW_OP_bra, yes).op(DW_OP.DW_OP_lit0).jump(DW_OP.DW_OP_skip, end);
  return out.bind(yes).raw(code).bind(end).finish();
}
