/**
 * What is known of points from before: the records of earlier agents, and the hits whose snapshots still wait in the spool. Of a hit that an
 * agent was killed in the middle of, the spool knows before the record does; the larger number is true.
 */
import { toStillframeError } from '../../format/error.js';
import { Point, type PointRequest } from './point.js';
import type { PointRecord, PointRecords } from './point-records.js';
import type { SessionLog } from './session-log.js';
import type { Spool } from './spool.js';

export interface PastPointsOptions {
  /** Undefined: nothing is written down. */
  readonly records: PointRecords | undefined;
  readonly spool: Spool;
  readonly log: SessionLog;
}

export class PastPoints {
  readonly #options: PastPointsOptions;
  /** Of points that live and are not armed, until somebody asks for them or they expire. */
  readonly #dormant = new Map<string, PointRecord>();

  constructor(options: PastPointsOptions) {
    this.#options = options;
  }

  /** What an earlier agent left, to be read once; those that live are dormant until they are {@link woken}. */
  read(): readonly PointRecord[] {
    const records = this.#options.records?.list() ?? [];
    for (const record of records) {
      if (record.ended === undefined) this.#dormant.set(record.request.id, record);
    }
    return records;
  }

  dormant(id: string): PointRecord | undefined {
    return this.#dormant.get(id);
  }

  /** It is a point of this agent now. */
  woken(id: string): void {
    this.#dormant.delete(id);
  }

  /** With the hits that it has delivered; all that it has at first. */
  makePoint(request: PointRequest, record: PointRecord | undefined = this.#dormant.get(request.id)): Point {
    const point = new Point(request);
    if (record !== undefined) {
      point.delivered.recall(record.delivered, record.processes);
      point.canary = record.canary;
    }
    for (const { delivered, pid, startTicks, ofProcess } of this.#options.spool.deliveries(request.id)) {
      point.delivered.recall(delivered, [{ pid, startTicks, delivered: ofProcess }]);
    }
    return point;
  }

  /** Durable when it returns. A disk that is full costs the next agent what it would know, and not this one its life. */
  keep(point: Point): void {
    try {
      this.#options.records?.put(point.record());
    } catch (error) {
      const { message } = toStillframeError(error);
      this.#options.log.error({ point: point.request.id, error: message }, 'cannot write down the point');
    }
  }

  forget(id: string): void {
    this.#dormant.delete(id);
    this.#options.records?.remove(id);
  }

  forgetExpired(isBusy: (id: string) => boolean): void {
    for (const [id, { request }] of this.#dormant) {
      if (Date.now() >= request.expiresMs && !isBusy(id)) this.forget(id);
    }
  }
}
