/** A whole core of a process: the tracer writes it to the spool itself, so that its bytes pass through nobody's memory. */
import { randomBytes } from 'node:crypto';
import type { EngineName } from '../../format/capture.js';
import { makeIdentifier } from '../../format/identifier.js';
import { checkAwaited } from '../tracer/abandoned.js';
import type { CoreProgress, TracerClient } from '../tracer/client.js';
import type { Gate } from './gate.js';
import type { SessionLog } from './session-log.js';
import type { Spool, SpooledSnapshot } from './spool.js';

export interface SessionCoreOrder {
  readonly pid: number;
  /** Of memory. */
  readonly maxBytes: number;
  readonly engine?: EngineName;
}

export interface CoreMeans {
  readonly gate: Gate;
  readonly tracer: TracerClient;
  readonly spool: Spool;
  readonly host: string;
  readonly log: SessionLog;
}

/** Throws `denied`, `unsupported`, `limit` when there is no room for it, `unreachable` when nobody waits for it any more. */
export async function takeCore(
  { gate, tracer, spool, host, log }: CoreMeans,
  order: SessionCoreOrder,
  { progress, signal }: { readonly progress: CoreProgress; readonly signal: AbortSignal | undefined },
): Promise<SpooledSnapshot> {
  gate.policy.checkCore(order);
  await gate.checkPrograms([order.pid]);
  const snapshot = makeIdentifier(Date.now(), randomBytes(4));
  using place = spool.makePlace(snapshot);
  const maxBytes = Math.min(order.maxBytes, place.freeBytes);
  const made = await gate.withEngine(order.engine, (engine) =>
    tracer.core({ pid: order.pid, maxBytes, file: place.file, snapshot, host, ...engine }, progress, signal),
  );
  checkAwaited(signal);
  log.info({ snapshot, pid: order.pid, ...made }, 'core spooled');
  return await place.keep();
}
