/**
 * The read that an expression begins with: nearly every expression of a plan reads first at a fixed distance from a register, from something in the
 * module, or from its parent object. What those of a site want in common is read once. Pure.
 */
import { decodeExpression, type Operation } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { PlanRange } from '../../format/plan/plan.js';
import { dwarfRegisterOffset } from '../../format/registers/x86-64.js';
import type { Width } from './assembler.js';

/** A register by its DWARF number, the module (the offset is then a link address), or the parent object. */
export type ReadBase = number | 'module' | 'object';

export interface LeadingRead {
  readonly base: ReadBase;
  /** From the base; signed. */
  readonly offset: bigint;
  readonly width: Width;
  /** Index of the operation that reads. */
  readonly at: number;
}

/** Undefined where the expression begins otherwise, or reads what is no number of a machine. */
export function findLeadingRead(operations: readonly Operation[]): LeadingRead | undefined {
  const [first] = operations;
  const start = first === undefined ? undefined : baseOf(first);
  if (start === undefined) return undefined;
  let { offset } = start;
  for (const [at, { code, a }] of operations.entries()) {
    if (at === 0) continue;
    if (code === DW_OP.DW_OP_plus_uconst) {
      offset += a;
      continue;
    }
    const width = widthOf(code, a);
    if (width === undefined) return undefined;
    return { base: start.base, offset: BigInt.asIntN(64, offset), width, at };
  }
  return undefined;
}

function baseOf({ code, a, b }: Operation): { base: ReadBase; offset: bigint } | undefined {
  if (code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31)
    return { base: code - DW_OP.DW_OP_breg0, offset: a };
  if (code === DW_OP.DW_OP_bregx) return { base: Number(a), offset: b };
  if (code === DW_OP.DW_OP_addr) return { base: 'module', offset: a };
  if (code === DW_OP.DW_OP_push_object_address) return { base: 'object', offset: 0n };
  return undefined;
}

function widthOf(code: number, a: bigint): Width | undefined {
  if (code === DW_OP.DW_OP_deref) return 8;
  if (code !== DW_OP.DW_OP_deref_size) return undefined;
  return a === 1n ? 1 : a === 2n ? 2 : a === 4n ? 4 : a === 8n ? 8 : undefined;
}

/**
 * Whether a range's length is computed from its address, which is the rule for what pointers lead to: nothing where they are null. What the
 * address gave is then at hand, and is the pointer that the range is about, whatever another thread does to it meanwhile.
 */
export function lengthBeginsWithAddress({ address, length }: PlanRange): boolean {
  return address.length > 0 && Buffer.compare(length.subarray(0, address.length), address) === 0;
}

/** A stretch of memory at which several expressions begin to read. */
export interface SharedRead {
  readonly base: Exclude<ReadBase, 'object'>;
  readonly offset: bigint;
  /** A multiple of eight only by chance; at most {@link maxSharedBytes}. */
  readonly bytes: number;
}

export const maxSharedBytes = 128;
const maxSharedReads = 16;

/** The stretches that two expressions or more want something of; parent objects are not among them, for their bytes are collected anyway. */
export function findSharedReads(ranges: readonly PlanRange[]): SharedRead[] {
  const shared: SharedRead[] = [];
  for (const [base, reads] of wantedByBase(ranges)) {
    let start = 0n;
    let end = 0n;
    let uses = 0;
    const close = (): void => {
      if (uses > 1) shared.push({ base, offset: start, bytes: Number(end - start) });
    };
    for (const { offset, width } of reads.toSorted(byOffset)) {
      const to = offset + BigInt(width);
      if (uses > 0 && to - start <= BigInt(maxSharedBytes)) {
        if (to > end) end = to;
        uses++;
      } else {
        close();
        [start, end, uses] = [offset, to, 1];
      }
    }
    close();
  }
  return shared.slice(0, maxSharedReads);
}

const byOffset = (a: LeadingRead, b: LeadingRead): number =>
  a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0;

function wantedByBase(ranges: readonly PlanRange[]): ReadonlyMap<SharedRead['base'], readonly LeadingRead[]> {
  const wanted = new Map<SharedRead['base'], LeadingRead[]>();
  for (const range of ranges) {
    for (const what of ['address', 'length'] as const) {
      if (what === 'length' && lengthBeginsWithAddress(range)) continue;
      const name = `the ${what} of "${range.path}"`;
      const read = findLeadingRead(decodeExpression(range[what], { addressSize: 8, name }));
      if (read === undefined || read.base === 'object') continue;
      // The compiler says what is wrong with a register that it does not know.
      if (read.base !== 'module' && dwarfRegisterOffset(read.base) === undefined) continue;
      const others = wanted.get(read.base);
      if (others === undefined) wanted.set(read.base, [read]);
      else others.push(read);
    }
  }
  return wanted;
}
