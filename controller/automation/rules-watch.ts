/**
 * Watches a rules file or directory: files are compared about once a second by name, inode, size and time, for file systems that tell nobody;
 * where they do tell, that only makes the next look come sooner. What changed is read when it has been still for a moment, so that nobody's
 * half-written file is taken for the rules.
 */
import { statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { toStillframeError } from '../../format/error.js';
import type { Clock } from './clock.js';
import { checkTexts, listRuleFiles, readRuleFile, type RuleCheck } from './rules-file.js';

export interface RulesListener {
  changed(check: RuleCheck): void;
  /** The path itself cannot be read; what was read before holds. Once for each reason. */
  unreadable(reason: string): void;
}

export interface RulesWatchOptions {
  readonly clock: Clock;
  /** How often it looks. */
  readonly pollMs?: number;
}

const defaultPollMs = 1000;
/** How long files must have been still, seen at two looks. */
const stillMs = 400;

export interface LoadedRules extends Disposable {
  readonly check: RuleCheck;
}

/** Reads at once, and then whenever something changes. Throws where the path cannot be read now. */
export function watchRules(path: string, listener: RulesListener, options: RulesWatchOptions): LoadedRules {
  const watching = new RulesWatch(path, listener, options);
  const check = watching.readNow();
  watching.start();
  return { check, [Symbol.dispose]: () => watching[Symbol.dispose]() };
}

class RulesWatch implements Disposable {
  readonly #path: string;
  readonly #listener: RulesListener;
  readonly #clock: Clock;
  readonly #pollMs: number;
  /** Of what was last read. */
  #read = '';
  /** Seen, and not yet still for long enough. */
  #pending: { readonly signature: string; readonly sinceMs: number } | undefined;
  #reason = '';
  #timer: Disposable | undefined;
  #wake: Disposable | undefined;
  #isOver = false;

  constructor(path: string, listener: RulesListener, options: RulesWatchOptions) {
    this.#path = path;
    this.#listener = listener;
    this.#clock = options.clock;
    this.#pollMs = options.pollMs ?? defaultPollMs;
  }

  readNow(): RuleCheck {
    const signature = signatureOf(this.#path);
    const check = readAll(this.#path);
    this.#read = signature;
    return check;
  }

  start(): void {
    this.#wake = watchFolder(this.#path, () => this.#look());
    this.#schedule(this.#pollMs);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.[Symbol.dispose]();
    this.#wake?.[Symbol.dispose]();
  }

  #schedule(ms: number): void {
    this.#timer?.[Symbol.dispose]();
    if (!this.#isOver) this.#timer = this.#clock.after(ms, () => this.#look());
  }

  #look(): void {
    if (this.#isOver) return;
    try {
      this.#compare();
      this.#reason = '';
    } catch (error) {
      this.#pending = undefined;
      const { message } = toStillframeError(error);
      if (message !== this.#reason) this.#listener.unreadable(message);
      this.#reason = message;
      // When it is there again it is told again, even if it is as it was.
      this.#read = '';
    }
    this.#schedule(this.#pending === undefined ? this.#pollMs : Math.min(this.#pollMs, stillMs));
  }

  #compare(): void {
    const signature = signatureOf(this.#path);
    if (signature === this.#read) {
      this.#pending = undefined;
      return;
    }
    const nowMs = this.#clock.nowMs();
    if (this.#pending?.signature !== signature) {
      this.#pending = { signature, sinceMs: nowMs };
      return;
    }
    if (nowMs - this.#pending.sinceMs < stillMs) return;
    const check = readAll(this.#path);
    // Somebody wrote while it was read: the next look sees to it.
    if (signatureOf(this.#path) !== signature) return;
    this.#pending = undefined;
    this.#read = signature;
    this.#listener.changed(check);
  }
}

function readAll(path: string): RuleCheck {
  return checkTexts(listRuleFiles(path).map((file) => ({ file, ...readRuleFile(file) })));
}

/** Changes whenever a file may have. */
function signatureOf(path: string): string {
  return listRuleFiles(path)
    .map((file) => {
      try {
        const { ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
        return `${file}\0${ino}\0${size}\0${mtimeNs}\0${ctimeNs}`;
      } catch (error) {
        return `${file}\0${(error as NodeJS.ErrnoException).code ?? ''}`;
      }
    })
    .join('\n');
}

/** Of the folder, for an editor puts another file in the place of the one that was there. */
function watchFolder(path: string, changed: () => void): Disposable {
  try {
    const folder = statSync(path).isDirectory() ? path : dirname(path);
    const watcher = watch(folder, { persistent: false }, changed);
    // Without it the next look is a second away, and that is all.
    watcher.on('error', () => watcher.close());
    return { [Symbol.dispose]: () => watcher.close() };
  } catch {
    return { [Symbol.dispose]: () => undefined };
  }
}
