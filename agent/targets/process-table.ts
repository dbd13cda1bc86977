/**
 * The processes of this host, looked at again and again for little: a process is read once when it appears, and then only glanced at, to see
 * whether it runs another program by now. For those who must hear of processes as they come and go; `processes.ts` reads them all at once.
 */
import { readlinkSync } from 'node:fs';
import { uptime } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { StillframeError } from '../../format/error.js';
import { readBootTimeMs } from '../linux/clock.js';
import { readPids, readStat } from '../linux/proc.js';
import type { ElfFactsCache } from './elf-facts.js';
import { type TargetProcess, findProcess } from './processes.js';

/** What can be seen of a process for the price of two system calls. */
export interface Glance {
  readonly startTicks: bigint;
  readonly comm: string;
  /** As the kernel spells the link; empty where it may not be read, or is none. */
  readonly executable: string;
}

/** How processes are looked at. What is gone or a zombie is undefined; what is no process is not read. */
export interface ProcessSight {
  pids(): readonly number[];
  /** The part of a glance that says whether another program runs, for a third of the price. */
  executable(pid: number): string;
  glance(pid: number): Glance | undefined;
  read(pid: number): TargetProcess | undefined;
}

export interface ProcessChanges {
  /** What to say next time, to hear only of what changed since. */
  readonly cursor: number;
  /** All that was known before is void: `changed` holds all processes. */
  readonly isReset: boolean;
  /** Those that are new, and those of which something is different now. */
  readonly changed: readonly TargetProcess[];
  readonly gone: readonly { readonly pid: number; readonly startTicks: bigint }[];
  /** How long the last look took, where that is known. */
  readonly tookMs?: number;
}

interface Entry {
  /** Since boot, as all times here. */
  readonly bornMs: number;
  seen: Glance | undefined;
  target: TargetProcess | undefined;
  /** When it is due: to see whether it runs another program, and all of a glance. */
  programMs: number;
  glanceMs: number;
  /** Ages at which it is read again whatever a glance says: its control group is often changed after it started. */
  readAges: readonly number[];
}

/** A process that is so young may well be about to execute another program. */
const youngMs = 10_000;
/** How often it is seen whether an older one runs another program; and whether its name changed, or its number is another's. */
const programMs = 1000;
const glanceMs = 5000;
/** USER_HZ is 100 on every architecture that we know. */
const msPerTick = 10;
const readAges: readonly number[] = [1000, 5000];

export class ProcessTable {
  readonly #sight: ProcessSight;
  readonly #entries = new Map<number, Entry>();
  #cursor = 0;
  #youngUntilMs = 0;

  constructor(sight: ProcessSight) {
    this.#sight = sight;
  }

  /** `cursor`: of the changes before, 0 for none. `nowMs`: since boot. */
  update(cursor: number, nowMs: number = uptime() * 1000): ProcessChanges {
    const isReset = cursor === 0 || cursor !== this.#cursor;
    const changed: TargetProcess[] = [];
    const gone: { pid: number; startTicks: bigint }[] = [];
    const pids = this.#sight.pids();
    const present = new Set(pids);
    for (const [pid, { target }] of this.#entries) {
      if (present.has(pid)) continue;
      this.#entries.delete(pid);
      if (target !== undefined) gone.push(target);
    }
    for (const pid of pids) {
      const before = this.#entries.get(pid)?.target;
      const after = this.#look(pid, nowMs);
      const isSame = before?.startTicks === after?.startTicks;
      if (before !== undefined && !isSame) gone.push(before);
      if (after !== undefined && !(isSame && isDeepStrictEqual(before, after))) changed.push(after);
    }
    // Never 0, which is what someone says who knows nothing.
    this.#cursor += 1;
    return {
      cursor: this.#cursor,
      isReset,
      changed: isReset ? this.#targets() : changed,
      gone: isReset ? [] : gone.map(({ pid, startTicks }) => ({ pid, startTicks })),
    };
  }

  /** Some process is so young that it is looked at each time. */
  hasYoung(nowMs: number = uptime() * 1000): boolean {
    return nowMs < this.#youngUntilMs;
  }

  #targets(): TargetProcess[] {
    return [...this.#entries.values()].flatMap(({ target }) => (target === undefined ? [] : [target]));
  }

  #look(pid: number, nowMs: number): TargetProcess | undefined {
    const entry = this.#entries.get(pid);
    if (entry !== undefined && !this.#isToBeSeen(pid, entry, nowMs)) return entry.target;
    const seen = this.#sight.glance(pid);
    if (entry === undefined || entry.seen?.startTicks !== seen?.startTicks) {
      const bornMs = seen === undefined ? nowMs : Number(seen.startTicks) * msPerTick;
      const ages = readAges.filter((age) => bornMs + age > nowMs);
      const target = this.#sight.read(pid);
      if (target !== undefined) this.#youngUntilMs = Math.max(this.#youngUntilMs, bornMs + youngMs);
      const fresh = { bornMs, seen, target, programMs: nowMs, glanceMs: nowMs, readAges: ages };
      this.#entries.set(pid, fresh);
      this.#schedule(fresh, nowMs);
      return target;
    }
    if (!isDeepStrictEqual(entry.seen, seen) || this.#isDue(entry, nowMs)) {
      entry.seen = seen;
      entry.target = seen === undefined ? undefined : this.#sight.read(pid);
    }
    this.#schedule(entry, nowMs);
    return entry.target;
  }

  #isToBeSeen(pid: number, entry: Entry, nowMs: number): boolean {
    if (nowMs >= entry.glanceMs) return true;
    // A thread of the kernel has no program.
    if (nowMs < entry.programMs || entry.target === undefined) return false;
    entry.programMs = nowMs + programMs;
    return this.#sight.executable(pid) !== entry.seen?.executable;
  }

  #schedule(entry: Entry, nowMs: number): void {
    const isYoung = nowMs - entry.bornMs < youngMs;
    entry.programMs = isYoung ? nowMs : nowMs + programMs;
    entry.glanceMs = isYoung ? nowMs : nowMs + glanceMs;
  }

  #isDue(entry: Entry, nowMs: number): boolean {
    const [age = Infinity, ...later] = entry.readAges;
    if (nowMs - entry.bornMs < age) return false;
    entry.readAges = later;
    return true;
  }
}

/** Of this host; without the processes in `except`. */
export function hostProcesses(cache: ElfFactsCache, except: () => ReadonlySet<number>): ProcessSight {
  const bootTimeMs = readBootTimeMs();
  return {
    pids() {
      const hidden = except();
      return readPids().filter((pid) => !hidden.has(pid));
    },
    executable: readLink,
    glance: (pid) => visible(() => glanceAt(pid)),
    read: (pid) => visible(() => findProcess(pid, cache, bootTimeMs)),
  };
}

/** What ended meanwhile, or is hidden (hidepid of proc(5)), is not there. */
function visible<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StillframeError && (error.code === 'target-gone' || error.code === 'denied')) {
      return undefined;
    }
    throw error;
  }
}

function glanceAt(pid: number): Glance | undefined {
  const { state, startTicks, comm } = readStat(pid);
  if (state === 'Z' || state === 'X') return undefined;
  return { startTicks, comm, executable: readLink(pid) };
}

function readLink(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return '';
  }
}
