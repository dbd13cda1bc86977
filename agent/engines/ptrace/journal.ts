/**
 * The journal of software breakpoints: which bytes of which process were replaced, on disk before the first of them is. One file a
 * process. Whoever comes after a tracer that died puts the bytes back: the front at once, or else the next agent that starts.
 * A byte is put back only where an `int3` stands, in the very process (pid and start time), and when its tracer is gone.
 * No FFI: the front uses it too.
 */
import {
  chmodSync,
  closeSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StillframeError, badData, toStillframeError } from '../../../format/error.js';
import { CodePatcher } from '../../linux/memory-patch.js';
import { readStat } from '../../linux/proc.js';

export const int3 = 0xcc;

export interface PatchedByte {
  readonly address: bigint;
  readonly original: number;
}

interface ProcessName {
  readonly pid: number;
  readonly startTicks: bigint;
}

export interface JournalEntry extends ProcessName {
  readonly tracer: ProcessName;
  readonly bytes: readonly PatchedByte[];
}

const maxEntryBytes = 1 << 20;
const maxPatchedBytes = 4096;

/** `/run/stillframe/breakpoints` for root, else in the user's own runtime folder. */
export function defaultJournalFolder(): string {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return '/run/stillframe/breakpoints';
  const runtime = process.env['XDG_RUNTIME_DIR'];
  return runtime === undefined
    ? join(tmpdir(), `stillframe-${uid}`, 'breakpoints')
    : join(runtime, 'stillframe', 'breakpoints');
}

export class Journal {
  readonly folder: string;

  /** The folder must be ours alone: what lies there is written into processes. It is made when the first entry is. */
  constructor(folder: string = defaultJournalFolder()) {
    this.folder = folder;
  }

  /** Replaces the entry of a process; on disk when it returns. */
  write(entry: JournalEntry): void {
    this.#makeFolder();
    const path = this.#pathOf(entry);
    const unfinished = `${path}.${process.pid}.unfinished`;
    const fd = openSync(unfinished, 'w', 0o600);
    try {
      writeSync(fd, encodeEntry(entry));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(unfinished, path);
    this.#syncFolder();
  }

  remove(name: ProcessName): void {
    try {
      unlinkSync(this.#pathOf(name));
      this.#syncFolder();
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** Puts back the bytes of every entry whose tracer is gone. Says what it did, and what it could not do. */
  replay(): string[] {
    const said: string[] = [];
    for (const name of this.#names()) {
      const path = join(this.folder, name);
      if (!name.endsWith('.json')) {
        // Cut off while it was written: nothing of it was patched yet.
        if (!isAlive(unfinishedBy(name))) unlinkQuietly(path);
        continue;
      }
      try {
        const entry = readEntry(path);
        if (isAlive(entry.tracer)) continue;
        const restored = restore(entry);
        unlinkQuietly(path);
        said.push(`put back ${restored} of ${entry.bytes.length} bytes in process ${entry.pid}`);
      } catch (error) {
        const { code, message } = toStillframeError(error);
        if (code === 'target-gone' || code === 'bad-data') unlinkQuietly(path);
        said.push(`cannot replay "${path}": ${message}`);
      }
    }
    return said;
  }

  /** Whether this process has written anything into another that is still there. */
  hasOwn(): boolean {
    return this.#own().length > 0;
  }

  /** As {@link replay}, of what this process has written: when it is to end and cannot take it out in order. */
  restoreOwn(): void {
    for (const entry of this.#own()) restore(entry);
  }

  #own(): JournalEntry[] {
    return this.#names().flatMap((name) => {
      if (!name.endsWith('.json')) return [];
      try {
        const entry = readEntry(join(this.folder, name));
        return entry.tracer.pid === process.pid ? [entry] : [];
      } catch (error) {
        // Taken away meanwhile, or no entry at all: none of ours.
        if (isMissing(error) || toStillframeError(error).code === 'bad-data') return [];
        throw error;
      }
    });
  }

  #names(): string[] {
    try {
      checkFolder(this.folder);
      return readdirSync(this.folder);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  #pathOf({ pid, startTicks }: ProcessName): string {
    return join(this.folder, `${pid}-${startTicks}.json`);
  }

  #makeFolder(): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    checkFolder(this.folder);
    chmodSync(this.folder, 0o700);
  }

  #syncFolder(): void {
    const fd = openSync(this.folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** How many bytes held an `int3` and have their original again. Throws `target-gone` when it is not that process any more. */
function restore(entry: JournalEntry): number {
  if (!isAlive(entry)) {
    throw new StillframeError('target-gone', `process ${entry.pid} is gone`, { detail: { pid: entry.pid } });
  }
  using patcher = new CodePatcher(entry.pid);
  let restored = 0;
  for (const { address, original } of entry.bytes) {
    try {
      if (patcher.read(address) !== int3) continue;
      patcher.write(address, original);
      restored++;
    } catch (error) {
      // The memory was unmapped; other bytes may still be there.
      if (toStillframeError(error).code !== 'system') throw error;
    }
  }
  return restored;
}

function isAlive(name: ProcessName | undefined): boolean {
  if (name === undefined) return false;
  try {
    const stat = readStat(name.pid);
    return stat.startTicks === name.startTicks && stat.state !== 'Z' && stat.state !== 'X';
  } catch {
    return false;
  }
}

/** The process that was writing `123-456.json.789.unfinished`. */
function unfinishedBy(name: string): ProcessName | undefined {
  const pid = Number(/\.([0-9]+)\.unfinished$/.exec(name)?.[1]);
  try {
    return Number.isInteger(pid) ? { pid, startTicks: readStat(pid).startTicks } : undefined;
  } catch {
    return undefined;
  }
}

export function encodeEntry(entry: JournalEntry): string {
  return JSON.stringify({
    version: 1,
    pid: entry.pid,
    startTicks: entry.startTicks.toString(),
    tracer: { pid: entry.tracer.pid, startTicks: entry.tracer.startTicks.toString() },
    bytes: entry.bytes.map(({ address, original }) => [`0x${address.toString(16)}`, original]),
  });
}

/** Throws `bad-data`. */
export function parseEntry(text: string, name: string): JournalEntry {
  const fail = (reason: string): never => {
    throw badData(`cannot parse journal "${name}": ${reason}`);
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail('it is no JSON');
  }
  const field = (value: unknown, key: string): unknown =>
    typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  const processName = (value: unknown): ProcessName => {
    const pid = field(value, 'pid');
    const startTicks = field(value, 'startTicks');
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0) return fail('pid is not a number');
    if (typeof startTicks !== 'string' || !/^[0-9]{1,20}$/.test(startTicks))
      return fail('startTicks is not a number');
    return { pid, startTicks: BigInt(startTicks) };
  };
  if (field(json, 'version') !== 1) return fail('version is not 1');
  const bytes = field(json, 'bytes');
  if (!Array.isArray(bytes) || bytes.length > maxPatchedBytes) return fail('bytes is not a list');
  return {
    ...processName(json),
    tracer: processName(field(json, 'tracer')),
    bytes: bytes.map((item: unknown) => {
      const [address, original] = Array.isArray(item) ? (item as unknown[]) : [];
      if (typeof address !== 'string' || !/^0x[0-9a-f]{1,16}$/.test(address))
        return fail('an address is not hex');
      if (typeof original !== 'number' || !Number.isInteger(original) || original < 0 || original > 255) {
        return fail('an original is not a byte');
      }
      return { address: BigInt(address), original };
    }),
  };
}

function readEntry(path: string): JournalEntry {
  const fd = openSync(path, 'r');
  try {
    const { uid, size } = fstatSync(fd);
    if (uid !== process.getuid?.())
      throw badData(`cannot trust journal "${path}": it belongs to user ${uid}`);
    if (size > maxEntryBytes) throw badData(`cannot parse journal "${path}": ${size} bytes are too many`);
    return parseEntry(readFileSync(fd, 'utf8'), path);
  } finally {
    closeSync(fd);
  }
}

function checkFolder(folder: string): void {
  const stat = lstatSync(folder);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o022) !== 0) {
    throw new StillframeError('denied', `cannot use the journal folder "${folder}": it is not ours alone`, {
      detail: { file: folder },
      hint: 'it must be a folder of this user that nobody else may write to',
    });
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else took it away.
  }
}
