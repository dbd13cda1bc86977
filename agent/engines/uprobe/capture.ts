/** A hit's record to a {@link Capture}: what was collected as ranges, what was not with its reason. Pure. */
import { hex } from '../../../format/address.js';
import type { Capture, CaptureCost, CapturedRange, MissingRange } from '../../../format/capture.js';
import { flattenRanges, type PlanRange, type PlanSite } from '../../../format/plan/plan.js';
import { moreItems, tooManyRepeated } from '../../../format/plan/repeat.js';
import { userRegisterNames, userRegistersBytes } from '../../../format/registers/x86-64.js';
import type { HitRecord, RangeRecord } from '../../bpf/read-record.js';

/** A uprobe sees `struct pt_regs`, which ends with ss; segment bases and selectors are not in it. */
const unknownRegisters: readonly string[] = userRegisterNames.slice(21);

export interface CaptureSurroundings {
  readonly site: PlanSite;
  /** What the site leaves out. */
  readonly left?: readonly MissingRange[];
  /** Bytes of stack that were asked for. */
  readonly stackBytes: number;
  /** Whether pages that are not resident could be read: a short window then ends where the stack does. */
  readonly sleepable: boolean;
  readonly isTimed: boolean;
  /** Nanoseconds since the epoch. */
  readonly timeNs: bigint;
  readonly cost: Omit<CaptureCost, 'bytes'>;
}

export function captureOfRecord(record: HitRecord, around: CaptureSurroundings): Capture {
  const registers = new Uint8Array(userRegistersBytes);
  registers.set(record.registers);
  const ranges: CapturedRange[] = [];
  const missing: MissingRange[] = [];
  const stackPath = `stack of ${record.tid}`;
  if (record.stack.length > 0) {
    const { stackAddress: address, stack: bytes } = record;
    ranges.push({ address, bytes, provenance: 'at-hit', path: stackPath });
  }
  const short = record.stack.length < around.stackBytes;
  if (short && (record.stack.length === 0 || !around.sleepable)) {
    missing.push({
      path: stackPath,
      address: record.stackAddress + BigInt(record.stack.length),
      length: around.stackBytes - record.stack.length,
      reason: 'unreadable',
      detail: `memory at ${hex(record.stackAddress + BigInt(record.stack.length))} cannot be read`,
    });
  }
  const planned = flattenRanges(around.site.ranges);
  for (const state of record.ranges) {
    const { range, parent } = planned[state.index] ?? {};
    if (range === undefined) continue;
    if (state.bytes !== undefined && state.bytes.length > 0)
      ranges.push({ address: state.address, bytes: state.bytes, provenance: 'at-hit', path: range.path });
    const parentPath = parent === undefined ? '' : (planned[parent]?.range.path ?? '');
    const absence = missingRange(range, state, parentPath);
    if (absence !== undefined) missing.push(absence);
  }
  missing.push(...(around.left ?? []));
  return {
    engine: 'uprobe',
    pid: record.pid,
    tid: record.tid,
    timeNs: around.timeNs,
    site: record.site,
    threads: [
      { tid: record.tid, comm: record.comm, state: 'R', registers, unknownRegisters, provenance: 'at-hit' },
    ],
    ranges,
    missing,
    cost: { ...around.cost, bytes: ranges.reduce((sum, { bytes }) => sum + bytes.length, 0) },
    ...(around.isTimed ? { durationNs: record.durationNs ?? null } : {}),
  };
}

/** Why a range, or a part of it, is not there; undefined where nothing is missing. Says the same as `format/plan/run.ts`. */
function missingRange(range: PlanRange, state: RangeRecord, parentPath: string): MissingRange | undefined {
  const { path } = range;
  const { address, length } = state;
  const wanted = BigInt.asIntN(64, state.detail);
  switch (state.code) {
    case 'collected':
    case 'empty':
      return undefined;
    case 'clipped': {
      const rest = wanted - BigInt(length);
      const detail = range.untilNul
        ? `no end of the string within ${length} bytes`
        : `${length} of ${wanted} bytes, the most for ${length === range.maxBytes ? 'the range' : 'a hit'}`;
      return limit(path, address + BigInt(length), rest, detail);
    }
    case 'no-room':
      return limit(path, address, wanted, 'the bytes of a hit are used up');
    case 'parent-missing':
      return {
        path,
        reason: 'not-captured',
        detail: `"${parentPath}", which leads there, was not collected`,
      };
    case 'unreadable':
      return {
        path,
        address,
        length,
        reason: 'unreadable',
        detail: `memory at ${hex(address)} cannot be read`,
      };
    case 'more':
      return limit(path, address, wanted, moreItems(range.repeat?.maxItems ?? 0));
    case 'full':
      return { path, reason: 'limit', detail: tooManyRepeated };
    case 'address-unreadable':
      return faulted(path, state.detail, 'address');
    case 'length-unreadable':
      return faulted(path, state.detail, 'length');
    case 'count-unreadable':
      return faulted(path, state.detail, 'number of items');
    case 'next-unreadable':
      return faulted(path, state.detail, 'next item');
    case 'address-division':
      return divided(path, 'address');
    case 'length-division':
      return divided(path, 'length');
    case 'count-division':
      return divided(path, 'number of items');
    case 'next-division':
      return divided(path, 'next item');
  }
}

function limit(path: string, address: bigint, length: bigint, detail: string): MissingRange {
  const small = length > 0n && length <= BigInt(Number.MAX_SAFE_INTEGER);
  return { path, address, ...(small ? { length: Number(length) } : {}), reason: 'limit', detail };
}

function divided(path: string, what: string): MissingRange {
  return { path, reason: 'unreadable', detail: `its ${what}: division by zero` };
}

function faulted(path: string, address: bigint, what: string): MissingRange {
  const detail = `its ${what} depends on memory at ${hex(address)}, which cannot be read`;
  return { path, address, reason: 'unreadable', detail };
}
