/**
 * The reference interpreter of plans: what a hit at a site gives, by the semantics in `plan.ts`. Engines without eBPF run
 * plans with it, and the eBPF compiler is compared with it. The stack window is not its matter, but its bytes count.
 */
import { type Absent, isAbsent } from '../absent.js';
import { hex } from '../address.js';
import type { CapturedRange, MissingRange } from '../capture.js';
import type { ExpressionContext } from '../dwarf-op/context.js';
import { type Operation, decodeExpression } from '../dwarf-op/decode.js';
import { evaluateValue } from '../dwarf-op/evaluate.js';
import { type MemoryReader, weaker } from '../memory.js';
import { dwarfRegisterOffset, readUserRegister } from '../registers/x86-64.js';
import type { AggregateGrouping, GroupKey, PlanAggregate } from './aggregate.js';
import type { Plan, PlanRange, PlanSite } from './plan.js';
import { isAddress, maxRepeated, moreItems, type PlanRepeat, tooManyRepeated } from './repeat.js';
import { durationRegister } from './timing.js';

export interface PlanSiteState {
  /** The hitting thread's `user_regs_struct`, or its first 168 bytes. */
  readonly registers: Uint8Array;
  readonly memory: MemoryReader;
  /** Bytes that the ranges of a hit may bring: {@link rangeBytes} of the plan. */
  readonly maxBytes: number;
  /** Since the function was entered, where that is known. */
  readonly durationNs?: bigint;
}

export interface PlanSiteResult {
  readonly hit: boolean;
  readonly ranges: readonly CapturedRange[];
  readonly missing: readonly MissingRange[];
  /** Reads and divisions that failed, in the condition and in the expressions and bytes of ranges. */
  readonly faults: number;
}

/** What is left for ranges when the stack window has been set aside. */
export function rangeBytes(plan: Plan): number {
  return Math.max(plan.maxBytes - plan.stackBytes, 0);
}

/** Pages are the units in which memory can be unreadable. */
const pageBytes = 4096;

const decodedExpressions = new WeakMap<Uint8Array, readonly Operation[]>();

/** Expressions of a plan run many times; they are decoded once. */
function operationsOf(expression: Uint8Array): readonly Operation[] {
  let operations = decodedExpressions.get(expression);
  if (operations === undefined) {
    operations = decodeExpression(expression, { addressSize: 8, name: 'plan expression' });
    decodedExpressions.set(expression, operations);
  }
  return operations;
}

/** Decides the condition and collects the ranges, in preorder. The plan was verified before. */
export function runPlanSite(site: PlanSite, state: PlanSiteState): PlanSiteResult {
  const run = new SiteRun(site, state);
  if (site.condition !== undefined) {
    const value = evaluateValue(operationsOf(site.condition), run.context(undefined));
    if (isAbsent(value)) return { hit: false, ranges: [], missing: [], faults: 1 };
    if (value === 0n) return { hit: false, ranges: [], missing: [], faults: 0 };
  }
  run.collect(site.ranges, undefined);
  return { hit: true, ranges: run.ranges, missing: run.missing, faults: run.faults };
}

/** What a hit adds to the plan's aggregate; undefined where a value or a group cannot be read. */
export function runSiteAggregate(
  site: PlanSite,
  aggregate: PlanAggregate,
  state: PlanSiteState,
): { readonly value: bigint; readonly key: GroupKey | undefined } | undefined {
  return new SiteRun(site, state).sample(site.aggregate ?? {}, aggregate);
}

/** What is missing is all that was asked for, wherever in it the first missing byte is: no part of it was kept, and that is all that the kernel can say. */
function asAsked<T>(read: T | Absent, address: bigint, length: number): T | Absent {
  return isAbsent(read) ? { ...read, address, length } : read;
}

/** Where a range lies, or how long it is, could not be computed. */
function faulted(what: string, { absent: reason, detail, address }: Absent): Absent {
  if (address === undefined) return { absent: reason, detail: `its ${what}: ${detail}` };
  return {
    absent: reason,
    detail: `its ${what} depends on memory at ${hex(address)}, which cannot be read`,
    address,
  };
}

const noDuration: Absent = { absent: 'not-captured', detail: 'when the function was entered is not known' };

class SiteRun {
  readonly ranges: CapturedRange[] = [];
  readonly missing: MissingRange[] = [];
  faults = 0;
  readonly #state: PlanSiteState;
  readonly #view: DataView;
  readonly #bias: bigint;
  #left: number;
  /** Repeats that are run now, one within another. */
  #nested = 0;
  /** Results of repeats that may still come. */
  #repeated = maxRepeated;
  #isFull = false;

  constructor(site: PlanSite, state: PlanSiteState) {
    const { registers } = state;
    this.#state = state;
    this.#view = new DataView(registers.buffer, registers.byteOffset, registers.byteLength);
    this.#bias = readUserRegister(registers, 'rip') - site.linkAddress;
    this.#left = state.maxBytes;
  }

  context(objectAddress: bigint | undefined): ExpressionContext {
    const { memory } = this.#state;
    return {
      register: (number) => {
        if (number === durationRegister) return this.#state.durationNs ?? noDuration;
        const offset = dwarfRegisterOffset(number);
        return offset === undefined
          ? { absent: 'unsupported', detail: `register ${number} is not in a plan` }
          : this.#view.getBigUint64(offset, true);
      },
      memory: { read: (address, length) => asAsked(memory.read(address, length), address, length) },
      relocate: (link) => link + this.#bias,
      ...(objectAddress === undefined ? {} : { objectAddress }),
    };
  }

  sample(
    { value, group, groupLength }: NonNullable<PlanSite['aggregate']>,
    aggregate: PlanAggregate,
  ): ReturnType<typeof runSiteAggregate> {
    const context = this.context(undefined);
    const evaluated = value === undefined ? 0n : evaluateValue(operationsOf(value), context);
    if (isAbsent(evaluated)) return undefined;
    if (group === undefined || aggregate.group === undefined) return { value: evaluated, key: undefined };
    const key = this.#key(group, groupLength, aggregate.group, context);
    return key === undefined ? undefined : { value: evaluated, key };
  }

  #key(
    group: Uint8Array,
    groupLength: Uint8Array | undefined,
    grouping: AggregateGrouping,
    context: ExpressionContext,
  ): GroupKey | undefined {
    const addressOf = (): bigint | Absent => evaluateValue(operationsOf(group), context);
    if (grouping.kind === 'number') {
      const number = addressOf();
      return isAbsent(number) ? undefined : { number };
    }
    const length = groupLength === undefined ? undefined : evaluateValue(operationsOf(groupLength), context);
    if (isAbsent(length)) return undefined;
    const units = length === undefined ? undefined : BigInt.asIntN(64, length);
    // An empty string is nowhere: where it would be is not asked.
    if (units !== undefined && units <= 0n) return { text: new Uint8Array(), cut: false };
    const address = addressOf();
    return isAbsent(address) ? undefined : this.#text(address, units, grouping.maxBytes);
  }

  #text(address: bigint, length: bigint | undefined, maxBytes: number): GroupKey | undefined {
    if (length !== undefined) {
      const cut = length > BigInt(maxBytes);
      const read = this.#state.memory.read(address, cut ? maxBytes : Number(length));
      return isAbsent(read) ? undefined : { text: read.bytes, cut };
    }
    const read = this.#readString(address, maxBytes + 1);
    if (isAbsent(read)) return undefined;
    const cut = read.bytes.at(-1) !== 0;
    return { text: read.bytes.subarray(0, read.bytes.length - 1), cut };
  }

  collect(ranges: readonly PlanRange[], objectAddress: bigint | undefined): void {
    if (ranges.length === 0) return;
    const context = this.context(objectAddress);
    for (const range of ranges) {
      if (range.repeat !== undefined) this.#repeat(range, range.repeat, context);
      else this.#collectWithChildren(range, context);
    }
  }

  #collectWithChildren(range: PlanRange, context: ExpressionContext): void {
    const address = this.#hasRoom(range) ? this.#collectOne(range, context) : undefined;
    if (address !== undefined) this.collect(range.children, address);
    else if (range.children.length > 0 && this.#nested === 0) this.#missChildren(range);
  }

  /** Whether a result of a repeat may still come; the first that may not is noted. */
  #hasRoom({ path }: PlanRange): boolean {
    if (this.#nested === 0 || this.#repeated > 0) return true;
    if (!this.#isFull) this.missing.push({ path, reason: 'limit', detail: tooManyRepeated });
    this.#isFull = true;
    return false;
  }

  #repeat(range: PlanRange, repeat: PlanRepeat, context: ExpressionContext): void {
    this.#nested++;
    this.#items(range, repeat, context);
    this.#nested--;
  }

  /** See {@link PlanRepeat}. */
  #items(range: PlanRange, { maxItems, count, next }: PlanRepeat, context: ExpressionContext): void {
    if (!this.#hasRoom(range)) return;
    const { path } = range;
    const first = evaluateValue(operationsOf(range.address), context);
    if (isAbsent(first)) return this.#miss(path, faulted('address', first));
    const lengthBits = evaluateValue(operationsOf(range.length), context);
    if (isAbsent(lengthBits)) return this.#miss(path, faulted('length', lengthBits));
    const length = BigInt.asIntN(64, lengthBits);
    if (length <= 0n) return;
    const countBits = count === undefined ? undefined : evaluateValue(operationsOf(count), context);
    if (isAbsent(countBits)) return this.#miss(path, faulted('number of items', countBits));
    const wanted = countBits === undefined ? undefined : BigInt.asIntN(64, countBits);
    if (wanted !== undefined && wanted <= 0n) return;
    let address = first;
    for (let item = 1; this.#hasRoom(range); item++) {
      if (this.#collectAt(range, address, length) === undefined) return;
      this.collect(range.children, address);
      if (wanted !== undefined && BigInt(item) >= wanted) return;
      const following = evaluateValue(operationsOf(next), this.context(address));
      if (isAbsent(following))
        return this.#hasRoom(range) ? this.#miss(path, faulted('next item', following)) : undefined;
      if (!isAddress(following) || following === first || following === address) return;
      address = following;
      if (item >= maxItems) {
        if (this.#hasRoom(range)) this.#refuse(path, moreItems(maxItems), address, length);
        return;
      }
    }
  }

  /** The range's address where it was collected. */
  #collectOne(range: PlanRange, context: ExpressionContext): bigint | undefined {
    const { path } = range;
    const address = evaluateValue(operationsOf(range.address), context);
    if (isAbsent(address)) return this.#miss(path, faulted('address', address));
    const lengthBits = evaluateValue(operationsOf(range.length), context);
    if (isAbsent(lengthBits)) return this.#miss(path, faulted('length', lengthBits));
    const length = BigInt.asIntN(64, lengthBits);
    return length <= 0n ? undefined : this.#collectAt(range, address, length);
  }

  /** Bytes from an address; the address where any were collected. */
  #collectAt(range: PlanRange, address: bigint, length: bigint): bigint | undefined {
    const { path } = range;
    if (this.#left <= 0) return this.#refuse(path, 'the bytes of a hit are used up', address, length);
    const most = Math.min(range.maxBytes, this.#left);
    const wanted = length > BigInt(most) ? most : Number(length);
    const read = range.untilNul
      ? this.#readString(address, wanted)
      : this.#state.memory.read(address, wanted);
    if (isAbsent(read)) return this.#miss(path, asAsked(read, address, wanted));
    const { bytes, provenance } = read;
    this.#left -= bytes.length;
    this.ranges.push({ address, bytes, provenance, path });
    this.#spend();
    const end = address + BigInt(bytes.length);
    if (range.untilNul) {
      if (bytes.at(-1) !== 0) {
        this.#limit(path, `no end of the string within ${bytes.length} bytes`, end, length - BigInt(wanted));
      }
    } else if (BigInt(wanted) < length) {
      const what = wanted === range.maxBytes ? 'the range' : 'a hit';
      this.#limit(path, `${wanted} of ${length} bytes, the most for ${what}`, end, length - BigInt(wanted));
    }
    return address;
  }

  /** Up to and with the first NUL; unreadable memory behind it does not matter. */
  #readString(address: bigint, most: number): ReturnType<MemoryReader['read']> {
    const parts: Uint8Array[] = [];
    let provenance: CapturedRange['provenance'] = 'at-hit';
    for (let done = 0; done < most;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const toPageEnd = pageBytes - Number(at % BigInt(pageBytes));
      const part = this.#readSome(at, Math.min(toPageEnd, most - done));
      if (isAbsent(part)) return part;
      provenance = weaker(provenance, part.provenance);
      const nul = part.bytes.indexOf(0);
      parts.push(nul < 0 ? part.bytes : part.bytes.subarray(0, nul + 1));
      if (nul >= 0) break;
      done += part.bytes.length;
    }
    const [only] = parts;
    return { bytes: parts.length === 1 && only !== undefined ? only : Buffer.concat(parts), provenance };
  }

  /** At least one byte, as far as they can be read at a stretch. */
  #readSome(address: bigint, most: number): ReturnType<MemoryReader['read']> {
    const { memory } = this.#state;
    const all = memory.read(address, most);
    if (!isAbsent(all) || all.address === undefined) return all;
    const readable = all.address - address;
    return readable > 0n && readable < BigInt(most) ? memory.read(address, Number(readable)) : all;
  }

  #miss(path: string, reason: Absent): undefined {
    this.faults++;
    this.#spend();
    this.missing.push({
      path,
      ...(reason.address === undefined ? {} : { address: reason.address }),
      ...(reason.length === undefined ? {} : { length: reason.length }),
      reason: reason.absent,
      detail: reason.detail,
    });
  }

  /** Counts a result of a repeat. */
  #spend(): void {
    if (this.#nested > 0) this.#repeated--;
  }

  /** Nothing of it comes. */
  #refuse(path: string, detail: string, address: bigint, length: bigint): undefined {
    this.#spend();
    this.#limit(path, detail, address, length);
  }

  #limit(path: string, detail: string, address: bigint, length: bigint): void {
    this.missing.push({
      path,
      address,
      ...(length > 0n && length <= BigInt(Number.MAX_SAFE_INTEGER) ? { length: Number(length) } : {}),
      reason: 'limit',
      detail,
    });
  }

  #missChildren(range: PlanRange): void {
    for (const child of range.children) {
      this.missing.push({
        path: child.path,
        reason: 'not-captured',
        detail: `"${range.path}", which leads there, was not collected`,
      });
      if (child.repeat === undefined) this.#missChildren(child);
    }
  }
}
