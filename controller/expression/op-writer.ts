import { ByteWriter } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../format/error.js';

/** A place in the expression that jumps lead to. */
export interface Label {
  offset: number | undefined;
  readonly jumps: number[];
}

const jumpReach = 0x7fff;

/** Writes DWARF operations, jumps by label. */
export class OpWriter {
  readonly #out = new ByteWriter();

  get length(): number {
    return this.#out.length;
  }

  op(...codes: readonly number[]): this {
    for (const code of codes) this.#out.u8(code);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#out.raw(bytes);
    return this;
  }

  /** In the fewest bytes; any 64-bit pattern. */
  constant(value: bigint): this {
    const signed = BigInt.asIntN(64, value);
    const out = this.#out;
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
    return { offset: undefined, jumps: [] };
  }

  /** Jumps forward, to where the label will be bound. */
  jump(code: typeof DW_OP.DW_OP_bra | typeof DW_OP.DW_OP_skip, to: Label): this {
    this.#out.u8(code);
    to.jumps.push(this.#out.length);
    this.#out.u16(0);
    return this;
  }

  bind(label: Label): this {
    const here = this.#out.length;
    label.offset = here;
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
