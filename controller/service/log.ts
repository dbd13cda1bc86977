/**
 * Log lines: a point that tells each hit as it comes, with what the expressions of its template need and nothing else. A hit is a core, as
 * any other; the values are those that `eval` would say of it. It is looked at and thrown away. How many may come is bounded
 * in the kernel, how much text a second here; what has no line is counted and told.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCore } from '../../format/core/read.js';
import { badData, StillframeError, toStillframeError } from '../../format/error.js';
import { makeIdentifier } from '../../format/identifier.js';
import { defaultLimits } from '../../format/limits.js';
import type { AgentConversation } from '../rpc/agent-client.js';
import type { AgentPoint, ArmOrder } from '../rpc/agent-facts.js';
import type { ComingSnapshot } from '../rpc/incoming-snapshots.js';
import { openFileSource } from '../snapshot/file-source.js';
import { formatTime } from '../snapshot/show.js';
import type { SnapshotWriter } from '../store/store.js';
import type { Format } from '../types/format.js';
import type { ValueDocument } from '../types/value-document.js';
import type { LogHooks, LogOptions, LogSummary } from './controller-api.js';
import { lineText, parseTemplate, type TemplatePart } from './log-template.js';
import { disarmLate } from './disarm-late.js';
import type { Planned, PointOptions } from './planning.js';
import type { SymbolAnswers } from './symbol-answers.js';
import { makeUnnamedFile } from './unnamed-file.js';

/** Text of lines, a second. */
const maxTextBytes = 20 * 1024;
/** Hits that wait here for their line. */
const maxWaiting = 256;
const maxCoreBytes = 8 * 1024 * 1024;
/** Ids of hits that are remembered. */
const maxSeen = 10_000;
const lookMs = 1000;
const graceMs = 30_000;

export interface LogAgent {
  /** Undefined where there is one agent only. */
  readonly host?: string;
  readonly client: Pick<AgentConversation, 'arm' | 'disarm' | 'points' | 'fetch'>;
  readonly planned: Planned;
}

export class LogRun implements Disposable {
  readonly pointOptions: PointOptions;
  readonly #options: LogOptions;
  readonly #hooks: LogHooks;
  readonly #symbols: SymbolAnswers;
  readonly #parts: readonly TemplatePart[];
  readonly #id = makeIdentifier(Date.now(), randomBytes(4));
  readonly #held: Disposable;
  #working: Promise<void> = Promise.resolve();
  #waiting = 0;
  #isFleet = false;
  readonly #seen = new Set<string>();
  #received = 0;
  #lines = 0;
  #text = { secondMs: 0, bytes: 0 };
  /** Hits without a line, by why, and how many of them were told. */
  readonly #dropped = new Map<string, { all: number; told: number }>();

  /** Throws `usage`. */
  constructor(options: LogOptions, hooks: LogHooks, symbols: SymbolAnswers) {
    const { linesPerSecond } = options;
    if (!(linesPerSecond > 0) || linesPerSecond > defaultLimits.maxLogRate) {
      throw new StillframeError(
        'usage',
        `--rate must be above 0/s, and at most ${defaultLimits.maxLogRate}/s`,
      );
    }
    this.#options = options;
    this.#hooks = hooks;
    this.#symbols = symbols;
    this.#parts = parseTemplate(options.template);
    const captures = [
      ...new Set(this.#parts.flatMap((part) => ('expression' in part ? [part.expression] : []))),
    ];
    // Only what the template names leaves the host: no stack window either.
    this.pointOptions = { ...options, captures, locals: false, bounds: { stackBytes: 0, ...options.bounds } };
    this.#held = symbols.hold();
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }

  /** By which agents call its hits. */
  get id(): string {
    return this.#id;
  }

  /** Until the time is over, nobody listens any longer, or it is armed nowhere any more. */
  async run(agents: readonly LogAgent[]): Promise<LogSummary> {
    const { forMs } = this.#options;
    const { signal } = this.#hooks;
    this.#isFleet = agents.some(({ host }) => host !== undefined);
    const armed = await this.#armAll(agents);
    const views = [...armed.values()];
    this.#hooks.armed?.(whyOf(views));
    const endMs = forMs === undefined ? Infinity : Date.now() + forMs;
    const isOver = (): boolean => Date.now() >= endMs || signal?.aborted === true;
    try {
      while (!isOver() && [...armed.values()].some(isAlive)) {
        await pause(Math.min(lookMs, endMs - Date.now()), signal);
        if (!isOver()) await this.#look(armed);
      }
    } finally {
      await this.#disarmAll(armed);
    }
    await this.#working;
    const last = [...armed.values()];
    const delivered = last.reduce((sum, { counters }) => sum + Number(counters.delivered), 0);
    this.#drop('as it ended', delivered - this.#received, true);
    this.#see(last);
    const dropped = [...this.#dropped.values()].reduce((sum, { all }) => sum + all, 0);
    return { lines: this.#lines, dropped, why: whyOf(last) };
  }

  /** Throws the first refusal where no agent can arm it. */
  async #armAll(agents: readonly LogAgent[]): Promise<Map<LogAgent, AgentPoint>> {
    const armed = new Map<LogAgent, AgentPoint>();
    let failure: StillframeError | undefined;
    for (const agent of agents) {
      try {
        armed.set(agent, await agent.client.arm(this.#order(agent.planned)));
      } catch (error) {
        const refusal = toStillframeError(error);
        failure ??= refusal;
        disarmLate(agent.client, this.#id, refusal);
      }
    }
    if (armed.size === 0) throw failure ?? new StillframeError('internal', 'a log of no agent');
    return armed;
  }

  #order(planned: Planned): ArmOrder {
    const { forMs, linesPerSecond, engine, owner, note, terms } = this.#options;
    return {
      id: this.#id,
      pids: planned.targets.map(({ pid }) => pid),
      selector: '',
      plan: planned.encoded,
      engine,
      maxHits: 1,
      everyProcess: true,
      minIntervalNs: BigInt(Math.round(1e9 / linesPerSecond)),
      expiresMs: Date.now() + (forMs === undefined ? defaultLimits.defaultExpiryMs : forMs + graceMs),
      whileConnected: true,
      countOnly: false,
      stream: true,
      ...(terms === undefined ? {} : { terms }),
      owner: owner ?? '',
      note: note ?? '',
    };
  }

  async #look(armed: Map<LogAgent, AgentPoint>): Promise<void> {
    for (const [agent, view] of armed) {
      if (!isAlive(view)) continue;
      try {
        const [now] = await agent.client.points([this.#id]);
        if (now !== undefined) armed.set(agent, now);
      } catch (error) {
        const { code, message } = toStillframeError(error);
        if (code !== 'unreachable' || armed.size === 1) throw error;
        // The others go on telling.
        armed.set(agent, { ...view, phase: 'failed', why: message });
      }
    }
    this.#see([...armed.values()]);
  }

  /** What hit before is still told. Of one agent that cannot, the others are asked all the same. */
  async #disarmAll(armed: Map<LogAgent, AgentPoint>): Promise<void> {
    const outcomes = await Promise.allSettled(
      [...armed].map(async ([agent, view]) => {
        try {
          const last = await agent.client.disarm(this.#id);
          armed.set(agent, isAlive(view) ? last : { ...last, why: view.why });
          await agent.client.fetch([this.#id]);
        } catch (error) {
          // Nobody to disarm it is there: it ends with the conversation.
          const { code, message } = toStillframeError(error);
          if (code !== 'unreachable') throw error;
          armed.set(agent, { ...view, phase: 'failed', why: message });
        }
      }),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  #see(views: readonly AgentPoint[]): void {
    const { linesPerSecond } = this.#options;
    const limited = views.reduce((sum, { counters }) => sum + Number(counters.limited ?? 0n), 0);
    const dropped = views.reduce((sum, { counters }) => sum + Number(counters.dropped), 0);
    const undecided = views.reduce((sum, { counters }) => sum + Number(counters.undecided ?? 0n), 0);
    this.#drop(`more than ${linesPerSecond} a second`, limited, true);
    this.#drop('for want of room', dropped, true);
    this.#drop('whose condition was not decided', undecided, true);
    for (const [why, count] of this.#dropped) {
      if (count.all > count.told) this.#hooks.dropped(count.all - count.told, why);
      count.told = count.all;
    }
  }

  #drop(why: string, count: number, isAll = false): void {
    const known = this.#dropped.get(why) ?? { all: 0, told: 0 };
    known.all = isAll ? Math.max(known.all, count) : known.all + count;
    if (known.all > 0) this.#dropped.set(why, known);
  }

  /** Takes in a hit; what the agent says of it is believed as little as ever. */
  receive(announced: ComingSnapshot): SnapshotWriter {
    const { id, size, point } = announced;
    if (size > maxCoreBytes) throw new StillframeError('limit', `a log line of ${size} bytes`);
    const bytes = Buffer.alloc(size);
    let length = 0;
    return {
      write: (data) => {
        if (length + data.length > size) throw badData('more bytes of a log line than announced');
        bytes.set(data, length);
        length += data.length;
      },
      commit: () => {
        if (length !== size) throw badData('a log line was cut short');
        // What was not acknowledged in time comes again.
        if (this.#seen.has(id)) return { kind: 'surplus', point };
        this.#seen.add(id);
        if (this.#seen.size > maxSeen)
          for (const oldest of [...this.#seen].slice(0, maxSeen / 2)) this.#seen.delete(oldest);
        this.#take(bytes);
        return { kind: 'surplus', point };
      },
      [Symbol.dispose]: () => undefined,
    };
  }

  #take(core: Buffer): void {
    this.#received++;
    if (this.#waiting >= maxWaiting) {
      this.#drop('faster than they can be told', 1);
      return;
    }
    this.#waiting++;
    this.#working = this.#working.then(async () => {
      try {
        // Not in a folder: a command that is killed would leave it.
        using file = makeUnnamedFile(core);
        await this.#tell(file.path);
      } catch (error) {
        this.#drop(toStillframeError(error).message, 1);
      } finally {
        this.#waiting--;
      }
    });
  }

  async #tell(path: string): Promise<void> {
    const values = await this.#evaluate(path);
    const text = this.#parts
      .map((part) => ('text' in part ? part.text : textOf(values.get(keyOf(part)))))
      .join('');
    const nowMs = Date.now();
    if (nowMs - this.#text.secondMs >= 1000) this.#text = { secondMs: nowMs, bytes: 0 };
    this.#text.bytes += Buffer.byteLength(text);
    if (this.#text.bytes > maxTextBytes) {
      this.#drop(`more than ${maxTextBytes / 1024} KiB of text a second`, 1);
      return;
    }
    using source = openFileSource(path);
    const { note } = openCore(source);
    if (note === undefined) throw badData('a log line without its note');
    this.#lines++;
    this.#hooks.line({
      time: formatTime(note.timeNs),
      pid: note.pid,
      tid: note.tid,
      comm: note.comm,
      ...(this.#isFleet ? { host: note.host } : {}),
      text,
      values: this.#parts.flatMap((part) => {
        const value = 'expression' in part ? values.get(keyOf(part)) : undefined;
        if (value === undefined || value instanceof StillframeError || 'text' in part) return [];
        return [{ expression: part.expression, ...value }];
      }),
    });
  }

  /** All of one format at once: most templates have one. */
  async #evaluate(core: string): Promise<Map<string, ValueDocument | StillframeError>> {
    const values = new Map<string, ValueDocument | StillframeError>();
    const byFormat = new Map<Format | undefined, Set<string>>();
    for (const part of this.#parts) {
      if ('text' in part) continue;
      byFormat.set(part.format, (byFormat.get(part.format) ?? new Set()).add(part.expression));
    }
    const { exe } = this.#options;
    for (const [format, wanted] of byFormat) {
      const expressions = [...wanted];
      const options = { frame: 0, ...(format === undefined ? {} : { format }) };
      const results = await this.#symbols.evaluate({ core, exe, expressions, options });
      results.forEach((result, i) => values.set(keyOf({ expression: expressions[i] ?? '', format }), result));
    }
    return values;
  }
}

/** One that is suspended tells nothing more. */
const isAlive = ({ phase }: AgentPoint): boolean => phase === 'armed' || phase === 'pending';

/** Of several agents each thing once. */
const whyOf = (views: readonly AgentPoint[]): string => [...new Set(views.map(({ why }) => why))].join('; ');

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  await sleep(Math.max(1, ms), undefined, options).catch(() => undefined);
}

const keyOf = ({ expression, format }: Extract<TemplatePart, { expression: string }>): string =>
  `${format ?? ''} ${expression}`;

function textOf(value: ValueDocument | StillframeError | undefined): string {
  if (value === undefined) return '<not evaluated>';
  return value instanceof StillframeError ? `<${value.message}>` : lineText(value);
}
