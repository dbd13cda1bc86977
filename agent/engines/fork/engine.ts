/**
 * The `fork` engine: the whole memory of a process for a pause as long as one fork. All threads are stopped, their registers read, one of them is
 * led through a clone, all go on; the twin stands still and is read at leisure (chain.ts says why nothing of it can stay).
 * It writes a few kilobytes of stack below what is in use, and puts them back. It never runs code of ours in the process, patches nothing, and
 * refuses what it is not sure of before it touches anything (refusal.ts).
 */
import type { Mapping } from '../../../format/capture.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { ownProcessesOnly } from '../../linux/capabilities.js';
import { monotonicToRealtime } from '../../linux/clock.js';
import { ProcessMemory } from '../../linux/memory.js';
import { readMaps, readThreadStatus, readTids } from '../../linux/proc.js';
import type { CopiedProcess, CopyOrder, Engine, EngineSupport } from '../engine.js';
import { defaultJournalFolder } from '../ptrace/journal.js';
import { startOrphan, TracingThread } from '../ptrace/thread.js';
import { Turns } from '../turns.js';
import type { Copied } from './copy.js';
import { checkCopyable } from './refusal.js';

const noEvents = { report: () => undefined, exited: () => undefined };
/** How long threads may take to stop: those that run need an interrupt, others none. */
const maxStopMs = 100;
const maxAttempts = 5;
const retryMs = 20;
/** How long after their release the kernel may take to show that threads are traced no more. */
const detachMs = 2000;

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
    return { supported: 'yes', detail: `a process of its own was copied${ownProcessesOnly()}` };
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
  const thread = await TracingThread.open(pid, defaultJournalFolder(), noEvents);
  try {
    const result = await tryCopy(pid, thread);
    await untilUntraced(pid);
    return new Twin(result, thread);
  } catch (error) {
    await thread[Symbol.asyncDispose]();
    throw error;
  }
}

/** On a busy machine a thread may wait for a processor for longer than the others should stand still: then all have gone on, and it is tried again. */
async function tryCopy(pid: number, thread: TracingThread): Promise<Copied> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await thread.request({ command: 'copy', request: { pid, maxStopMs } })) as Copied;
    } catch (error) {
      if (toStillframeError(error).code !== 'limit' || attempt >= maxAttempts) throw error;
      await pause(retryMs);
    }
  }
}

class Twin implements CopiedProcess {
  readonly capture: CopiedProcess['capture'];
  readonly pid: number;
  readonly copyNs: number;
  readonly mappings: readonly Mapping[];
  readonly memory: ProcessMemory;
  readonly #thread: TracingThread;

  constructor({ capture, twin, copyNs }: Copied, thread: TracingThread) {
    this.capture = { ...capture, timeNs: monotonicToRealtime(capture.timeNs) };
    this.pid = twin;
    this.copyNs = copyNs;
    this.mappings = readMaps(twin);
    this.memory = new ProcessMemory(twin, 'stopped');
    this.#thread = thread;
  }

  /** Ends the thread that traces the twin, and so the twin. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.memory[Symbol.dispose]();
    await this.#thread[Symbol.asyncDispose]();
  }
}

async function untilUntraced(pid: number): Promise<void> {
  const deadlineMs = Date.now() + detachMs;
  while (isTraced(pid)) {
    if (Date.now() > deadlineMs) {
      throw new StillframeError('internal', `the kernel still lists a tracer of process ${pid}`, {
        detail: { pid },
      });
    }
    await pause(2);
  }
}

function isTraced(pid: number): boolean {
  try {
    return readTids(pid).some((tid) => readThreadStatus(pid, tid).tracerPid !== 0);
  } catch {
    // It ended, or one of its threads has: the next look tells.
    return false;
  }
}
