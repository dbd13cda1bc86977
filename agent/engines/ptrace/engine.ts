/**
 * The `ptrace` engine, for hosts where eBPF is not allowed. "Now": every thread is stopped for as long as it takes to read registers and stacks.
 * Points: hardware breakpoints that announce themselves by a signal which is ignored by default (breakpoints.ts), the condition decided here.
 * A hit stops the one thread that passed, also when the condition is false. Nothing is written to the target but, for a system call that
 * a stop interrupted, its own result register (interrupted-call.ts); if the tracer dies at any instant the target runs on.
 * Where hardware breakpoints do not suffice: journalled `int3` (software-breakpoints.ts, which says what that risks).
 * Rules: ptrace(2) "PTRACE_SEIZE".
 */
import type { Capture } from '../../../format/capture.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import type { Plan } from '../../../format/plan/plan.js';
import { ownProcessesOnly } from '../../linux/capabilities.js';
import { monotonicToRealtime } from '../../linux/clock.js';
import { readStat, readStatus, readTids, readThreadStatus } from '../../linux/proc.js';
import { ElfFactsCache } from '../../targets/elf-facts.js';
import { type ProbeFile, findProbeFile } from '../../targets/probe-file.js';
import type {
  ArmRequest,
  ArmedPoint,
  Engine,
  EngineSupport,
  NowRequest,
  PointCounters,
  PointSink,
} from '../engine.js';
import { Turns } from '../turns.js';
import { defaultJournalFolder } from './journal.js';
import { LibraryLoading, unseenBefore } from './library-loading.js';
import { type CounterSlot, counterSlots } from './messages.js';
import { maxSoftwareBreakpoints } from './software-breakpoints.js';
import { TracingThread } from './thread.js';

export interface PtraceOptions {
  /** Of the journal of software breakpoints; the front must know the same. */
  readonly journalFolder?: string;
  readonly turns?: Turns;
}

export function ptraceEngine(options: PtraceOptions = {}): Engine {
  return new PtraceEngine(options.journalFolder ?? defaultJournalFolder(), options.turns ?? new Turns());
}

const counterBytes = 8;
/** How long after the end of the tracing thread the kernel may take to show it. */
const detachMs = 2000;

/** What `checkMaySignal` of breakpoints.ts will refuse. */
const ownSignalsOnly = (): string =>
  process.geteuid?.() === 0 ? '' : ', points in processes of its own user only: others need an agent of root';

class PtraceEngine implements Engine {
  readonly name = 'ptrace';
  readonly #elf = new ElfFactsCache();
  readonly #journal: string;
  /** Processes with points: one thread each. */
  readonly #processes = new Map<number, PointProcess>();
  readonly #turns: Turns;

  constructor(journal: string, turns: Turns) {
    this.#journal = journal;
    this.#turns = turns;
  }

  async probe(): Promise<EngineSupport> {
    try {
      await using thread = await TracingThread.open(process.pid, this.#journal, noEvents);
      await thread.request({ command: 'probe' });
      return {
        supported: 'yes',
        detail: `seize, interrupt and hardware breakpoints work${ownProcessesOnly() || ownSignalsOnly()}`,
      };
    } catch (error) {
      const { code, message, hint } = toStillframeError(error);
      if (code !== 'denied' && code !== 'system') return { supported: 'unknown', detail: message };
      return { supported: 'no', detail: message, remedy: hint ?? 'needs CAP_SYS_PTRACE and CAP_PERFMON' };
    }
  }

  refusal(plan: Plan): string | undefined {
    if (plan.sites.length === 0) return 'the plan has no sites';
    if (plan.watch !== undefined) return 'its breakpoints are for places in code, and this is memory';
    if (plan.aggregate !== undefined) {
      return 'it would stop a thread at each hit of a metric, which is for places with many; metrics need eBPF';
    }
    if (plan.timing !== undefined) {
      return 'how long a function took is known only in the kernel; a stop at each entry would be most of the time';
    }
    const addresses = new Set(plan.sites.map((site) => site.linkAddress)).size;
    return addresses > maxSoftwareBreakpoints
      ? `it has ${addresses} addresses, and ${maxSoftwareBreakpoints} breakpoints are the most`
      : undefined;
  }

  now(request: NowRequest): Promise<Capture> {
    return this.#turns.alone(request.pid, () => this.#now(request));
  }

  arm(request: ArmRequest, sink: PointSink): Promise<ArmedPoint> {
    return this.#turns.alone(request.pid, () => this.#arm(request, sink));
  }

  async #now(request: NowRequest): Promise<Capture> {
    const shared = this.#processes.get(request.pid);
    if (shared !== undefined)
      return inWallTime(await (await shared.thread).request({ command: 'now', request }));
    await using thread = await TracingThread.open(request.pid, this.#journal, noEvents);
    return inWallTime(await thread.request({ command: 'now', request }));
  }

  async #arm(request: ArmRequest, sink: PointSink): Promise<ArmedPoint> {
    const file = findProbeFile(request.pid, request.plan, this.#elf);
    const shared = this.#processOf(request.pid);
    const point = new PtracePoint(request, file, shared, { sink, elf: this.#elf });
    shared.points.set(request.pointId, point);
    try {
      await point.start();
      return point;
    } catch (error) {
      await shared.remove(request.pointId);
      throw error;
    }
  }

  #processOf(pid: number): PointProcess {
    const known = this.#processes.get(pid);
    if (known !== undefined) return known;
    const created: PointProcess = new PointProcess(pid, this.#journal, () => {
      if (this.#processes.get(pid) === created) this.#processes.delete(pid);
    });
    this.#processes.set(pid, created);
    return created;
  }
}

const noEvents = { report: () => undefined, exited: () => undefined };

/** The tracing thread stamps captures with CLOCK_MONOTONIC. */
function inWallTime(result: unknown): Capture {
  const capture = result as Capture;
  return { ...capture, timeNs: monotonicToRealtime(capture.timeNs) };
}

/** A process with points, and the thread that traces it for as long as there are any. */
class PointProcess {
  readonly pid: number;
  readonly points = new Map<string, PtracePoint>();
  readonly thread: Promise<TracingThread>;
  readonly #forget: () => void;

  constructor(pid: number, journal: string, forget: () => void) {
    this.pid = pid;
    this.#forget = forget;
    this.thread = TracingThread.open(pid, journal, {
      report: (report) => {
        const point = this.points.get(report.pointId);
        if (report.kind === 'hit') point?.hit(inWallTime(report.capture));
        else point?.ended(report.reason);
      },
      exited: () => {
        this.#forget();
        for (const point of this.points.values()) {
          point.ended({ kind: 'failed', detail: `the thread that traces process ${pid} ended` });
        }
      },
    });
    this.thread.catch(() => undefined);
  }

  /** Takes a point away; with the last one the thread ends, and the kernel lets go of the process. */
  async remove(pointId: string): Promise<void> {
    if (!this.points.delete(pointId)) return;
    if (this.points.size > 0) {
      await (await this.thread).request({ command: 'disarm', pointId });
      return;
    }
    this.#forget();
    const thread = await this.thread.catch(() => undefined);
    await thread?.[Symbol.asyncDispose]();
    await untilUntraced(this.pid);
  }
}

interface PointMeans {
  readonly sink: PointSink;
  readonly elf: ElfFactsCache;
}

class PtracePoint implements ArmedPoint {
  readonly engine = 'ptrace';
  readonly #request: ArmRequest;
  readonly #sink: PointSink;
  readonly #process: PointProcess;
  readonly #startTicks: bigint;
  readonly #counters = new SharedArrayBuffer(counterSlots.length * counterBytes);
  readonly #loading: LibraryLoading | undefined;
  #sites: ProbeFile['sites'];
  #disarmed: Promise<void> | undefined;
  #ended = false;
  #warning: string | undefined;

  constructor(request: ArmRequest, file: ProbeFile, shared: PointProcess, means: PointMeans) {
    this.#request = request;
    this.#sink = means.sink;
    this.#process = shared;
    this.#startTicks = file.startTicks;
    this.#sites = file.sites;
    const { library } = file;
    if (library === undefined) return;
    this.#loading = new LibraryLoading(library, {
      find: () => findProbeFile(request.pid, request.plan, means.elf).sites,
      set: (sites) => this.#set(sites),
      unset: () => this.#unset(),
      failed: (reason) => this.ended(reason),
    });
  }

  async start(): Promise<void> {
    const { pid } = this.#request;
    if (this.#sites.length > 0) await this.#set(this.#sites);
    else this.#warning = unseenBefore;
    this.#loading?.start(this.#sites);
    if (readStat(pid).startTicks !== this.#startTicks) {
      throw new StillframeError(
        'target-gone',
        `process ${pid} is gone, and its number was given to another`,
        { detail: { pid } },
      );
    }
  }

  async #set(sites: ProbeFile['sites']): Promise<void> {
    const { pointId, plan, countOnly, maxHits, minIntervalNs, forced } = this.#request;
    const thread = await this.#process.thread;
    const spec = {
      pointId,
      plan,
      addresses: sites.map(({ address }) => address),
      countOnly,
      maxHits,
      minIntervalNs,
      allowSoftware: forced,
      counters: this.#counters,
    };
    const reason = await thread.request({ command: 'arm', spec });
    this.#sites = sites;
    if (typeof reason === 'string') this.#warning = `software breakpoints are used: ${reason}`;
  }

  async #unset(): Promise<void> {
    const thread = await this.#process.thread;
    await thread.request({ command: 'disarm', pointId: this.#request.pointId });
    this.#sites = [];
  }

  get addresses(): readonly bigint[] {
    return this.#sites.map(({ address }) => address);
  }

  get warning(): string | undefined {
    return this.#warning;
  }

  #read(slot: CounterSlot): bigint {
    return Atomics.load(new BigInt64Array(this.#counters), counterSlots.indexOf(slot));
  }

  look(): Pick<PointCounters, 'hits' | 'awaited'> {
    const awaited = this.#ended ? undefined : this.#loading?.whyNot();
    return { hits: this.#read('hits'), ...(awaited === undefined ? {} : { awaited }) };
  }

  counters(): PointCounters {
    const read = (slot: CounterSlot): bigint => this.#read(slot);
    return {
      ...this.look(),
      conditionFalse: read('conditionFalse'),
      faults: read('faults'),
      dropped: read('dropped'),
      delivered: read('delivered'),
      ...(read('limited') === 0n ? {} : { limited: read('limited') }),
    };
  }

  disarm(): Promise<void> {
    this.#ended = true;
    this.#disarmed ??= this.#remove();
    return this.#disarmed;
  }

  async #remove(): Promise<void> {
    await this.#loading?.stop();
    await this.#process.remove(this.#request.pointId);
  }

  hit(capture: Capture): void {
    if (this.#ended) return;
    // What lies there by now may be another library: what passed is then not known to be this one.
    const site = this.#sites[capture.site ?? 0];
    const isElsewhere =
      this.#loading !== undefined && (site === undefined || this.#loading.isElsewhere(site));
    if (isElsewhere) Atomics.add(new BigInt64Array(this.#counters), counterSlots.indexOf('dropped'), 1n);
    else this.#sink.hit(capture);
  }

  ended(reason: Parameters<PointSink['ended']>[0]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#disarmed ??= this.#remove();
    this.#disarmed.then(
      () => this.#sink.ended(reason, this.counters()),
      (error: unknown) =>
        this.#sink.ended({ kind: 'failed', detail: toStillframeError(error).message }, this.counters()),
    );
  }
}

/** Resolves when no thread of the process has a tracer among the threads of this process. */
async function untilUntraced(pid: number): Promise<void> {
  const deadlineMs = Date.now() + detachMs;
  while (isTraced(pid)) {
    if (Date.now() > deadlineMs) {
      throw new StillframeError('internal', `the kernel still lists a tracer of process ${pid}`, {
        detail: { pid },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function isTraced(pid: number): boolean {
  try {
    return readTids(pid).some((tid) => {
      try {
        // It names the very thread that traces.
        const { tracerPid } = readThreadStatus(pid, tid);
        return tracerPid !== 0 && readStatus(tracerPid).tgid === process.pid;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
