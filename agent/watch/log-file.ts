/**
 * A log by its path, whatever becomes of the file there: rotated by renaming, truncated, absent for a while. A file that another took the place of is
 * read to its end first, and for some time more, since who writes it may not have noticed yet.
 */
import { statSync } from 'node:fs';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { LogFileRule } from '../policy/log-files.js';
import { OpenLog, attempt } from './open-log.js';

export interface LogFileOptions {
  readonly path: string;
  readonly rule: LogFileRule;
  readonly line: (text: string) => void;
}

interface Replaced {
  readonly log: OpenLog;
  /** When it last had something to read. */
  readMs: number;
}

/** How long a file that was replaced is read when nothing comes any more. */
const quietMs = 30_000;
const maxReplaced = 4;
/** What is further behind is passed over: it would never be read in time to matter. */
const maxBehindBytes = 1024 ** 3;

export class LogFile implements Disposable {
  readonly #options: LogFileOptions;
  readonly #replaced: Replaced[] = [];
  #current: OpenLog | undefined;
  /** What was written before the watch began is not told; a file that came into being after that is read from its start. */
  #from: 'end' | 'start' = 'end';
  /** Why it cannot be read now; empty where it can. */
  detail = '';

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** Looks whether the path still leads to the same file. */
  look(nowMs: number): void {
    try {
      this.#follow(nowMs);
      this.detail = '';
      this.#from = 'start';
    } catch (error) {
      const { code, message } = toStillframeError(error);
      this.detail = message;
      if (code === 'not-found') this.#from = 'start';
    }
    this.#forgetQuiet(nowMs);
  }

  /** One piece at most, of the oldest file that has some; false when there is nothing to read. */
  read(nowMs: number): boolean {
    for (const replaced of this.#replaced) {
      if (!replaced.log.read()) continue;
      replaced.readMs = nowMs;
      return true;
    }
    return this.#current?.read() ?? false;
  }

  /** Bytes that are there and not read yet. */
  behind(): number {
    const replaced = this.#replaced.reduce((sum, { log }) => sum + log.behind(), 0);
    return replaced + (this.#current?.behind() ?? 0);
  }

  /** Gives up what is too far behind; gives how many bytes that are, mostly none. */
  skipExcess(): number {
    if (this.behind() <= maxBehindBytes) return 0;
    let bytes = 0;
    for (const { log } of this.#replaced.splice(0)) {
      bytes += log.behind();
      log[Symbol.dispose]();
    }
    return bytes + (this.#current?.skip() ?? 0);
  }

  [Symbol.dispose](): void {
    for (const { log } of this.#replaced) log[Symbol.dispose]();
    this.#current?.[Symbol.dispose]();
    this.#replaced.length = 0;
    this.#current = undefined;
  }

  #follow(nowMs: number): void {
    const { path } = this.#options;
    let found: { readonly dev: number; readonly ino: number };
    try {
      found = attempt(`cannot watch "${path}"`, () => statSync(path));
    } catch (error) {
      this.#replace(nowMs);
      throw error;
    }
    if (this.#current?.inode === found.ino && this.#current.device === found.dev) return;
    this.#replace(nowMs);
    this.#current = new OpenLog({ ...this.#options, from: this.#from });
  }

  #replace(nowMs: number): void {
    if (this.#current === undefined) return;
    this.#replaced.push({ log: this.#current, readMs: nowMs });
    this.#current = undefined;
  }

  #forgetQuiet(nowMs: number): void {
    while (this.#replaced.length > 0) {
      const [oldest] = this.#replaced;
      const isQuiet = oldest !== undefined && nowMs - oldest.readMs >= quietMs && oldest.log.behind() === 0;
      if (!isQuiet && this.#replaced.length <= maxReplaced) return;
      const unread = oldest?.log.behind() ?? 0;
      this.#replaced.shift()?.log[Symbol.dispose]();
      if (unread > 0) {
        this.detail = `${unread} bytes of a file that was replaced were not read: files are replaced faster than they can be read`;
      }
    }
  }
}

/** Throws `usage`. */
export function checkLogPath(path: string): void {
  if (path.startsWith('/') && !path.includes('\0') && path.length <= maxPathCharacters) return;
  throw new StillframeError('usage', `cannot watch "${path.slice(0, 100)}": it is no absolute path`);
}

const maxPathCharacters = 4096;
