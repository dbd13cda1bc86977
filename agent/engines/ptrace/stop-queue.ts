/**
 * Stops that wait4 has told of and that are not handled yet. wait4 tells of the thread that was seized last first, and of the doorbell last: where some
 * threads stop again as soon as they are let go, it would never come to the others, which would stand still for ever, and commands
 * would not be heard. So now and then all that there is to tell is taken in at once, and handled in that order.
 */
import { WALL, WNOHANG, WNOTHREAD, type WaitResult, wait } from '../../linux/ptrace.js';
import { type Stop, type Tracees, isTrap } from './tracees.js';

export type Heard = Exclude<WaitResult, { kind: 'none' }>;

const anyThread = -1;
/** How long a thread may be passed over. */
const fairNs = 2_000_000n;
/** Of what is taken in at once: more than a process has threads; what is left comes the next time. */
const maxHeard = 65_536;

export class StopQueue {
  readonly #tracees: Tracees;
  readonly #status = Buffer.alloc(4);
  /** In the order in which they are handled. A stop that is not the thread's present one any more has been handled by others. */
  readonly #order = new Set<Heard>();
  #collectedNs = 0n;

  constructor(tracees: Tracees) {
    this.#tracees = tracees;
  }

  get isDue(): boolean {
    return this.#order.size > 0 || process.hrtime.bigint() - this.#collectedNs > fairNs;
  }

  /** Takes in all that there is to be heard of now. */
  collect(): void {
    this.#collectedNs = process.hrtime.bigint();
    for (let i = 0; i < maxHeard; i++) {
      const heard = wait(anyThread, WALL | WNOTHREAD | WNOHANG, this.#status);
      if (heard.kind === 'none') return;
      this.add(heard);
    }
  }

  add(heard: Heard): void {
    if (heard.kind === 'stopped' && this.#tracees.tids.has(heard.tid)) {
      this.#tracees.stops.set(heard.tid, heard);
    }
    this.#order.add(heard);
  }

  /** Has the threads that stand at traps wait for their turn; gives what else threads stand still for. */
  separate(): Stop[] {
    const others: Stop[] = [];
    for (const stop of this.#tracees.stops.values()) {
      if (isTrap(stop)) this.#order.add(stop);
      else others.push(stop);
    }
    return others;
  }

  /** The next one, which stands in no list any more. */
  take(): Heard | undefined {
    const { tids, stops } = this.#tracees;
    for (const heard of this.#order) {
      this.#order.delete(heard);
      if (heard.kind === 'exited' || !tids.has(heard.tid)) return heard;
      if (stops.get(heard.tid) !== heard) continue;
      stops.delete(heard.tid);
      return heard;
    }
    return undefined;
  }
}
