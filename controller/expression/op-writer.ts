import { ByteWriter } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../format/error.js';

/** A place in the expression that jumps lead to. */
export interface Label {
  offset: number | undefined;
  readonly jumps: number[];
  /** Entries on the stack there. */
  depth: number | undefined;
}

const jumpReach = 0x7fff;

/** Writes DWARF operations, jumps by label. */
export class OpWriter {
  readonly #out = new ByteWriter();
  /** Entries on the stack, from where this began. */
  depth = 0;

  get length(): number {
    return this.#out.length;
  }

  op(...codes: readonly number[]): this {
    for (const code of codes) this.#out.u8(code);
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i] ?? 0;
      this.depth += effectOf(code);
      if (hasByteOperand(code)) i++;
    }
    return this;
  }

  /** An expression of its own, which leaves one value. */
  raw(bytes: Uint8Array): this {
    this.#out.raw(bytes);
    this.depth++;
    return this;
  }

  /** In the fewest bytes; any 64-bit pattern. */
  constant(value: bigint): this {
    const signed = BigInt.asIntN(64, value);
    const out = this.#out;
    this.depth++;
    if (signed >= 0n && signed < 32n) out.u8(DW_OP.DW_OP_lit0 + Number(signed));
    else if (signed >= 0n && signed <= 0xffn) out.u8(DW_OP.DW_OP_const1u).u8(Number(signed));
    else if (signed >= -0x80n && signed < 0n) out.u8(DW_OP.DW_OP_const1s).u8(Number(signed & 0xffn));
    else if (signed >= 0n && signed <= 0xffffn) out.u8(DW_OP.DW_OP_const2u).u16(Number(signed));
    else if (signed >= -0x8000n && signed < 0n) out.u8(DW_OP.DW_OP_const2s).u16(Number(signed & 0xffffn));
    else if (signed >= 0n && signed <= 0xffff_ffffn) out.u8(DW_OP.DW_OP_const4u).u32(Number(signed));
    else if (signed >= -0x8000_0000n && signed < 0n) out.u8(DW_OP.DW_OP_const4s).i32(Number(signed));
    else out.u8(DW_OP.DW_OP_const8u).u64(value);
    return this;
  }

  /** Adds a constant to the top of the stack. */
  plus(value: bigint): this {
    const signed = BigInt.asIntN(64, value);
    if (signed === 0n) return this;
    if (signed > 0n) this.op(DW_OP.DW_OP_plus_uconst).uleb(signed);
    else this.constant(signed).op(DW_OP.DW_OP_plus);
    return this;
  }

  register(dwarfNumber: number, offset: bigint): this {
    if (dwarfNumber > 31) return this.op(DW_OP.DW_OP_bregx).uleb(BigInt(dwarfNumber)).sleb(offset);
    return this.op(DW_OP.DW_OP_breg0 + dwarfNumber).sleb(offset);
  }

  address(link: bigint): this {
    this.#out.u8(DW_OP.DW_OP_addr).u64(link);
    this.depth++;
    return this;
  }

  dereference(size: number): this {
    if (size === 8) return this.op(DW_OP.DW_OP_deref);
    return this.op(DW_OP.DW_OP_deref_size, size);
  }

  uleb(value: bigint): this {
    this.#out.uleb(value);
    return this;
  }

  sleb(value: bigint): this {
    this.#out.sleb(value);
    return this;
  }

  label(): Label {
    return { offset: undefined, jumps: [], depth: undefined };
  }

  /** Jumps forward, to where the label will be bound. */
  jump(code: typeof DW_OP.DW_OP_bra | typeof DW_OP.DW_OP_skip, to: Label): this {
    this.#out.u8(code);
    this.depth += effectOf(code);
    to.depth ??= this.depth;
    to.jumps.push(this.#out.length);
    this.#out.u16(0);
    return this;
  }

  bind(label: Label): this {
    const here = this.#out.length;
    label.offset = here;
    // Behind a jump that is always taken only the label says how many entries there are.
    this.depth = label.depth ?? this.depth;
    for (const at of label.jumps) {
      const distance = here - (at + 2);
      if (distance > jumpReach) {
        throw new StillframeError(
          'limit',
          `expression needs a jump of ${distance} bytes, more than ${jumpReach}`,
        );
      }
      this.#out.patchU16(at, distance);
    }
    return this;
  }

  finish(): Uint8Array {
    return this.#out.finish();
  }
}

function hasByteOperand(code: number): boolean {
  return code === DW_OP.DW_OP_deref_size || code === DW_OP.DW_OP_pick;
}

const pops: ReadonlySet<number> = new Set([
  DW_OP.DW_OP_drop,
  DW_OP.DW_OP_and,
  DW_OP.DW_OP_div,
  DW_OP.DW_OP_minus,
  DW_OP.DW_OP_mod,
  DW_OP.DW_OP_mul,
  DW_OP.DW_OP_or,
  DW_OP.DW_OP_plus,
  DW_OP.DW_OP_shl,
  DW_OP.DW_OP_shr,
  DW_OP.DW_OP_shra,
  DW_OP.DW_OP_xor,
  DW_OP.DW_OP_bra,
  DW_OP.DW_OP_eq,
  DW_OP.DW_OP_ge,
  DW_OP.DW_OP_gt,
  DW_OP.DW_OP_le,
  DW_OP.DW_OP_lt,
  DW_OP.DW_OP_ne,
]);

const keeps: ReadonlySet<number> = new Set([
  DW_OP.DW_OP_deref,
  DW_OP.DW_OP_deref_size,
  DW_OP.DW_OP_neg,
  DW_OP.DW_OP_not,
  DW_OP.DW_OP_abs,
  DW_OP.DW_OP_plus_uconst,
  DW_OP.DW_OP_swap,
  DW_OP.DW_OP_rot,
  DW_OP.DW_OP_skip,
  DW_OP.DW_OP_nop,
]);

/** How many entries an operation that a plan may have adds to the stack. */
function effectOf(code: number): number {
  if (pops.has(code)) return -1;
  return keeps.has(code) ? 0 : 1;
}
