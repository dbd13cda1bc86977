/**
 * The processes of this host that can be looked into, with what people name them by: pid, name, executable, build id, systemd unit,
 * container, service. Reads /proc only. A process that ends while it is read is left out, silently.
 */
import { readlinkSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { readBootTimeMs, startTimeMs } from '../linux/clock.js';
import {
  findEnvironment,
  procError,
  readCgroup,
  readCommandLine,
  readPids,
  readProcBytes,
  readStat,
  readStatus,
} from '../linux/proc.js';
import { parseCgroupNames } from './cgroup.js';
import { type ElfFactsCache, machineRefusal } from './elf-facts.js';

export interface TargetProcess {
  readonly pid: number;
  readonly comm: string;
  /** As the process sees it in its own mount namespace; ` (deleted)` is cut off. */
  readonly executable: string;
  readonly args: readonly string[];
  /** Of the executable; empty when it has none. */
  readonly buildId: string;
  readonly uid: number;
  /** systemd unit, `redis.service`; empty for none. */
  readonly unit: string;
  /** Container id, 64 hex digits; empty for none. */
  readonly container: string;
  /** From OTEL_SERVICE_NAME (or `service.name` in OTEL_RESOURCE_ATTRIBUTES); empty for none. */
  readonly service: string;
  /** Milliseconds since the epoch. */
  readonly startTimeMs: number;
  /** With the pid it names the process for good: clock ticks since boot. */
  readonly startTicks: bigint;
  /** Why it cannot be looked into (not 64-bit x86 ELF, permissions); undefined when it can. */
  readonly refusal?: string;
}

/** All processes that have an executable, without this process itself and without those in `except`. */
export function listProcesses(
  cache: ElfFactsCache,
  except: ReadonlySet<number> = new Set(),
): TargetProcess[] {
  const bootTimeMs = readBootTimeMs();
  const found: TargetProcess[] = [];
  for (const pid of readPids()) {
    if (except.has(pid)) continue;
    const target = findProcess(pid, cache, bootTimeMs);
    if (target !== undefined) found.push(target);
  }
  return found;
}

/** One process; undefined when it is gone, is a zombie, or is a thread of the kernel. */
export function findProcess(
  pid: number,
  cache: ElfFactsCache,
  bootTimeMs: number = readBootTimeMs(),
): TargetProcess | undefined {
  try {
    return readProcess(pid, cache, bootTimeMs);
  } catch (error) {
    if (error instanceof StillframeError && error.code === 'target-gone') return undefined;
    throw error;
  }
}

function readProcess(pid: number, cache: ElfFactsCache, bootTimeMs: number): TargetProcess | undefined {
  const stat = readStat(pid);
  if (stat.state === 'Z' || stat.state === 'X') return undefined;
  const status = readStatus(pid);
  // A process id is a thread group leader's; other threads have a /proc/TID as well, which only readdir hides.
  if (status.tgid !== pid) return undefined;
  const args = shorten(readCommandLine(pid));
  const { executable, buildId, refusal } = readExecutable(pid, cache);
  // Threads of the kernel have no executable at all, and no arguments.
  if (executable === '' && args.length === 0) return undefined;
  const { unit, container } = parseCgroupNames(optional(() => readCgroup(pid)) ?? '');
  return {
    pid,
    comm: stat.comm,
    executable,
    args,
    buildId,
    uid: status.uid,
    unit,
    container,
    service: (optional(() => serviceName(readProcBytes(pid, 'environ'))) ?? '').slice(
      0,
      maxServiceCharacters,
    ),
    startTimeMs: startTimeMs(stat.startTicks, bootTimeMs),
    startTicks: stat.startTicks,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

const maxServiceCharacters = 1024;
/** Arguments are for people, and a process may have megabytes of them. */
const maxArgumentCharacters = 4096;

function shorten(args: readonly string[]): string[] {
  const short: string[] = [];
  let left = maxArgumentCharacters;
  for (const arg of args) {
    if (arg.length > left) {
      short.push(`${arg.slice(0, Math.max(0, left))}…`);
      break;
    }
    short.push(arg);
    // An empty one costs as well.
    left -= arg.length + 1;
  }
  return short;
}

function readExecutable(
  pid: number,
  cache: ElfFactsCache,
): { executable: string; buildId: string; refusal?: string } {
  let executable = '';
  try {
    executable = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
    const facts = cache.read(`/proc/${pid}/exe`, executable);
    const refusal = machineRefusal(facts);
    return { executable, buildId: facts.buildId, ...(refusal === undefined ? {} : { refusal }) };
  } catch (error) {
    const known = procError(`cannot read the executable of process ${pid}`, pid, error);
    if (known.code === 'target-gone' && executable !== '') throw known;
    const remedy = known.code === 'denied' && known.hint !== undefined ? ` (${known.hint})` : '';
    return { executable, buildId: '', refusal: `${known.message}${remedy}` };
  }
}

/** OTEL_SERVICE_NAME goes before OTEL_RESOURCE_ATTRIBUTES, as OpenTelemetry has it. */
export function serviceName(environment: Uint8Array): string {
  const name = findEnvironment(environment, 'OTEL_SERVICE_NAME');
  if (name !== undefined && name !== '') return name;
  const attributes = findEnvironment(environment, 'OTEL_RESOURCE_ATTRIBUTES') ?? '';
  const entry = attributes.split(',').find((text) => text.trim().startsWith('service.name='));
  return entry?.trim().slice('service.name='.length) ?? '';
}

/** What may not be read of a foreign process is not known, and does not hide the process. */
function optional<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StillframeError && error.code === 'denied') return undefined;
    throw error;
  }
}
