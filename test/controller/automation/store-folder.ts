/** A store in a folder of its own, and literal causes and events, for tests of what automation keeps. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncidentCause, IncidentEvent } from '../../../controller/automation/incident.js';
import { openStore, type EmbeddedStore } from '../../../controller/store/sqlite.js';
import type { PointRecord } from '../../../controller/store/store.js';
import { readTestNote, snapshotBytes } from '../store/snapshot-bytes.js';

export interface StoreFolder extends Disposable {
  readonly folder: string;
  open(): EmbeddedStore;
}

export function makeStoreFolder(): StoreFolder {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-incidents-'));
  return {
    folder,
    open: () => openStore({ folder, readNote: readTestNote }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function putSnapshot(store: EmbeddedStore, id: string, point: string, timeNs: bigint): void {
  const bytes = snapshotBytes({ snapshot: id, point, timeNs });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  using writer = store.receive({ id, size: bytes.length, sha256 });
  writer.write(bytes);
  writer.commit();
}

export function causeOf(part: Partial<IncidentCause> = {}): IncidentCause {
  return {
    rule: 'checkout-errors',
    trigger: 'prometheus',
    text: 'rate(errors[1m]) is 12.5, above 5 for 30s',
    labels: { job: 'checkout', instance: 'a:9100' },
    facts: { value: 12.5, above: 5, forMs: 30_000 },
    ...part,
  };
}

export function eventOf(part: Partial<IncidentEvent> = {}): IncidentEvent {
  return { timeMs: startMs + 1, kind: 'armed', text: 'armed', facts: {}, ...part };
}

export const startMs = 1_790_000_000_000;

export function pointOf(part: Partial<PointRecord>): PointRecord {
  return {
    id: '0000000000p1',
    createdMs: startMs,
    target: 'name:checkout',
    location: 'orders.c:71',
    captures: [],
    engine: '',
    maxHits: 100,
    minIntervalNs: 0n,
    expiresMs: startMs + 60_000,
    agent: '',
    pids: [],
    modulePath: '',
    buildId: '',
    plan: new Uint8Array(),
    status: { phase: 'armed', why: '' },
    kind: 'snapshot',
    everyProcess: false,
    bounds: {},
    owner: '',
    note: '',
    ...part,
  };
}
