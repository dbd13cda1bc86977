/** All watches of this agent, of whatever conversation: they share the look at the processes, the readings of what those use, and the thread that reads logs. */
import { StillframeError } from '../../format/error.js';
import type { Gate } from '../session/gate.js';
import type { SessionLog } from '../session/session-log.js';
import type { TargetPoll } from '../session/target-poll.js';
import type { TracerClient } from '../tracer/client.js';
import { LogReader, type LogWatchListener } from './log-reader.js';
import { TargetWatch } from './target-watch.js';
import { UsageSampler } from './usage-sampler.js';
import { type UsageBound, UsageWatch, type UsageWatchListener } from './usage-watch.js';

export interface WatchesOptions {
  readonly tracer: TracerClient;
  readonly targets: TargetPoll;
  readonly gate: Gate;
  readonly log: SessionLog;
}

const maxWatches = 2048;

/** What is watched lasts until it is disposed. */
export class Watches implements AsyncDisposable {
  readonly #targets: TargetPoll;
  readonly #gate: Gate;
  readonly #sampler: UsageSampler;
  readonly #logs: LogReader;
  #count = 0;

  constructor({ tracer, targets, gate, log }: WatchesOptions) {
    this.#targets = targets;
    this.#gate = gate;
    this.#sampler = new UsageSampler(tracer);
    this.#logs = new LogReader(gate.policy.logFiles, log);
  }

  /** `changed`: there is something to take. Throws `usage` or `limit`. */
  watchTargets(selector: string, changed: () => void): { readonly watch: TargetWatch } & Disposable {
    this.#check();
    const watch = new TargetWatch(selector, this.#targets, changed);
    return { watch, ...this.#counted(watch) };
  }

  /** What is written after it resolves counts. Rejects with `usage`, `bad-expression` or `limit`. */
  async watchLog(
    log: { readonly path: string; readonly pattern: string },
    listener: LogWatchListener,
  ): Promise<Disposable> {
    this.#check();
    return this.#counted(await this.#logs.watch(log, listener));
  }

  /** Throws `usage` or `limit`. */
  watchUsage(bound: UsageBound, listener: UsageWatchListener): Disposable {
    this.#check();
    const means = { targets: this.#targets, sampler: this.#sampler, gate: this.#gate };
    return this.#counted(new UsageWatch(bound, means, listener));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#logs[Symbol.asyncDispose]();
  }

  #check(): void {
    if (this.#count < maxWatches) return;
    throw new StillframeError('limit', `cannot watch: this agent watches ${maxWatches} things already`);
  }

  #counted(watch: Disposable): Disposable {
    this.#count += 1;
    let isOpen = true;
    return {
      [Symbol.dispose]: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#count -= 1;
        watch[Symbol.dispose]();
      },
    };
  }
}
