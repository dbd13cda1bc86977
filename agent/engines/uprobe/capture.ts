/** A hit's record to a {@link Capture}: what was collected as ranges, what was not with its reason. Pure. */
import { hex } from '../../../format/address.js';
import type { Capture, CaptureCost, CapturedRange, MissingRange } from '../../../format/capture.js';
import { flattenRanges, type PlanRange, type PlanSite } from '../../../format/plan/plan.js';
import { userRegisterNames, userRegistersBytes } from '../../../format/registers/x86-64.js';
import type { HitRecord, RangeRecord } from '../../bpf/read-record.js';

/** A uprobe sees `struct pt_regs`, which ends with ss; segment bases and selectors are not in it. */
const unknownRegisters: readonly string[] = userRegisterNames.slice(21);

export interface CaptureSurroundings {
  readonly site: PlanSite;
  /** Bytes of stack that were asked for. */
  readonly stackBytes: number;
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
  if (record.stack.length < around.stackBytes) {
    missing.push({
      path: stackPath,
      address: record.stackAddress + BigInt(record.stack.length),
      length: around.stackBytes - record.stack.length,
      reason: 'unreadable',
      detail: 'the stack ends here, or its page cannot be read',
    });
  }
  flattenRanges(around.site.ranges).forEach(({ range, parent }, index) => {
    const state = record.ranges[index];
    if (state === undefined) return;
    if (state.bytes !== undefined && state.bytes.length > 0)
      ranges.push({ address: state.address, bytes: state.bytes, provenance: 'at-hit', path: range.path });
    const parentPath =
      parent === undefined ? '' : (flattenRanges(around.site.ranges)[parent]?.range.path ?? '');
    const absence = missingRange(range, state, parentPath);
    if (absence !== undefined) missing.push(absence);
  });
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
  };
}

/** Why a range, or a part of it, is not there; undefined where nothing is missing. */
function missingRange(range: PlanRange, state: RangeRecord, parentPath: string): MissingRange | undefined {
  const { path } = range;
  const { address, length } = state;
  switch (state.code) {
    case 'collected':
    case 'empty':
      return undefined;
    case 'clipped':
      return {
        path,
        address: address + BigInt(length),
        reason: 'limit',
        detail: range.untilNul
          ? `no end of the string in its first ${length} bytes`
          : `only the first ${length} bytes are captured`,
      };
    case 'no-room':
      return { path, address, reason: 'limit', detail: 'the bytes of one hit were used up before it' };
    case 'parent-missing':
      return { path, reason: 'not-captured', detail: `"${parentPath}", which leads to it, is missing` };
    case 'unreadable':
      return {
        path,
        address,
        length,
        reason: 'unreadable',
        detail: `memory at ${hex(address)} cannot be read`,
      };
    case 'address-unreadable':
      return faulted(path, state.fault, 'address');
    case 'length-unreadable':
      return faulted(path, state.fault, 'length');
    case 'address-division':
    case 'length-division': {
      const what = state.code === 'address-division' ? 'address' : 'length';
      return { path, reason: 'unreadable', detail: `its ${what} divides by zero` };
    }
  }
}

function faulted(path: string, fault: bigint, what: string): MissingRange {
  const detail = `its ${what} depends on memory at ${hex(fault)}, which cannot be read`;
  return { path, address: fault, reason: 'unreadable', detail };
}
