/**
 * Memory for strings that tell groups of a metric apart, and for conditions and values that keep more values than the frame holds (see {@link ./frame.ts}): there is no record yet that could lend
 * it. A thread has an entry of a hash map for as long as it needs it. Few expressions are so deep, and only they pay for it.
 */
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { defaultLimits } from '../../format/limits.js';
import type { Plan, PlanSite } from '../../format/plan/plan.js';
import { type BpfMap, createMap } from '../linux/bpf.js';
import type { Assembler, Label } from './assembler.js';
import { maxSpillBytes, spillBytes } from './frame.js';
import { bpfHelpers } from './helper-calls.js';

/** Threads that can be within deep conditions of a point at once. */
const maxThreads = 1024;
/** `fp-8`: the key. */
const keyOffset = -8;

/** A group's string: how long it is, and its bytes with two more (see compile-aggregate.ts). */
const maxKeyBytes = 8 + Math.ceil((defaultLimits.maxGroupBytes + 2) / 8) * 8;
/** Where expressions spill to within an entry: behind a group's string. */
export const scratchSpillOffset: number = maxKeyBytes;
/** Where the time since the function was entered is kept, of a plan with timing. */
export const scratchDurationOffset: number = maxKeyBytes + maxSpillBytes;
export const scratchBytes: number = scratchDurationOffset + 8;

function isDeep(expression: Uint8Array | undefined): boolean {
  if (expression === undefined) return false;
  return spillBytes(decodeExpression(expression, { addressSize: 8, name: 'an expression' })) > 0;
}

export function hasDeepCondition({ condition }: PlanSite): boolean {
  return isDeep(condition);
}

/** The longest string that fits the frame, where it ends with a NUL. */
const maxFrameText = 30;

/** Whether what a site adds up needs an entry. */
export function aggregateNeedsScratch(plan: Plan, { aggregate }: PlanSite): boolean {
  const { value, group, groupLength } = aggregate ?? {};
  const grouping = plan.aggregate?.group;
  const isText = grouping?.kind === 'text' && (groupLength !== undefined || grouping.maxBytes > maxFrameText);
  return isText || isDeep(value) || isDeep(group) || isDeep(groupLength);
}

/** Undefined where no site of the plan needs it. */
export function createThreadScratch(plan: Plan): BpfMap | undefined {
  const isNeeded = plan.sites.some((site) => hasDeepCondition(site) || aggregateNeedsScratch(plan, site));
  if (!isNeeded) return undefined;
  return createMap({
    type: 'BPF_MAP_TYPE_HASH',
    name: 'scratch',
    keySize: 8,
    valueSize: scratchBytes,
    maxEntries: maxThreads,
  });
}

/** Emits r9 = this thread's entry, or a jump to `none`. `stateFd`: a map with a value of {@link scratchBytes}, to make the entry from. */
export function takeScratch(
  asm: Assembler,
  options: { readonly scratchFd: number; readonly stateFd: number; readonly none: Label },
): void {
  const { scratchFd, stateFd, none } = options;
  asm.call(bpfHelpers.bpf_get_current_pid_tgid).storeMemory(8, 10, keyOffset, 0);
  withKey(asm, scratchFd).loadMapValue(3, stateFd, 0).load(4, 0n);
  asm.call(bpfHelpers.bpf_map_update_elem).jumpIfImm('ne', 0, 0, none);
  withKey(asm, scratchFd).call(bpfHelpers.bpf_map_lookup_elem).jumpIfImm('eq', 0, 0, none).mov(9, 0);
}

/** Emits the end of the entry; r7 and r8 are kept. */
export function returnScratch(asm: Assembler, scratchFd: number): void {
  asm.call(bpfHelpers.bpf_get_current_pid_tgid).storeMemory(8, 10, keyOffset, 0);
  withKey(asm, scratchFd).call(bpfHelpers.bpf_map_delete_elem);
}

function withKey(asm: Assembler, fd: number): Assembler {
  return asm.loadMap(1, fd).mov(2, 10).aluImm('add', 2, keyOffset);
}
