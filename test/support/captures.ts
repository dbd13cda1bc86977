/** Literal captures, for tests of what is written into a core. */
import type { Capture, CapturedRange, CapturedThread, ProcessFacts } from '../../format/capture.js';
import type { SnapshotHeading } from '../../format/core/write.js';
import {
  userRegisterOffset,
  userRegistersBytes,
  type UserRegisterName,
} from '../../format/registers/x86-64.js';

export function registersOf(values: Readonly<Partial<Record<UserRegisterName, bigint>>>): Uint8Array {
  const bytes = new Uint8Array(userRegistersBytes);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    view.setBigUint64(userRegisterOffset(name as UserRegisterName), value, true);
  }
  return bytes;
}

export function rangeOf(
  address: bigint,
  bytes: readonly number[],
  more: Partial<CapturedRange> = {},
): CapturedRange {
  return { address, bytes: Uint8Array.from(bytes), provenance: 'at-hit', path: 'x', ...more };
}

export function threadOf(tid: number, more: Partial<CapturedThread> = {}): CapturedThread {
  return {
    tid,
    comm: `thread-${tid}`,
    state: 'R',
    registers: registersOf({ rip: BigInt(tid) }),
    unknownRegisters: ['fs_base'],
    provenance: 'at-hit',
    ...more,
  };
}

export function captureOf(more: Partial<Capture> = {}): Capture {
  return {
    engine: 'uprobe',
    pid: 100,
    tid: 100,
    timeNs: 1_700_000_000_123_456_789n,
    threads: [threadOf(100)],
    ranges: [],
    missing: [],
    cost: { hits: 7, conditionFalse: 6, dropped: 0, faults: 0, bytes: 0, stoppedNs: 0 },
    ...more,
  };
}

export function factsOf(more: Partial<ProcessFacts> = {}): ProcessFacts {
  return {
    pid: 100,
    parentPid: 1,
    uid: 5,
    gid: 6,
    comm: 'service',
    args: 'service --flag',
    auxv: new Uint8Array(16),
    mappings: [],
    modules: [],
    ranges: [],
    ...more,
  };
}

export const heading: SnapshotHeading = {
  snapshot: 's1',
  point: 'p1',
  host: 'here',
  buildId: 'abcd',
  modulePath: '/usr/bin/service',
  location: { function: 'f', file: 'f.c', line: 3, address: 0xffff_ffff_8000_0001n },
  request: { location: 'f.c:3', condition: 'x == 1', captures: ['y'] },
};
