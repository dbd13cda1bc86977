/**
 * Points as a controller keeps them: set once, durable, armed on every agent and in every process that fits, now and later, until their
 * hits are used up, they expire, or they are removed. Implemented by `point-keeper.ts`.
 */
import type { EngineName } from '../../format/capture.js';
import type { PointTerms } from '../../format/point-terms.js';
import type { WatchRequest } from '../planner/watch.js';
import type { CaptureBounds } from '../service/planning.js';
import type { PointDocument } from '../service/documents.js';
import type { SnapshotRecord } from '../store/store.js';

export interface PointSpec {
  /** `count`: hits are counted and nothing is captured. */
  readonly kind: 'snapshot' | 'count';
  /** TARGET of the command line, `@HOST` included. */
  readonly target: string;
  readonly location: string;
  readonly condition?: string;
  readonly captures: readonly string[];
  readonly engine: EngineName | '';
  readonly bounds: CaptureBounds;
  /** Over all hosts and processes together, unless `everyProcess`. */
  readonly maxHits: number;
  readonly everyProcess: boolean;
  readonly minIntervalNs: bigint;
  readonly expiresMs: number;
  readonly owner: string;
  readonly note: string;
  /** The incident that it belongs to. */
  readonly incident?: string;
  readonly terms?: PointTerms;
  /** The location is an expression, and hits are writes of it. */
  readonly watch?: WatchRequest;
}

export interface Points {
  /**
   * Durable when it returns: the point is then listed, and armed as soon as a process fits. Throws `usage` where the request itself is
   * wrong. A location or an expression that does not fit a process is the point's state, except with `strict`: then `set` waits until each
   * process that fits now is armed or refused, and throws the first refusal, with nothing kept, when none could be armed.
   */
  set(spec: PointSpec, options?: { readonly strict?: boolean }): Promise<PointDocument>;
  list(): readonly PointDocument[];
  /** Resolves when every agent that is connected holds no probe of it any more. */
  remove(id: string, why: string): Promise<PointDocument>;
  /** Arms it again where agents that are connected have suspended it. */
  resume(id: string): Promise<PointDocument>;
  listen(listener: PointListener): Disposable;
}

export interface PointListener {
  /** Its state changed, or its counters did (about once a second). */
  point?(point: PointDocument): void;
  /** It is stored. */
  snapshot?(snapshot: SnapshotRecord, point: PointDocument): void;
}
