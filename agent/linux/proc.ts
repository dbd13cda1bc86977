/**
 * `/proc/PID/*`: parsing is pure, reading goes through node:fs alone (no FFI, so the front may use it too). What stands there was
 * chosen by the target: names hold spaces, parentheses, newlines and bytes that are not UTF-8. Ruled by proc(5) and fs/proc/ of the kernel.
 */
import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { StillframeError, badData } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import type { Mapping } from '../../format/capture.js';
import { errnoName } from './errno.js';

/** An error of node:fs on `/proc/PID`: gone, denied, or a failed system call. */
export function procError(action: string, pid: number, error: unknown): StillframeError {
  if (error instanceof StillframeError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const errno =
    error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? -error.errno : 0;
  const detail = { pid, errno, errnoName: code === '' ? errnoName(errno) : code };
  if (code === 'ENOENT' || code === 'ESRCH') {
    return new StillframeError('target-gone', `${action}: process ${pid} does not exist`, {
      detail,
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new StillframeError('denied', `${action}: ${code}`, {
      detail,
      cause: error,
      hint: 'run as the user of the process, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH',
    });
  }
  return new StillframeError('system', `${action}: ${code === '' ? String(error) : code}`, {
    detail,
    cause: error,
  });
}

/** The bytes of `/proc/PID/NAME`. */
export function readProcBytes(pid: number, name: string): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${name}`);
  } catch (error) {
    throw procError(`cannot read /proc/${pid}/${name}`, pid, error);
  }
}

/** No file that is read by {@link readShort} is as long. */
const shortBytes = 4096;
const short = Buffer.alloc(shortBytes);

/** As readFileSync, for half the price: for what is read of every process again and again. */
function readShort(pid: number, name: string): string {
  try {
    const fd = openSync(`/proc/${pid}/${name}`, 'r');
    try {
      return short.toString('utf8', 0, readSync(fd, short, 0, shortBytes, 0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw procError(`cannot read /proc/${pid}/${name}`, pid, error);
  }
}

const readText = (pid: number, name: string): string => readProcBytes(pid, name).toString('utf8');

/**
 * What the kernel counts of tasks: how many there are, and the number that it gave last. It is another one when a process began or ended; where something
 * stands in for it that counts otherwise (lxcfs), it tells nothing.
 */
export function readProcessPulse(): string {
  const fd = openSync('/proc/loadavg', 'r');
  try {
    const [, , , tasks = '', last = ''] = short
      .toString('latin1', 0, readSync(fd, short, 0, shortBytes, 0))
      .split(' ');
    return `${tasks.split('/')[1] ?? ''} ${last}`;
  } finally {
    closeSync(fd);
  }
}

/** Pids of all processes that can be seen, ascending. */
export function readPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);
}

/** Thread ids of a process, ascending; at most `maxThreads`. */
export function readTids(pid: number, maxThreads: number = defaultLimits.maxThreads): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map(Number)
      .toSorted((a, b) => a - b)
      .slice(0, maxThreads);
  } catch (error) {
    throw procError(`cannot list the threads of process ${pid}`, pid, error);
  }
}

const mapsLine =
  /^([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps-]) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) ([0-9]+)(?: +(.*))?$/s;

/**
 * `/proc/PID/maps`. A newline in a path arrives as `\012` (seq_path) and is turned back. NB: ` (deleted)` at the end is taken as
 * the kernel's word, so a file that is really named so is called deleted.
 */
export function parseMaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const match = mapsLine.exec(line);
    if (match === null) throw badData(`cannot parse maps: line ${index + 1} is malformed`);
    const [
      ,
      start = '',
      end = '',
      permissions = '',
      offset = '',
      major = '',
      minor = '',
      inode = '',
      rest = '',
    ] = match;
    const written = rest.replaceAll('\\012', '\n');
    const suffix = ' (deleted)';
    const deleted = inode !== '0' && written.endsWith(suffix);
    mappings.push({
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      fileOffset: Number.parseInt(offset, 16),
      permissions,
      inode: Number(inode),
      device: `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`,
      path: deleted ? written.slice(0, -suffix.length) : written,
      deleted,
    });
  }
  return mappings;
}

export const readMaps = (pid: number): Mapping[] => parseMaps(readText(pid, 'maps'));

/** The mapping that holds an address. */
export function findMapping(mappings: readonly Mapping[], address: bigint): Mapping | undefined {
  let low = 0;
  let high = mappings.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const mapping = mappings[middle];
    if (mapping === undefined) return undefined;
    if (address < mapping.start) high = middle;
    else if (address >= mapping.end) low = middle + 1;
    else return mapping;
  }
  return undefined;
}

/** What we use of `/proc/PID/stat` and `/proc/PID/task/TID/stat`. */
export interface ProcStat {
  readonly pid: number;
  readonly comm: string;
  /** R S D T t Z X I. */
  readonly state: string;
  readonly parentPid: number;
  readonly threads: number;
  /** In user and in kernel mode together, of threads that ended as well; in clock ticks. */
  readonly cpuTicks: bigint;
  /** Resident. */
  readonly rssPages: number;
  /** Clock ticks from boot to the start of the process; with the pid it names a process for good. */
  readonly startTicks: bigint;
}

/** The comm stands in parentheses and may hold any bytes, parentheses included: it ends at the last one. */
export function parseStat(text: string): ProcStat {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text
    .slice(close + 2)
    .trimEnd()
    .split(' ');
  const [state, parentPid] = fields;
  const [userTicks, systemTicks] = fields.slice(11, 13);
  const threads = fields[17];
  const startTicks = fields[19];
  const rssPages = fields[21];
  const isWhole = isDigits(startTicks) && isDigits(threads) && isDigits(userTicks) && isDigits(systemTicks);
  if (open < 1 || close < open || state?.length !== 1 || !isWhole || !isDigits(rssPages)) {
    throw badData('cannot parse stat: malformed');
  }
  return {
    pid: Number(text.slice(0, open)),
    comm: text.slice(open + 1, close),
    state,
    parentPid: Number(parentPid),
    threads: Number(threads),
    cpuTicks: BigInt(userTicks) + BigInt(systemTicks),
    rssPages: Number(rssPages),
    startTicks: BigInt(startTicks),
  };
}

const isDigits = (text: string | undefined): text is string => text !== undefined && /^[0-9]+$/.test(text);

export const readStat = (pid: number): ProcStat => parseStat(readShort(pid, 'stat'));
export const readThreadStat = (pid: number, tid: number): ProcStat =>
  parseStat(readText(pid, `task/${tid}/stat`));

/** What we use of `/proc/PID/status`. Signal and capability sets are masks: signal 1 is bit 0, capability 0 is bit 0. */
export interface ProcStatus {
  readonly tgid: number;
  readonly parentPid: number;
  /** The thread that traces it; 0 for none. */
  readonly tracerPid: number;
  readonly uid: number;
  readonly effectiveUid: number;
  readonly gid: number;
  readonly threads: number;
  readonly signalsPending: bigint;
  readonly signalsBlocked: bigint;
  readonly signalsIgnored: bigint;
  readonly signalsCaught: bigint;
  readonly capabilitiesEffective: bigint;
  /** The pid in each nested namespace, outermost first. */
  readonly namespacePids: readonly number[];
  /** 0: none, 1: strict, 2: filters. */
  readonly seccompMode: number;
  /** Whether returns are checked against a shadow stack. */
  readonly hasShadowStack: boolean;
  /** How often it has waited for something. */
  readonly voluntarySwitches: number;
}

export function parseStatus(text: string): ProcStatus {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && !fields.has(line.slice(0, colon)))
      fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const list = (key: string): number[] => (fields.get(key) ?? '').split(/\s+/).filter(Boolean).map(Number);
  const number = (key: string): number => list(key)[0] ?? 0;
  const mask = (key: string): bigint => {
    const value = fields.get(key) ?? '0';
    if (!/^[0-9a-f]+$/.test(value)) throw badData(`cannot parse status: ${key} is "${value}"`);
    return BigInt(`0x${value}`);
  };
  if (!fields.has('Tgid')) throw badData('cannot parse status: no Tgid');
  return {
    tgid: number('Tgid'),
    parentPid: number('PPid'),
    tracerPid: number('TracerPid'),
    uid: number('Uid'),
    effectiveUid: list('Uid')[1] ?? 0,
    gid: number('Gid'),
    threads: number('Threads'),
    signalsPending: mask('SigPnd') | mask('ShdPnd'),
    signalsBlocked: mask('SigBlk'),
    signalsIgnored: mask('SigIgn'),
    signalsCaught: mask('SigCgt'),
    capabilitiesEffective: mask('CapEff'),
    namespacePids: list('NSpid'),
    seccompMode: number('Seccomp'),
    hasShadowStack: (fields.get('x86_Thread_features') ?? '').split(' ').includes('shstk'),
    voluntarySwitches: number('voluntary_ctxt_switches'),
  };
}

export const readStatus = (pid: number): ProcStatus => parseStatus(readText(pid, 'status'));
export const readThreadStatus = (pid: number, tid: number): ProcStatus =>
  parseStatus(readText(pid, `task/${tid}/status`));

/** Something that is another when the thread has had a processor since; always the same where the kernel keeps no account of it. */
export function readThreadTurns(pid: number, tid: number): string {
  try {
    return readText(pid, `task/${tid}/schedstat`);
  } catch (error) {
    // The file is missing, or the thread is gone.
    if (error instanceof StillframeError && error.code === 'target-gone') return '';
    throw error;
  }
}

/** `comm` as the kernel holds it: at most 15 bytes, only the final newline cut. */
export function parseComm(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
export const readComm = (pid: number): string => parseComm(readText(pid, 'comm'));
export const readThreadComm = (pid: number, tid: number): string =>
  parseComm(readText(pid, `task/${tid}/comm`));

/** NUL-separated strings of `cmdline` and `environ`. */
export function parseStrings(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (text === '') return [];
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}
export const readCommandLine = (pid: number): string[] => parseStrings(readProcBytes(pid, 'cmdline'));

/** One variable of the environment that the process was started with; the first of that name. */
export function findEnvironment(bytes: Uint8Array, name: string): string | undefined {
  const entry = parseStrings(bytes).find((text) => text.startsWith(`${name}=`));
  return entry?.slice(name.length + 1);
}

/** Entries of the auxiliary vector, up to AT_NULL. */
export function parseAuxv(bytes: Uint8Array): ReadonlyMap<bigint, bigint> {
  const entries = new Map<bigint, bigint>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset + 16 <= bytes.length; offset += 16) {
    const type = view.getBigUint64(offset, true);
    if (type === 0n) break;
    entries.set(type, view.getBigUint64(offset + 8, true));
  }
  return entries;
}
export const AT_PHDR = 3n;
export const AT_PHENT = 4n;
export const AT_PHNUM = 5n;
export const AT_BASE = 7n;
export const AT_ENTRY = 9n;
export const AT_SYSINFO_EHDR = 33n;

/** Path of the unified (or else the systemd) hierarchy; empty when there is none. */
export function parseCgroup(text: string): string {
  let systemd = '';
  for (const line of text.split('\n')) {
    const [id, controllers, ...path] = line.split(':');
    if (id === '0' && controllers === '' && path.join(':') !== '/') return path.join(':');
    if (controllers === 'name=systemd') systemd = path.join(':');
  }
  return systemd;
}
export const readCgroup = (pid: number): string => parseCgroup(readText(pid, 'cgroup'));

/** `/proc/PID/task/TID/syscall`: stack pointer and program counter of a thread that is not running. */
export type ThreadSyscall =
  | { readonly running: true }
  | {
      readonly running: false;
      /** Of the system call; -1: blocked outside of one, and then there are no arguments. */
      readonly number: number;
      /** The six argument registers: rdi, rsi, rdx, r10, r8, r9. */
      readonly args: readonly bigint[];
      readonly sp: bigint;
      readonly pc: bigint;
    };

export function parseSyscall(text: string): ThreadSyscall {
  const fields = text.trim().split(' ');
  if (fields[0] === 'running') return { running: true };
  const values = fields.slice(1);
  const [sp, pc] = values.slice(-2);
  const wellFormed =
    (fields.length === 3 || fields.length === 9) && values.every((value) => /^0x[0-9a-f]{1,16}$/.test(value));
  if (!wellFormed || sp === undefined || pc === undefined) {
    throw badData(`cannot parse syscall: "${text.trim().slice(0, 200)}" is malformed`);
  }
  return {
    running: false,
    number: Number(fields[0]),
    args: values.slice(0, -2).map(BigInt),
    sp: BigInt(sp),
    pc: BigInt(pc),
  };
}
export const readThreadSyscall = (pid: number, tid: number): ThreadSyscall =>
  parseSyscall(readText(pid, `task/${tid}/syscall`));
