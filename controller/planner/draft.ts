/**
 * Ranges of a site while they are being chosen: a tree that follows pointers, under one budget of ranges and of bytes. What the
 * budget cuts off is remembered, to be told.
 */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { PlanRange } from '../../format/plan/plan.js';
import { maxRepeatNesting, type PlanRepeat } from '../../format/plan/repeat.js';
import { OpWriter } from '../expression/op-writer.js';

export interface Draft {
  readonly path: string;
  /** As the plan has it: by itself, or from the parent's object address. */
  readonly address: Uint8Array;
  readonly length: Uint8Array;
  readonly maxBytes: number;
  readonly untilNul: boolean;
  readonly secret: boolean;
  readonly repeat?: PlanRepeat;
  readonly children: Draft[];
  /** The address without the parent: what tells that two drafts are the same. */
  readonly absolute: Uint8Array;
}

export interface DraftRequest {
  readonly path: string;
  readonly address: Uint8Array;
  readonly absolute: Uint8Array;
  readonly length: Uint8Array;
  /** The length without the parent, where only the hit knows it: what tells that two such are the same. */
  readonly absoluteLength?: Uint8Array;
  readonly maxBytes: number;
  readonly untilNul: boolean;
  /** What is expected to come, where it is less than `maxBytes`: most strings are short. */
  readonly expectedBytes: number;
  /** Then bytes are those of an item. */
  readonly repeat?: PlanRepeat;
}

export interface Budget {
  readonly maxRanges: number;
  readonly maxBytes: number;
}

/** How often a range comes that is in repeats, and how many of those. */
interface Repeats {
  readonly nesting: number;
  readonly expected: number;
  readonly most: number;
}

const once: Repeats = { nesting: 0, expected: 1, most: 1 };
/** Most lists are short, and most slots of tables are empty. */
const expectedItems = 16;

/** Cuts that are told one by one; the rest is counted. */
const maxToldCuts = 20;

export class Drafts {
  readonly roots: Draft[] = [];
  ranges = 0;
  /** What is expected to come. */
  bytes = 0;
  /** What can come at most. */
  mostBytes = 0;
  readonly #budget: Budget;
  readonly #seen = new Map<string, Draft>();
  readonly #repeats = new Map<Draft, Repeats>();
  readonly #ids = new Map<Draft, number>();
  readonly #cuts: string[] = [];
  #moreCuts = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Takes a range into the tree; undefined when it does not fit. What is there already is given back. */
  add(parent: Draft | undefined, request: DraftRequest): Draft | undefined {
    const repeats = this.#repeatsOf(parent, request.repeat);
    const before = this.#seen.get(this.#key(parent, request, request.absoluteLength));
    if (before !== undefined && before.maxBytes >= request.maxBytes) {
      if (!before.untilNul || request.untilNul) return before;
    }
    if (this.ranges >= this.#budget.maxRanges) {
      this.cut(request.path, `more than ${this.#budget.maxRanges} ranges`);
      return undefined;
    }
    if (this.bytes + request.expectedBytes * repeats.expected > this.#budget.maxBytes) {
      this.cut(request.path, `more than ${this.#budget.maxBytes} bytes`);
      return undefined;
    }
    if (repeats.nesting > maxRepeatNesting) {
      this.cut(request.path, `more than ${maxRepeatNesting} lists and arrays within each other`);
      return undefined;
    }
    const { path, address, absolute, length, maxBytes, untilNul, repeat } = request;
    const again = repeat === undefined ? {} : { repeat };
    const draft: Draft = {
      path,
      address,
      absolute,
      length,
      maxBytes,
      untilNul,
      secret: false,
      ...again,
      children: [],
    };
    this.#take(parent, draft, request);
    return draft;
  }

  #repeatsOf(parent: Draft | undefined, repeat: PlanRepeat | undefined): Repeats {
    const { nesting, expected, most } = (parent && this.#repeats.get(parent)) ?? once;
    if (repeat === undefined) return { nesting, expected, most };
    const { maxItems } = repeat;
    return {
      nesting: nesting + 1,
      expected: expected * Math.min(maxItems, expectedItems),
      most: most * maxItems,
    };
  }

  /** What tells that two are the same. Where a range in a repeat lies only its parent says. */
  #key(
    parent: Draft | undefined,
    { address, absolute, length, repeat }: Pick<Draft, 'address' | 'absolute' | 'length' | 'repeat'>,
    absoluteLength: Uint8Array | undefined,
  ): string {
    if (this.#repeatsOf(parent, repeat).nesting === 0) return keyOf(absolute, absoluteLength);
    const owner = parent === undefined ? '' : this.#ids.get(parent);
    return `${owner} ${keyOf(address, length)} ${repeat === undefined ? '' : keyOf(repeat.next, repeat.count)}`;
  }

  /** Takes over ranges that were asked for by name: they come first, and count, but are not cut. */
  adopt(ranges: readonly PlanRange[], parent?: Draft): void {
    for (const range of ranges) {
      // A child's address begins with its parent's.
      const own = range.address;
      const isRelative = own[0] === DW_OP.DW_OP_push_object_address && parent !== undefined;
      const absolute = isRelative ? Uint8Array.of(...parent.absolute, ...own.subarray(1)) : own;
      const draft: Draft = { ...range, absolute, children: [] };
      // What the hit alone knows the length of is short most of the time, as strings are.
      const isShort = range.untilNul || isComputed(draft);
      const expectedBytes = isShort ? expectedStringBytes(range.maxBytes) : range.maxBytes;
      this.#take(parent, draft, { expectedBytes });
      this.adopt(range.children, draft);
    }
  }

  #take(
    parent: Draft | undefined,
    draft: Draft,
    { expectedBytes, absoluteLength }: Pick<DraftRequest, 'expectedBytes' | 'absoluteLength'>,
  ): void {
    const repeats = this.#repeatsOf(parent, draft.repeat);
    this.#ids.set(draft, this.ranges);
    this.#repeats.set(draft, repeats);
    this.ranges++;
    this.bytes += expectedBytes * repeats.expected;
    this.mostBytes += draft.maxBytes * repeats.most;
    // What brings a length that only the hit knows may bring nothing: it stands for no other range.
    if (absoluteLength !== undefined || draft.untilNul || repeats.nesting > 0 || !isComputed(draft))
      this.#seen.set(this.#key(parent, draft, absoluteLength), draft);
    (parent?.children ?? this.roots).push(draft);
  }

  cut(path: string, reason: string): void {
    if (this.#cuts.length < maxToldCuts) this.#cuts.push(`${path}: ${reason}`);
    else this.#moreCuts++;
  }

  get cuts(): readonly string[] {
    return this.#moreCuts === 0 ? this.#cuts : [...this.#cuts, `and ${this.#moreCuts} more`];
  }

  finish(): PlanRange[] {
    return this.roots.map((root) => finished(root));
  }
}

function keyOf(address: Uint8Array, length: Uint8Array = new Uint8Array()): string {
  return `${Buffer.from(address).toString('hex')} ${Buffer.from(length).toString('hex')}`;
}

function isComputed(draft: Draft): boolean {
  const { length, absolute, address, maxBytes } = draft;
  return ![
    constantLength(maxBytes),
    lengthOfTarget(address, maxBytes),
    lengthOfTarget(absolute, maxBytes),
  ].some((usual) => Buffer.compare(usual, length) === 0);
}

function finished(draft: Draft): PlanRange {
  const { path, address, length, maxBytes, untilNul, secret, repeat } = draft;
  return {
    path,
    address,
    length,
    maxBytes,
    untilNul,
    secret,
    ...(repeat === undefined ? {} : { repeat }),
    children: draft.children.map((child) => finished(child)),
  };
}

/** Most strings are short: they are planned as if this long, and the bytes of a hit stay the true bound. */
export function expectedStringBytes(maxBytes: number): number {
  return Math.min(maxBytes, 128);
}

/** Where a pointer is stored, or what it is: from the parent range where there is one, and without it. */
export interface PointerSource {
  readonly parent: Draft | undefined;
  /** Leaves the pointer's value; may use the parent's object address. */
  readonly value: Uint8Array;
  /** Leaves the pointer's value by itself. */
  readonly absolute: Uint8Array;
}

export function constantLength(bytes: number): Uint8Array {
  return new OpWriter().constant(BigInt(bytes)).finish();
}

/**
 * Nothing where the pointer is null, or a small number or a negative one as unions and sentinels hold them: no program maps the first
 * 64 KiB (vm.mmap_min_addr) or the kernel's half, so following them could only fault.
 */
export function lengthOfTarget(pointer: Uint8Array, bytes: number): Uint8Array {
  return new OpWriter()
    .raw(pointer)
    .constant(0xffffn)
    .op(DW_OP.DW_OP_gt)
    .constant(BigInt(bytes))
    .op(DW_OP.DW_OP_mul)
    .finish();
}

/** The pointer that is stored at an offset from an address. */
export function loadPointer(address: Uint8Array, offset: number): Uint8Array {
  return new OpWriter().raw(address).plus(BigInt(offset)).dereference(8).finish();
}

export const objectAddress: Uint8Array = Uint8Array.of(DW_OP.DW_OP_push_object_address);
