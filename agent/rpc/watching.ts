/** The watches of one conversation: commands to watches, and what they see to events, coalesced where the controller does not read. */
import { StillframeError } from '../../format/error.js';
import { toLong } from '../../proto/long.js';
import type { Command } from '../../proto/service.js';
import type { LogMatch } from '../watch/log-reader.js';
import type { UsageBound, UsageExcess } from '../watch/usage-watch.js';
import type { Watches } from '../watch/watches.js';
import { targetMessage, usageBoundFrom } from './messages.js';
import type { Outbox, Take } from './outbox.js';

export type WatchCommand = Extract<Command, { body?: 'watchTargets' | 'watchLog' | 'watchUsage' }>;

/** In one conversation. */
const maxWatches = 256;
const maxIdCharacters = 128;
/** Of one usage watch, when the controller does not read. */
const maxWaitingExcesses = 1000;

export class Watching implements Disposable {
  readonly #watches: Watches;
  readonly #outbox: Outbox;
  readonly #byId = new Map<string, Disposable>();
  /** Of log watches that are not begun yet: the newest command for an id rules. */
  readonly #beginning = new Map<string, symbol>();
  #lastSubject = 0;
  #isClosed = false;

  constructor(watches: Watches, outbox: Outbox) {
    this.#watches = watches;
    this.#outbox = outbox;
  }

  /**
   * In place of the watch that has the id. It says nothing until what is returned is called: what it says follows the answer. Throws `usage`,
   * `bad-expression` or `limit`, and then the one before goes on.
   */
  async start(command: WatchCommand): Promise<() => void> {
    const id = idOf(command);
    const others = new Set([...this.#byId.keys(), ...this.#beginning.keys()]);
    others.delete(id);
    if (others.size >= maxWatches) {
      throw new StillframeError(
        'limit',
        `cannot watch "${id}": ${maxWatches} watches are the most of a conversation`,
      );
    }
    const turn = Symbol(id);
    this.#beginning.set(id, turn);
    const voice = new Voice(id, this.#outbox, `watch ${(this.#lastSubject += 1)}`);
    try {
      const watch = await this.#begin(command, voice);
      if (this.#isClosed || this.#beginning.get(id) !== turn) watch[Symbol.dispose]();
      else this.#put(id, watch);
      return () => voice.open();
    } catch (error) {
      voice[Symbol.dispose]();
      throw error;
    } finally {
      if (this.#beginning.get(id) === turn) this.#beginning.delete(id);
    }
  }

  stop(id: string): void {
    this.#beginning.delete(id);
    this.#byId.get(id)?.[Symbol.dispose]();
    this.#byId.delete(id);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const watch of this.#byId.values()) watch[Symbol.dispose]();
    this.#byId.clear();
    this.#beginning.clear();
  }

  #put(id: string, watch: Disposable): void {
    this.#byId.get(id)?.[Symbol.dispose]();
    this.#byId.set(id, watch);
  }

  async #begin(command: WatchCommand, voice: Voice): Promise<Disposable> {
    if (command.body === 'watchTargets') {
      return voice.of(watchTargets(this.#watches, command.watchTargets.selector ?? '', voice));
    }
    if (command.body === 'watchLog') {
      const { path, pattern } = command.watchLog;
      return voice.of(await watchLog(this.#watches, { path: path ?? '', pattern: pattern ?? '' }, voice));
    }
    return voice.of(watchUsage(this.#watches, usageBoundFrom(command.watchUsage ?? {}), voice));
  }
}

/** What one watch says: nothing before it is opened, and nothing any more when it is over, not even what waits to be sent. */
class Voice implements Disposable {
  readonly id: string;
  readonly #outbox: Outbox;
  readonly #subject: string;
  /** What was to be said before it was opened, by subject; undefined when it is open. */
  #held: Map<string, Take> | undefined = new Map();
  #isOver = false;

  constructor(id: string, outbox: Outbox, subject: string) {
    this.id = id;
    this.#outbox = outbox;
    this.#subject = subject;
  }

  open(): void {
    const held = this.#held ?? new Map<string, Take>();
    this.#held = undefined;
    for (const [subject, take] of held) this.#say(subject, take);
  }

  post(take: Take): void {
    this.#say(this.#subject, take);
  }

  state(detail: string): void {
    this.#say(`${this.#subject} state`, () => ({ watchState: { watchId: this.id, detail } }));
  }

  #say(subject: string, take: Take): void {
    if (this.#isOver) return;
    if (this.#held === undefined) this.#outbox.post(subject, take);
    else this.#held.set(subject, take);
  }

  /** Ends with the watch. */
  of(watch: Disposable): Disposable {
    return {
      [Symbol.dispose]: () => {
        this[Symbol.dispose]();
        watch[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#outbox.drop(this.#subject);
    this.#outbox.drop(`${this.#subject} state`);
  }
}

function watchTargets(watches: Watches, selector: string, voice: Voice): Disposable {
  const take: Take = () => {
    const difference = counted.watch.take();
    if (difference === undefined) return undefined;
    // There may be more than one message holds.
    queueMicrotask(changed);
    const [appeared, left] = [difference.appeared.map(targetMessage), difference.left.map(targetMessage)];
    return { targetsChanged: { watchId: voice.id, appeared, left } };
  };
  const changed = (): void => voice.post(take);
  const counted = watches.watchTargets(selector, changed);
  return counted;
}

async function watchLog(
  watches: Watches,
  log: { readonly path: string; readonly pattern: string },
  voice: Voice,
): Promise<Disposable> {
  let waiting: LogMatch | undefined;
  const take: Take = () => {
    if (waiting === undefined) return undefined;
    const { timeMs, line, count } = waiting;
    waiting = undefined;
    return { logMatched: { watchId: voice.id, timeMs: toLong(timeMs), line, count } };
  };
  return await watches.watchLog(log, {
    matched: (match) => {
      waiting = { ...match, count: match.count + (waiting?.count ?? 0) };
      voice.post(take);
    },
    state: (detail) => voice.state(detail),
  });
}

function watchUsage(watches: Watches, bound: UsageBound, voice: Voice): Disposable {
  const waiting = new Map<number, UsageExcess>();
  const take: Take = () => {
    const [next] = waiting;
    if (next === undefined) return undefined;
    const [pid, { timeMs, target, value }] = next;
    waiting.delete(pid);
    if (waiting.size > 0) queueMicrotask(() => voice.post(take));
    const excess = { timeMs: toLong(timeMs), target: targetMessage(target), value };
    return { usageExceeded: { watchId: voice.id, ...excess } };
  };
  return watches.watchUsage(bound, {
    exceeded: (excess) => {
      const [oldest] = waiting.keys();
      if (waiting.size >= maxWaitingExcesses && oldest !== undefined) waiting.delete(oldest);
      waiting.set(excess.target.pid, excess);
      voice.post(take);
    },
    state: (detail) => voice.state(detail),
  });
}

function idOf(command: WatchCommand): string {
  const id = command.watchTargets?.watchId ?? command.watchLog?.watchId ?? command.watchUsage?.watchId ?? '';
  if (id !== '' && id.length <= maxIdCharacters) return id;
  throw new StillframeError('usage', `cannot watch: a watch has an id of 1 to ${maxIdCharacters} characters`);
}
