/** Random plans that the verifier of plans accepts: every operation that a plan may have, over addresses that are often readable. */
import { ByteWriter } from '../../../../format/bytes.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { PlanRange } from '../../../../format/plan/plan.js';
import { maxRepeatNesting, type PlanRepeat } from '../../../../format/plan/repeat.js';

/** mulberry32: the same numbers for the same seed, everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to `below` - 1. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  of<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to choose from');
    return item;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  u64(): bigint {
    let value = 0n;
    for (let i = 0; i < 4; i++) value = (value << 16n) | BigInt(this.below(65536));
    return value;
  }

  /** Small numbers, edges of types, and anything. */
  interesting(): bigint {
    switch (this.below(5)) {
      case 0:
        return BigInt(this.below(10));
      case 1:
        return BigInt.asUintN(64, -BigInt(this.below(10)));
      case 2:
        return this.of(edges);
      case 3:
        return BigInt(this.below(65536));
      default:
        return this.u64();
    }
  }
}

const edges: readonly bigint[] = [
  0x7fn,
  0x80n,
  0xffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_8000_0000n,
  63n,
  64n,
  65n,
];

export interface RandomWorld {
  /** The memory that is there, and where it has holes. */
  readonly regionStart: bigint;
  readonly regionBytes: number;
  /** Link address of something in the module that can be read. */
  readonly linkAddress: bigint;
  /** DWARF numbers of registers that often point into the region. */
  readonly pointers: readonly number[];
}

const binaries: readonly number[] = [
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
  DW_OP.DW_OP_eq,
  DW_OP.DW_OP_ge,
  DW_OP.DW_OP_gt,
  DW_OP.DW_OP_le,
  DW_OP.DW_OP_lt,
  DW_OP.DW_OP_ne,
];

export class RandomExpressions {
  readonly #random: Random;
  readonly #world: RandomWorld;

  constructor(random: Random, world: RandomWorld) {
    this.#random = random;
    this.#world = world;
  }

  /** An expression that leaves any value. */
  value(size: number, hasObject: boolean): Uint8Array {
    const out = new ByteWriter();
    this.#value(out, size, hasObject);
    return out.finish();
  }

  /** An expression that is often an address in the region. */
  address(size: number, hasObject: boolean): Uint8Array {
    const out = new ByteWriter();
    this.#address(out, size, hasObject);
    return out.finish();
  }

  /** A length: mostly small, sometimes zero, negative or far too long. */
  length(most: number): Uint8Array {
    const random = this.#random;
    const out = new ByteWriter();
    if (random.chance(70)) out.u8(DW_OP.DW_OP_constu).uleb(1 + random.below(most * 2));
    else if (random.chance(50)) this.#value(out, 3, false);
    else {
      // A byte of memory, as a length often is.
      this.#address(out, 1, false);
      out.u8(DW_OP.DW_OP_deref_size).u8(1);
    }
    return out.finish();
  }

  /** As the planner writes it for what a pointer leads to: from the address, and nothing where that is small. */
  #lengthOfTarget(address: Uint8Array, bytes: number): Uint8Array {
    const out = new ByteWriter().raw(address).u8(DW_OP.DW_OP_constu).uleb(0xffff).u8(DW_OP.DW_OP_gt);
    return out.u8(DW_OP.DW_OP_constu).uleb(bytes).u8(DW_OP.DW_OP_mul).finish();
  }

  /** How items lead on: by a pointer in them, by lying side by side, or by anything. */
  #repeat(maxBytes: number): PlanRepeat {
    const random = this.#random;
    const next = new ByteWriter();
    if (random.chance(15)) this.#value(next, 4, true);
    else {
      const offset = random.below(6) * 8;
      next.u8(DW_OP.DW_OP_push_object_address).u8(DW_OP.DW_OP_plus_uconst);
      if (random.chance(60)) next.uleb(offset).u8(DW_OP.DW_OP_deref);
      else next.uleb(maxBytes);
    }
    const count = new ByteWriter();
    if (random.chance(60)) count.u8(DW_OP.DW_OP_lit0 + random.below(20));
    else this.#value(count, 3, false);
    return {
      maxItems: 1 + random.below(random.chance(10) ? 200 : 10),
      ...(random.chance(50) ? { count: count.finish() } : {}),
      next: next.finish(),
    };
  }

  /** Of `repeating` in a hundred ranges there is a repeat. */
  ranges(count: number, depth: number, repeating = 0, nested = 0): PlanRange[] {
    const random = this.#random;
    const ranges: PlanRange[] = [];
    for (let left = count; left > 0;) {
      const own = depth >= 3 ? 1 : Math.min(left, 1 + random.below(3));
      const maxBytes = 1 + random.below(random.chance(20) ? 5000 : 64);
      const address = this.address(6, depth > 0);
      const repeat =
        nested < maxRepeatNesting && random.chance(repeating) ? { repeat: this.#repeat(maxBytes) } : {};
      const nesting = nested + ('repeat' in repeat ? 1 : 0);
      ranges.push({
        path: `range ${depth}.${ranges.length}`,
        address,
        length: random.chance(30) ? this.#lengthOfTarget(address, maxBytes) : this.length(maxBytes),
        maxBytes,
        untilNul: random.chance(30),
        secret: false,
        ...repeat,
        children: own > 1 ? this.ranges(own - 1, depth + 1, repeating, nesting) : [],
      });
      left -= own;
    }
    return ranges;
  }

  #constant(out: ByteWriter, value: bigint): void {
    const unsigned = BigInt.asUintN(64, value);
    const signed = BigInt.asIntN(64, value);
    const small = Number(BigInt.asIntN(16, value));
    switch (this.#random.below(9)) {
      case 0:
        return void out.u8(DW_OP.DW_OP_const1u).u8(small & 0xff);
      case 1:
        return void out.u8(DW_OP.DW_OP_const1s).u8(small & 0xff);
      case 2:
        return void out.u8(DW_OP.DW_OP_const2u).u16(small & 0xffff);
      case 3:
        return void out.u8(DW_OP.DW_OP_const2s).u16(small & 0xffff);
      case 4:
        return void out.u8(DW_OP.DW_OP_const4u).u32(Number(unsigned & 0xffff_ffffn));
      case 5:
        return void out.u8(DW_OP.DW_OP_const4s).u32(Number(unsigned & 0xffff_ffffn));
      case 6:
        return void out.u8(DW_OP.DW_OP_const8u).u64(unsigned);
      case 7:
        return void out.u8(DW_OP.DW_OP_consts).sleb(signed);
      default:
        return void out.u8(DW_OP.DW_OP_lit0 + this.#random.below(32));
    }
  }

  #register(out: ByteWriter, number: number, offset: number): void {
    if (this.#random.chance(20)) out.u8(DW_OP.DW_OP_bregx).uleb(number).sleb(offset);
    else out.u8(DW_OP.DW_OP_breg0 + number).sleb(offset);
  }

  #address(out: ByteWriter, size: number, hasObject: boolean): void {
    const random = this.#random;
    const world = this.#world;
    const offset = random.below(256) - 64;
    switch (random.below(hasObject ? 6 : 5)) {
      case 0:
        out.u8(DW_OP.DW_OP_constu).uleb(world.regionStart + BigInt(random.below(world.regionBytes)));
        return;
      case 1:
        return this.#register(out, random.of(world.pointers), offset);
      case 2:
        out.u8(DW_OP.DW_OP_addr).u64(world.linkAddress + BigInt(random.below(32)));
        return;
      case 3:
        // A pointer of the region: one in two of its words points back into it.
        this.#register(out, random.of(world.pointers), random.below(32) * 8);
        out.u8(DW_OP.DW_OP_deref);
        return;
      case 4:
        return this.#value(out, size, hasObject);
      default:
        out.u8(DW_OP.DW_OP_push_object_address).u8(DW_OP.DW_OP_plus_uconst).uleb(random.below(128));
        if (random.chance(50)) out.u8(DW_OP.DW_OP_deref);
    }
  }

  #leaf(out: ByteWriter, hasObject: boolean): void {
    const random = this.#random;
    switch (random.below(hasObject ? 4 : 3)) {
      case 0:
        return this.#constant(out, random.interesting());
      case 1:
        return this.#register(out, random.below(16), random.chance(50) ? 0 : random.below(100_000) - 50_000);
      case 2:
        return this.#register(out, random.of(this.#world.pointers), 0);
      default:
        out.u8(DW_OP.DW_OP_push_object_address);
    }
  }

  #value(out: ByteWriter, size: number, hasObject: boolean): void {
    const random = this.#random;
    if (size <= 1) return this.#leaf(out, hasObject);
    const part = (): void => {
      this.#value(out, 1 + random.below(size - 1), hasObject);
    };
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        part();
        part();
        out.u8(random.of(binaries));
        return;
      case 4:
        part();
        out.u8(random.of([DW_OP.DW_OP_neg, DW_OP.DW_OP_not, DW_OP.DW_OP_abs, DW_OP.DW_OP_nop]));
        return;
      case 5:
        part();
        out.u8(DW_OP.DW_OP_plus_uconst).uleb(random.interesting());
        return;
      case 6:
        this.#address(out, size - 1, hasObject);
        out.u8(DW_OP.DW_OP_deref);
        return;
      case 7:
        this.#address(out, size - 1, hasObject);
        out.u8(DW_OP.DW_OP_deref_size).u8(random.of([1, 2, 4, 8]));
        return;
      case 8:
        return this.#choice(out, part);
      case 9:
        return this.#shortCut(out, part);
      case 10:
        return this.#shuffle(out, part);
      default:
        return this.#leaf(out, hasObject);
    }
  }

  /** `condition ? one : other`. */
  #choice(out: ByteWriter, part: () => void): void {
    part();
    const toThen = out.u8(DW_OP.DW_OP_bra).length;
    out.u16(0);
    part();
    const toEnd = out.u8(DW_OP.DW_OP_skip).length;
    out.u16(0).patchU16(toThen, out.length - toThen - 2);
    part();
    out.patchU16(toEnd, out.length - toEnd - 2);
  }

  /** `one && other`, as 0 or not. */
  #shortCut(out: ByteWriter, part: () => void): void {
    part();
    const toMore = out.u8(DW_OP.DW_OP_bra).length;
    out.u16(0).u8(DW_OP.DW_OP_lit0);
    const toEnd = out.u8(DW_OP.DW_OP_skip).length;
    out.u16(0).patchU16(toMore, out.length - toMore - 2);
    part();
    out
      .u8(DW_OP.DW_OP_lit0)
      .u8(DW_OP.DW_OP_ne)
      .patchU16(toEnd, out.length - toEnd - 2);
  }

  #shuffle(out: ByteWriter, part: () => void): void {
    const binary = (): number => this.#random.of(binaries);
    switch (this.#random.below(6)) {
      case 0:
        part();
        return void out.u8(DW_OP.DW_OP_dup).u8(binary());
      case 1:
        part();
        part();
        return void out.u8(DW_OP.DW_OP_swap).u8(binary());
      case 2:
        part();
        part();
        return void out.u8(DW_OP.DW_OP_over).u8(binary()).u8(binary());
      case 3:
        part();
        part();
        return void out.u8(DW_OP.DW_OP_drop);
      case 4:
        part();
        part();
        part();
        return void out.u8(DW_OP.DW_OP_rot).u8(binary()).u8(binary());
      default:
        part();
        part();
        part();
        out.u8(DW_OP.DW_OP_pick).u8(this.#random.below(3));
        return void out.u8(binary()).u8(binary()).u8(binary());
    }
  }
}
