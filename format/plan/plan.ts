import type { Decision } from '../decision/decision.js';
import type { PlanAggregate, SiteAggregate } from './aggregate.js';
import type { PlanRepeat } from './repeat.js';
import type { PlanTiming } from './timing.js';
import type { PlanWatch } from './watch.js';

/**
 * A capture plan: what to probe, when it counts as a hit, and which memory to collect. Every address, length and
 * predicate is a DWARF expression (DWARF5 2.5), so that the agent needs no debug information and all engines agree.
 *
 * How expressions run in a plan:
 * - Registers (`DW_OP_breg*`, `DW_OP_bregx`, as written, never `DW_OP_reg*`) are those of the hitting thread at the site. Only DWARF
 *   registers 0..16 exist.
 * - `DW_OP_addr X` is a link address of the plan's own module; the engine adds the load bias,
 *   which at a hit is `rip - linkAddress` of the site.
 * - `DW_OP_push_object_address` is the runtime address of the parent range, as it was collected.
 * - Only the generic type: 64-bit two's complement, wrapping. `DW_OP_div` is signed, `DW_OP_mod` unsigned, comparisons signed,
 *   `DW_OP_shr` logical, `DW_OP_shra` arithmetic; shifts by 64 or more give 0 (or the sign). Division by zero is a fault.
 * - `DW_OP_deref` / `DW_OP_deref_size n` (zero-extending) read target memory; unreadable memory is a fault.
 * - Jumps (`DW_OP_bra`, `DW_OP_skip`) go forward only; the stack depth at a jump's target is the same on every way there.
 * - Exactly one value is left on the stack. A fault in a condition is "no hit" and counted in `faults`; a fault in
 *   an address or a length makes that range (and its children) missing with the reason.
 *
 * A plan with an {@link PlanAggregate aggregate} is a metric: its hits are added up, and it collects nothing. That is version 2.
 *
 * A plan with a {@link Decision} at some of its sites is version 3: what the engine brings from there is a candidate, and the agent decides on its bytes whether it
 * is a hit. An engine does not look at decisions.
 *
 * A plan with {@link PlanTiming timing} knows how long functions took that return at its sites; conditions and what is added up may ask for
 * {@link durationRegister}. That is version 3, too, with an aggregate or without.
 *
 * A plan with a {@link PlanWatch watch} has hits when memory is written, wherever the code is that writes. That is version 3, too.
 *
 * A plan with ranges that are collected again and again, see {@link PlanRepeat}, is version 3, too.
 */
export interface Plan {
  readonly version: 1 | 2 | 3;
  readonly module: PlanModule;
  readonly sites: readonly PlanSite[];
  /** Bytes of raw stack to copy from `rsp - 128` upwards; 0 for none. */
  readonly stackBytes: number;
  /** What one hit may bring at most, the stack window included. */
  readonly maxBytes: number;
  /** What the user asked, for people and for whoever reads the snapshot later. */
  readonly request: PlanRequest;
  /** What hits are added up to; then there are no ranges and no stack window. */
  readonly aggregate?: PlanAggregate;
  /** Where the functions are entered that return at the sites. */
  readonly timing?: PlanTiming;
  /** The memory whose writes are hits. */
  readonly watch?: PlanWatch;
}

export interface PlanModule {
  /** Lower-case hex of NT_GNU_BUILD_ID; the agent refuses a file with another. Empty when the file has none: then `path` and `sizeBytes` must match. */
  readonly buildId: string;
  /** The path as the target maps it. */
  readonly path: string;
}

export interface PlanRequest {
  readonly location: string;
  readonly condition?: string;
  readonly captures: readonly string[];
  /** What is added up, of a plan with an aggregate: `sum(order->total) by order->kind`. */
  readonly metric?: string;
}

/** One address to probe: a location can have several (inlined copies, several ranges of a line). */
export interface PlanSite {
  readonly linkAddress: bigint;
  /** Where a uprobe is placed. */
  readonly fileOffset: number;
  readonly function: string;
  readonly file?: string;
  readonly line?: number;
  /** True when it is an inlined copy. */
  readonly inlined: boolean;
  /** A DWARF expression; not zero means hit. Absent: always. */
  readonly condition?: Uint8Array;
  /** The rest of the condition, which the agent decides on what was collected. Absent: there is none. */
  readonly decision?: Decision;
  readonly ranges: readonly PlanRange[];
  /** Of a plan with an aggregate, and only there. */
  readonly aggregate?: SiteAggregate;
}

export interface PlanRange {
  /** What it is, as a person would write it: `order->customer->name`. */
  readonly path: string;
  /** DWARF expression for the address of the first byte. */
  readonly address: Uint8Array;
  /** DWARF expression for the length in bytes, signed: negative or zero collects nothing; clipped to `maxBytes` (then a `limit` is noted). */
  readonly length: Uint8Array;
  readonly maxBytes: number;
  /** Stop after the first NUL byte (which is collected); a string without NUL in `maxBytes` is noted as `limit`. */
  readonly untilNul: boolean;
  /** Bytes that must be masked before they leave the host. */
  readonly secret: boolean;
  /** Collected many times, its children with each: then `maxBytes` is that of one item. */
  readonly repeat?: PlanRepeat;
  /** Collected only when this range was, with its address as the object address. */
  readonly children: readonly PlanRange[];
}

/** All ranges of a site in preorder; a range's index here is its id in engines and records. */
export function flattenRanges(
  ranges: readonly PlanRange[],
): { readonly range: PlanRange; readonly parent: number | undefined }[] {
  const flat: { range: PlanRange; parent: number | undefined }[] = [];
  const walk = (list: readonly PlanRange[], parent: number | undefined): void => {
    for (const range of list) {
      flat.push({ range, parent });
      walk(range.children, flat.length - 1);
    }
  };
  walk(ranges, undefined);
  return flat;
}

/** Whether the agent decides a part of the condition: then an engine brings candidates. */
export function hasDecisions(plan: Plan): boolean {
  return plan.sites.some(({ decision }) => decision !== undefined);
}

/** Whether any range is collected again and again. */
export function hasRepeats(plan: Plan): boolean {
  return plan.sites.some(({ ranges }) => repeatsIn(ranges));
}

export function repeatsIn(ranges: readonly PlanRange[]): boolean {
  return ranges.some(({ repeat, children }) => repeat !== undefined || repeatsIn(children));
}

/**
 * What is left of a plan for who only counts: sites, and what the kernel decides of conditions. (At least a byte is what a valid plan may bring.)
 */
export function withoutRanges(plan: Plan): Plan {
  return {
    ...plan,
    version: plan.timing !== undefined || plan.watch !== undefined ? 3 : plan.aggregate === undefined ? 1 : 2,
    stackBytes: 0,
    maxBytes: 1,
    sites: plan.sites.map(countedSite),
  };
}

function countedSite(site: PlanSite): PlanSite {
  const { linkAddress, fileOffset, inlined, file, line, condition, aggregate } = site;
  return {
    linkAddress,
    fileOffset,
    function: site.function,
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    inlined,
    ...(condition === undefined ? {} : { condition }),
    ranges: [],
    ...(aggregate === undefined ? {} : { aggregate }),
  };
}
