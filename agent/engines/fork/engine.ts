/**
 * The `fork` engine: the whole memory of a process for a pause as long as one fork. All threads are stopped, their registers read, one of them is
 * led through a clone, all go on; the twin stands still and is read at leisure (chain.ts says why nothing of it can stay).
 * It writes a few kilobytes of stack below what is in use, and puts them back. It never runs code of ours in the process, patches nothing, and
 * refuses what it is not sure of before it touches anything (refusal.ts).
 */
import type { Mapping } from '../../../format/capture.js';
import { toStillframeError, type StillframeError } from '../../../format/error.js';
import { ownProcessesOnly } from '../../linux/capabilities.js';
import { monotonicToRealtime } from '../../linux/clock.js';
import { ProcessMemory } from '../../linux/memory.js';
import { readMaps, readStat, readThreadStatus } from '../../linux/proc.js';
import type { CopiedProcess, CopyOrder, Engine, EngineSupport } from '../engine.js';
import { defaultJournalFolder } from '../ptrace/journal.js';
import { startOrphan, TracingThread } from '../ptrace/thread.js';
import { Turns } from '../turns.js';
import type { Copied } from './copy.js';
import { MemoryGuard } from './memory-guard.js';
import { checkCopyable } from './refusal.js';

const noEvents = { report: () => undefined, exited: () => undefined };
/** How long threads may take to stop: those that run need an interrupt, others none. */
const maxStopMs = 100;
const maxAttempts = 5;
const retryMs = 20;
/** Giving back hundreds of gigabytes takes longer, and is not waited for. */
const maxGoneChecks = 200;
const goneCheckMs = 5;
/** Memory can be used up within some milliseconds. */
const stayCheckMs = 2;

export function forkEngine(turns: Turns = new Turns()): Engine {
  return {
    name: 'fork',
    probe: () => probe(turns),
    refusal: () => 'fork has no points: it copies a process as it is now',
    copy: (order) => turns.alone(order.pid, () => copy(order)),
  };
}

async function probe(turns: Turns): Promise<EngineSupport> {
  try {
    const { pid, shell } = await startOrphan();
    try {
      await untilAsleep(pid);
      await using copied = await turns.alone(pid, () => copy({ pid }));
      const first = copied.mappings[0];
      if (first === undefined || !('bytes' in copied.memory.read(first.start, 1))) {
        return { supported: 'unknown', detail: 'the memory of a copy could not be read' };
      }
    } finally {
      shell.stdio[3]?.destroy();
    }
    return {
      supported: 'yes',
      detail: `a process of its own was copied${ownProcessesOnly('CAP_DAC_OVERRIDE')}`,
    };
  } catch (error) {
    const { code, message, hint } = toStillframeError(error);
    if (code !== 'denied' && code !== 'system') return { supported: 'unknown', detail: message };
    return {
      supported: 'no',
      detail: message,
      remedy: hint ?? 'needs CAP_SYS_PTRACE, and kernel.yama.ptrace_scope below 3',
    };
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The program may still be about to be executed. */
async function untilAsleep(pid: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const mappings = readMaps(pid);
    if (mappings.some(({ path }) => path.endsWith('/cat')) && isReading(pid)) return;
    await pause(5);
  }
}

function isReading(pid: number): boolean {
  return readThreadStatus(pid, pid).voluntarySwitches > 0;
}

async function copy({ pid }: CopyOrder): Promise<CopiedProcess> {
  checkCopyable(pid);
  const guard = new MemoryGuard(pid);
  guard.checkBefore();
  return await tryCopy(pid, guard);
}

/**
 * On a busy machine a thread may wait for a processor for longer than the others should stand still; in a storm of signals all threads may be just getting one. Then
 * all have gone on, and it is tried again, by another tracing thread: those that did not stop are this one's until it ends.
 */
async function tryCopy(pid: number, guard: MemoryGuard): Promise<Twin> {
  for (let attempt = 1; ; attempt++) {
    const thread = await TracingThread.open(pid, defaultJournalFolder(), noEvents);
    try {
      const copied = await thread.request({ command: 'copy', request: { pid, maxStopMs } });
      return new Twin(copied as Copied, thread, guard);
    } catch (error) {
      await thread[Symbol.asyncDispose]();
      if (toStillframeError(error).code !== 'limit' || attempt >= maxAttempts) throw error;
    }
    await pause(retryMs);
  }
}

class Twin implements CopiedProcess {
  readonly capture: CopiedProcess['capture'];
  readonly pid: number;
  readonly copyNs: number;
  readonly mappings: readonly Mapping[];
  readonly memory: ProcessMemory;
  readonly #thread: TracingThread;
  readonly #startTicks: bigint;
  readonly #guard: MemoryGuard;
  #checkMs = 0;

  constructor({ capture, twin, copyNs }: Copied, thread: TracingThread, guard: MemoryGuard) {
    this.capture = { ...capture, timeNs: monotonicToRealtime(capture.timeNs) };
    this.pid = twin;
    this.copyNs = copyNs;
    this.#startTicks = readStat(twin).startTicks;
    this.mappings = readMaps(twin);
    this.memory = new ProcessMemory(twin, 'stopped');
    this.#thread = thread;
    this.#guard = guard;
  }

  checkStay(): void {
    const nowMs = performance.now();
    if (nowMs < this.#checkMs) return;
    this.#checkMs = nowMs + stayCheckMs;
    const error = this.#whyGiveUp();
    if (error === undefined) return;
    // At once, and not when all who hold it have let go.
    if (this.#isThere()) process.kill(this.pid, 'SIGKILL');
    throw error;
  }

  #whyGiveUp(): StillframeError | undefined {
    try {
      return this.#guard.whyGiveUp();
    } catch (error) {
      // A process that ends meanwhile needs no room.
      if (toStillframeError(error).code === 'target-gone') return undefined;
      throw error;
    }
  }

  /** Ends the thread that traces the twin, and so the twin; to give back its memory takes the kernel a moment, which is waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.memory[Symbol.dispose]();
    await this.#thread[Symbol.asyncDispose]();
    for (let i = 0; i < maxGoneChecks && this.#isThere(); i++) await pause(goneCheckMs);
  }

  #isThere(): boolean {
    try {
      const { startTicks, state } = readStat(this.pid);
      return startTicks === this.#startTicks && state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  }
}
