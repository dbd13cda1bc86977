/** A snapshot file for tests of the store, which never looks into one: a note as JSON, read back by `readTestNote`. */
import { readFileSync } from 'node:fs';
import type { StillframeNote } from '../../../format/core/stillframe-note.js';
import { badData } from '../../../format/error.js';

export function noteOf(part: Partial<StillframeNote>): StillframeNote {
  return {
    version: 1,
    snapshot: '000000000000',
    point: '',
    host: 'here',
    engine: 'uprobe',
    timeNs: 1n,
    pid: 11,
    tid: 12,
    comm: 'worker-1',
    buildId: 'abcd',
    modulePath: '/usr/bin/order-service',
    location: { function: 'charge_order', file: '/src/orders.c', line: 7, address: 0xffff_ffff_ff60_0000n },
    request: { location: 'orders.c:7', captures: [] },
    ranges: [],
    missing: [],
    threads: [],
    modules: [],
    cost: { hits: 1, conditionFalse: 2, dropped: 0, faults: 0, bytes: 3, stoppedNs: 0 },
    ...part,
  };
}

export function snapshotBytes(part: Partial<StillframeNote>): Uint8Array {
  const json = JSON.stringify(noteOf(part), (_, value: unknown) =>
    typeof value === 'bigint' ? `bigint:${value}` : value,
  );
  return Uint8Array.from(Buffer.from(json));
}

export function readTestNote(path: string): StillframeNote {
  try {
    return JSON.parse(readFileSync(path, 'utf8'), (_, value: unknown) =>
      typeof value === 'string' && value.startsWith('bigint:') ? BigInt(value.slice(7)) : value,
    ) as StillframeNote;
  } catch (error) {
    throw badData(`cannot read "${path}"`, { cause: error });
  }
}
