/** Snapshots in the spool that nobody will ask for, since the command that waited for their point is gone. */
import type { Point } from './point.js';
import type { SessionLog } from './session-log.js';
import type { Spool, SpooledSnapshot } from './spool.js';

/** How long a point outlives those who waited for it: a controller that lost its connection comes back sooner. */
const desertedMs = 5000;

/** Nobody waits any more for a point that lives while it is waited for. */
export function isDeserted({ request, desertedMs: since }: Point): boolean {
  return request.whileConnected === true && since !== undefined && Date.now() >= since + desertedMs;
}

/** It is over, and so is the command that waited for it. */
function isOrphan(point: Point): boolean {
  return !point.active && point.holders === 0 && isDeserted(point);
}

export class Leftovers {
  readonly #spool: Spool;
  readonly #log: SessionLog;
  readonly #find: (id: string) => Point | undefined;

  constructor(spool: Spool, log: SessionLog, find: (id: string) => Point | undefined) {
    this.#spool = spool;
    this.#log = log;
    this.#find = find;
    // Whoever asked an agent before this one for a snapshot of now, or for a core, waited for it there.
    this.#drop('');
  }

  /** What was told as it came, and nobody took: nobody will, once it is over and who listened is gone. */
  dropUntold({ active, holders, request: { id, stream } }: Point): void {
    if (stream !== true || active || holders > 0) return;
    this.#drop(id);
  }

  /** The point is not listed any longer: nobody who did not ask until now knows its name. Those of controllers that stay ask when they are back. */
  forget(point: Point): void {
    if (isOrphan(point) || point.request.stream === true) this.#drop(point.request.id);
  }

  /** What commands that are gone left waiting gives way to what somebody waits for, the oldest first. */
  makeRoom(bytes: number): void {
    for (const { id, point, size } of this.#spool.list()) {
      if (this.#spool.hasRoom(bytes)) return;
      const known = this.#find(point);
      if (known === undefined || !isOrphan(known)) continue;
      this.#spool.remove(id);
      this.#log.warn({ snapshot: id, point, size }, 'removed from the spool, which is full');
    }
  }

  #drop(point: string): void {
    const waiting: readonly SpooledSnapshot[] = this.#spool.list().filter((each) => each.point === point);
    for (const { id } of waiting) this.#spool.remove(id);
  }
}
