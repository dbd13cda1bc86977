/** From what the tracer brought to the core that goes into the spool, without the bytes that must not leave this host. */
import { randomBytes } from 'node:crypto';
import { writeCore } from '../../format/core/write.js';
import { makeIdentifier } from '../../format/identifier.js';
import { redact } from '../policy/redact.js';
import type { CapturedProcess } from '../tracer/client.js';
import { makeHeading } from '../tracer/heading.js';
import type { PointRequest } from './point.js';

export interface MadeSnapshot {
  readonly id: string;
  /** Empty for "now". */
  readonly point: string;
  readonly core: readonly Uint8Array[];
}

/** `point`: undefined for "now". */
export function makeSnapshot(
  { capture: raw, facts }: CapturedProcess,
  { host, point }: { readonly host: string; readonly point: PointRequest | undefined },
): MadeSnapshot {
  const capture = point === undefined ? raw : redact(raw, point.plan);
  const id = makeIdentifier(Number(capture.timeNs / 1_000_000n), randomBytes(4));
  const plan = point === undefined ? {} : { plan: point.plan };
  const context = { snapshot: id, point: point?.id ?? '', host, ...plan };
  const core = writeCore({ capture, facts, heading: makeHeading({ capture, facts }, context) });
  return { id, point: context.point, core };
}
