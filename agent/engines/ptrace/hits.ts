/** The points of one process, and what it means that a thread stands at an address: whose hit that is, what it brings, when the thread goes on, when it is told. */
import type { Capture } from '../../../format/capture.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { ProcessMemory } from '../../linux/memory.js';
import type { PointEnd } from '../engine.js';
import { AheadMemory } from './ahead.js';
import type { ListedHit } from './decided-sites.js';
import type { PointSpec } from './messages.js';
import { type Mechanism, type TakenHit, TracedPoint } from './points.js';
import type { RegisterSlots } from './registers.js';
import type { GoOn, SeenStop } from './stop-wait.js';
import type { HeldThread } from './waiting.js';

export interface ProcessReports {
  hit(pointId: string, capture: Capture): void;
  ended(pointId: string, reason: PointEnd): void;
}

/** A thread that stands at an address. */
export interface Stopped {
  readonly mechanism: Mechanism;
  readonly tid: number;
  readonly address: bigint;
  /** What was read of it with the wait. */
  readonly seen: SeenStop | undefined;
  /** How it may be let run with the next wait; undefined when it may not. */
  readonly goOn: () => GoOn | undefined;
}

export interface HitMeans {
  readonly pid: number;
  /** The registers of a thread that stands at a software breakpoint are in the first. */
  readonly slots: RegisterSlots;
  readonly reports: ProcessReports;
  /** Takes a point away that has all its hits. */
  readonly disarm: (pointId: string) => void;
}

/** The slot of the thread at a breakpoint. */
export const ownSlot = 0;

export class Hits implements Disposable {
  readonly points: Map<string, TracedPoint> = new Map();
  readonly #means: HitMeans;
  #memory: ProcessMemory | undefined;
  #reader: AheadMemory | undefined;
  /** Reports wait until the threads that stand still have been let run. */
  readonly #reported: (() => void)[] = [];

  constructor(means: HitMeans) {
    this.#means = means;
  }

  /** Before a point is armed. */
  prepare(spec: PointSpec): void {
    this.#memory ??= new ProcessMemory(this.#means.pid, 'at-hit');
    this.#reader ??= new AheadMemory(this.#memory);
    TracedPoint.rehearse(spec, this.#means.slots, this.#memory);
  }

  pointsAt(address: bigint, mechanism: Mechanism): readonly TracedPoint[] {
    const found: TracedPoint[] = [];
    for (const point of this.points.values()) {
      if (point.mechanism === mechanism && point.sitesAt(address).length > 0) found.push(point);
    }
    return found;
  }

  /** What was read of a stop is of no other. */
  forgetAhead(): void {
    this.#reader?.set(undefined);
  }

  /** A thread stands at an address. It is held for the next wait where one is given, or `release` lets it run; nothing is reported before. */
  hit(stopped: Stopped, mayHold: boolean, release?: () => void): HeldThread | undefined {
    const { mechanism, tid, address, seen } = stopped;
    const stoppedNs = seen === undefined ? process.hrtime.bigint() : BigInt(seen.stoppedNs);
    const points = this.pointsAt(address, mechanism);
    let taken: TakenHit[] = [];
    let goOn: GoOn | undefined;
    try {
      // Of a thread at a software breakpoint they are there, and say already where it really is.
      const isRead =
        mechanism === 'software' || (seen?.registers ?? this.#means.slots.readGeneral(ownSlot, tid));
      this.#reader?.set(seen?.ahead);
      taken = isRead ? this.#take(points, tid, address) : [];
      const isNothing = taken.length === 0 && points.every((point) => !point.isUsedUp);
      goOn = mayHold && isNothing ? stopped.goOn() : undefined;
    } finally {
      if (goOn === undefined) release?.();
    }
    const countedNs = process.hrtime.bigint();
    const durationNs = countedNs - stoppedNs;
    for (const point of points) {
      point.count('stoppedNs', durationNs);
      if (point.isUsedUp) this.#means.disarm(point.spec.pointId);
    }
    for (const hit of taken) this.#reported.push(() => this.#report(hit, durationNs));
    return goOn === undefined ? undefined : { goOn, points, countedNs };
  }

  /** A hit that the list of a wait took; the thread runs again. */
  takeListed(point: TracedPoint, siteIndex: number, listed: ListedHit): void {
    const hit = point.takeListed(siteIndex, listed, this.#means.pid);
    if (point.isUsedUp) this.#means.disarm(point.spec.pointId);
    if (hit !== undefined) this.#reported.push(() => this.#report(hit, listed.stoppedNs));
  }

  #take(points: readonly TracedPoint[], tid: number, address: bigint): TakenHit[] {
    const [memory, reader, slots] = [this.#memory, this.#reader, this.#means.slots];
    if (memory === undefined || reader === undefined) return [];
    const registers = slots.registers(ownSlot);
    if (registers === undefined || readUserRegister(registers, 'rip') !== address) {
      // The signal was blocked when the thread passed, and comes late: what it would show is not the point.
      for (const point of points) point.count('dropped');
      return [];
    }
    const taken: TakenHit[] = [];
    for (const point of points) {
      for (const site of point.sitesAt(address)) {
        const hit = point.take(site, { tid, slots, memory, reader });
        if (hit !== undefined) taken.push(hit);
      }
    }
    return taken;
  }

  /** Tells of the hits that were taken; nobody stands still for it. */
  report(): void {
    for (let report = this.#reported.shift(); report !== undefined; report = this.#reported.shift()) report();
  }

  #report({ point, number, capture }: TakenHit, durationNs: bigint): void {
    const { pointId, maxHits } = point.spec;
    const { reports } = this.#means;
    reports.hit(pointId, capture(durationNs));
    if (number < maxHits) return;
    reports.ended(pointId, { kind: 'hits', detail: `${maxHits} of ${maxHits} hits delivered` });
  }

  [Symbol.dispose](): void {
    this.points.clear();
    this.#memory?.[Symbol.dispose]();
  }
}
