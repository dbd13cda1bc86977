/** Arms a point in processes, as policy and the hits that are left allow, and disarms it. */
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { TracerClient } from '../tracer/client.js';
import type { Gate } from './gate.js';
import type { Point } from './point.js';

export interface ProcessToArm {
  readonly pid: number;
  /** Undefined: whichever has the pid now. */
  readonly startTicks?: bigint;
}

/** Or why it could not be armed. `over`: the point is not armed any more, or just being armed there. */
export type ArmOutcome = StillframeError | 'armed' | 'used up' | 'over';

/** One point is armed in so many processes at most: each costs descriptors, and memory for its records. */
const maxProcesses = 256;

export class Arming {
  readonly #tracer: TracerClient;
  readonly #gate: Gate;

  constructor(tracer: TracerClient, gate: Gate) {
    this.#tracer = tracer;
    this.#gate = gate;
  }

  async arm(point: Point, process: ProcessToArm): Promise<ArmOutcome> {
    const { pid } = process;
    if (!point.active || point.armed.has(pid) || point.arming.has(pid)) return 'over';
    if (point.armed.size + point.arming.size >= maxProcesses) {
      return new StillframeError(
        'limit',
        `cannot arm the point in process ${pid}: it is armed in ${maxProcesses} processes already`,
      );
    }
    // Known before anything is asked, for hits and ends may come before the answer.
    const work = Promise.resolve().then(() => this.#tryToArm(point, process));
    point.arming.set(pid, work);
    const outcome = await work;
    point.arming.delete(pid);
    point.goneEarly.delete(pid);
    return outcome;
  }

  /** Where it was armed by a tracer that is gone. Gives why it cannot be, by process, but for those that must wait for yet another tracer. */
  async again(point: Point): Promise<ReadonlyMap<number, StillframeError>> {
    for (const { pid, startTicks } of point.armed.values()) {
      point.unarmed.set(pid, { pid, startTicks });
      point.release(pid);
    }
    const failures = new Map<number, StillframeError>();
    for (const process of point.unarmed.values()) {
      const outcome = await this.arm(point, process);
      if (outcome instanceof StillframeError && outcome.code === 'unreachable') continue;
      point.unarmed.delete(process.pid);
      if (outcome instanceof StillframeError) failures.set(process.pid, outcome);
    }
    return failures;
  }

  /** Everywhere; gives what could not be disarmed. Resolves when the kernel says that no probe is left, of arming that was under way neither. */
  async disarm(point: Point): Promise<readonly StillframeError[]> {
    point.disarming += 1;
    try {
      return await this.#disarm(point);
    } finally {
      point.disarming -= 1;
    }
  }

  async #disarm(point: Point): Promise<readonly StillframeError[]> {
    const failures: StillframeError[] = [];
    const disarm = async (pid: number): Promise<void> => {
      try {
        point.release(pid, await this.#tracer.disarm(point.request.id, pid));
      } catch (error) {
        point.release(pid);
        const known = toStillframeError(error);
        // Without its tracer no probe is left: the kernel removed them with its descriptors.
        if (known.code !== 'unreachable') failures.push(known);
      }
    };
    await Promise.all([...point.arming.values(), ...[...point.armed.keys()].map(disarm)]);
    // Where it was just being armed.
    await Promise.all([...point.armed.keys()].map(disarm));
    return failures;
  }

  /** Never rejects. */
  async #tryToArm(point: Point, process: ProcessToArm): Promise<ArmOutcome> {
    try {
      return await this.#arm(point, process);
    } catch (error) {
      return toStillframeError(error);
    }
  }

  async #arm(point: Point, process: ProcessToArm): Promise<ArmOutcome> {
    const { id, plan, countOnly, minIntervalNs, terms } = point.request;
    const { pid } = process;
    const startTicks = process.startTicks ?? (await this.#startOf(point, pid));
    // Where the start is not known nothing is known of the process.
    const maxHits = point.remaining({ pid, startTicks: startTicks ?? -1n });
    if (maxHits === 0) return 'used up';
    const known = startTicks === undefined ? {} : { startTicks };
    const armed = await this.#gate.withEngine(point.request.engine, (engine) =>
      this.#tracer.arm({
        pointId: id,
        pid,
        ...known,
        plan,
        countOnly,
        maxHits,
        minIntervalNs,
        ...(terms?.allThreads === true ? { allThreads: true } : {}),
        ...engine,
      }),
    );
    // Its hits may all have come, or its process gone, before the answer came. One that ended meanwhile is disarmed by whoever waits for its end.
    if (!point.goneEarly.has(pid)) point.add(pid, armed);
    return 'armed';
  }

  /** Looked up only where it matters: when some process of this pid may have delivered hits already. */
  async #startOf(point: Point, pid: number): Promise<bigint | undefined> {
    if (!point.delivered.processes().some((process) => process.pid === pid)) return undefined;
    const [target] = await this.#tracer.listTargets(String(pid));
    return target?.startTicks;
  }
}
