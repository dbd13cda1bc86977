/**
 * A range that is collected again and again, which is how a list or an array of pointers is followed in one small loop: the items are like the range, each
 * at an address that the item before leads to, and each with the range's children.
 *
 * How a repeat runs:
 * - The address, the length (the same for all items) and the count are computed once, from the range's parent. A length of zero or less collects nothing.
 * - After an item was collected and its children were, `next` is computed with the item as the object. The end is a result up to
 *   {@link lastNoAddress} (signed), the address of the first item, or that of the item itself.
 * - An item that cannot be collected is missing with the reason and ends the repeat, and so does a fault in `next`.
 * - More items than `maxItems` are noted as `limit`: where `count` wants more, and where `next` leads on with no count to say whether that is wanted.
 * - All repeats of a hit bring no more than {@link maxRepeated} results (collected, or missing with a reason of their own). The first that is too many is noted
 *   as `limit`; nothing in repeats is collected after it.
 * - Below a range within a repeat that was not collected nothing is noted: the range itself is.
 */
export interface PlanRepeat {
  /** From 1 to {@link maxRepeatItems}. */
  readonly maxItems: number;
  /** DWARF expression for the number of items, signed. Absent: as many as `next` leads to. */
  readonly count?: Uint8Array;
  /** DWARF expression for the address of the next item. */
  readonly next: Uint8Array;
}

export const maxRepeatItems = 1000;

/** See {@link PlanRepeat}: of one hit. An engine that stops threads takes some microseconds for each. */
export const maxRepeated = 1024;

/** Repeats in repeats: programs of the kernel call functions only so deep. */
export const maxRepeatNesting = 4;

/** No program maps the first 64 KiB (vm.mmap_min_addr), nor the kernel's half. */
export const lastNoAddress = 0xffffn;

export function isAddress(value: bigint): boolean {
  return BigInt.asIntN(64, value) > lastNoAddress;
}

/** What is noted of a repeat that has more items than it brings. */
export function moreItems(maxItems: number): string {
  return `more than ${maxItems} items`;
}

/** What is noted where the repeats of a hit bring too much. */
export const tooManyRepeated: string = `the repeats of a hit bring more than ${maxRepeated} ranges`;
