/**
 * One conversation with one controller, whoever dialed: commands in, events out. It answers each command with an event of the same
 * request number, and ships the snapshots of the points that were armed here until they are acknowledged.
 */
import { open } from 'node:fs/promises';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { failureOf } from '../../format/failure.js';
import { fromLong, toLong } from '../../proto/long.js';
import type { Command, EventProperties } from '../../proto/service.js';
import type { stillframe } from '../../proto/generated/stillframe.js';
import type { PointView } from '../session/point.js';
import type { SessionLog } from '../session/session-log.js';
import type { Session } from '../session/session.js';
import type { SpooledSnapshot } from '../session/spool.js';
import { checkAwaited } from '../tracer/abandoned.js';
import type { CoreProgress } from '../tracer/client.js';
import type { Watches } from '../watch/watches.js';
import {
  coreOrderFrom,
  countersMessage,
  engineMessage,
  measureRequestFrom,
  moduleMessage,
  nowOrderFrom,
  pointRequestFrom,
  pointStateMessage,
  targetMessage,
} from './messages.js';
import { Outbox } from './outbox.js';
import { PointWatch } from './point-watch.js';
import { type WatchCommand, Watching } from './watching.js';

/** Where events go. `send` resolves when more may be sent: the peer's window is honoured. */
export interface EventChannel {
  send(event: EventProperties): Promise<void>;
}

export interface ConversationOptions {
  readonly session: Session;
  readonly watches: Watches;
  readonly channel: EventChannel;
  readonly hello: stillframe.v1.Hello.$Properties;
  readonly log: SessionLog;
}

type Answer = Omit<EventProperties, 'request'>;

interface AwaitedWork {
  readonly request: bigint;
  readonly abort: AbortController;
}

/** What a snapshot answers. */
interface Asked {
  readonly request: Command['request'];
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

const chunkBytes = 512 * 1024;
const heartbeatMs = 10_000;
/** Points, alive or not, whose states and snapshots one conversation may want. */
const maxFollowed = 10_000;
const minForgotten = 256;

export class Conversation implements Disposable {
  readonly #options: ConversationOptions;
  readonly #points = new Set<string>();
  readonly #holds = new Map<string, Disposable>();
  /** Sent or being sent, and not asked for again. */
  readonly #shipped = new Set<string>();
  /** Commands that somebody waits for here, and what they are to bring. */
  readonly #awaited = new Set<AwaitedWork>();
  /** Snapshots that such commands brought, by command, until they are acknowledged: nobody else asks for them. */
  readonly #asked = new Map<string, bigint>();
  readonly #subscription: Disposable;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #outbox: Outbox;
  readonly #watching: Watching;
  /** So many points, and those that are over are forgotten. */
  #forgetAt = minForgotten;
  #pointWatch: PointWatch | undefined;
  #shipping: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#outbox = new Outbox((event) => this.#send(event));
    this.#watching = new Watching(options.watches, this.#outbox);
    this.#subscription = options.session.subscribe({
      snapshot: (snapshot) => {
        if (snapshot.point !== '' && this.#points.has(snapshot.point)) void this.#ship(snapshot);
      },
      point: (view) => {
        if (this.#points.has(view.id)) this.#tellPoint(view);
      },
    });
    this.#heartbeat = setInterval(
      () => this.#outbox.post('heartbeat', () => ({ heartbeat: { timeMs: toLong(Date.now()) } })),
      heartbeatMs,
    );
  }

  /** Never rejects: what fails is answered with a failure. */
  async receive(command: Command): Promise<void> {
    try {
      const answer = await this.#answer(command);
      if (answer !== undefined) await this.#send({ ...answer, request: command.request ?? null });
    } catch (error) {
      const failure = toStillframeError(error);
      if (failure.code === 'internal') {
        this.#options.log.error(
          { command: command.body, error: failure.message, stack: failure.stack },
          'command failed',
        );
      }
      // A controller that hung up does not hear it.
      await this.#send({ request: command.request ?? null, failure: failureOf(failure) }).catch(
        () => undefined,
      );
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#subscription[Symbol.dispose]();
    this.#pointWatch?.[Symbol.dispose]();
    this.#watching[Symbol.dispose]();
    this.#outbox[Symbol.dispose]();
    for (const hold of this.#holds.values()) hold[Symbol.dispose]();
    this.#holds.clear();
    for (const { abort } of this.#awaited) abort.abort();
    for (const id of this.#asked.keys()) this.#drop(id);
  }

  async #answer(command: Command): Promise<Answer | undefined> {
    const { session, hello } = this.#options;
    switch (command.body) {
      case 'greeting':
        return { hello };
      case 'listTargets': {
        const targets = await session.tracer.listTargets(command.listTargets.selector || undefined);
        return { targets: { targets: targets.map(targetMessage) } };
      }
      case 'getTargetFacts':
        return await this.#targetFacts(command.getTargetFacts.pid ?? 0);
      case 'arm':
        return await this.#arm(command.arm);
      case 'disarm': {
        const view = await session.remove(command.disarm.pointId ?? '');
        return { pointState: pointStateMessage(view) };
      }
      case 'resume': {
        const view = await session.resume(command.resume.pointId ?? '');
        return { pointState: pointStateMessage(view) };
      }
      case 'listPoints':
        return await this.#listPoints(command.listPoints);
      case 'now':
        await this.#bring(command.request, () => session.now(nowOrderFrom(command.now)));
        return undefined;
      case 'core':
        await this.#core(command.request, command.core);
        return undefined;
      case 'cancel': {
        const request = fromLong(command.cancel.request);
        for (const awaited of this.#awaited) if (awaited.request === request) awaited.abort.abort();
        // It may have been sent in full before it was known that nobody wants it.
        for (const [id, by] of this.#asked) if (by === request) this.#drop(id);
        return { done: {} };
      }
      case 'acknowledgeSnapshot':
        this.#drop(command.acknowledgeSnapshot.snapshotId ?? '');
        return { done: {} };
      case 'fetchSnapshots':
        return { fetched: { count: await this.#fetch(command.fetchSnapshots.pointIds ?? []) } };
      case 'probeEngines': {
        const engines = await session.tracer.probeEngines();
        return { engines: { engines: engines.map(engineMessage) } };
      }
      case 'measure': {
        const request = measureRequestFrom(command.measure);
        const { engine, counters } = await this.#await(command.request, (signal) =>
          session.measure(request, signal),
        );
        return {
          measured: { engine, durationMs: toLong(request.durationMs), counters: countersMessage(counters) },
        };
      }
      case 'heartbeat':
        return undefined;
      case 'followPoints':
        return await this.#follow(command.followPoints.pointIds ?? []);
      case 'watchTargets':
      case 'watchLog':
      case 'watchUsage':
        return await this.#watch(command);
      case 'unwatch':
        this.#watching.stop(command.unwatch.watchId ?? '');
        return { done: {} };
      case undefined:
        throw new StillframeError('unsupported', 'unknown command: the controller is newer than this agent');
    }
  }

  /** Work that goes on for as long as this conversation, and whoever asked here, waits for it. */
  async #await<T>(request: Command['request'], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const awaited: AwaitedWork = { request: fromLong(request), abort: new AbortController() };
    if (this.#closed) awaited.abort.abort();
    this.#awaited.add(awaited);
    try {
      return await work(awaited.abort.signal);
    } finally {
      this.#awaited.delete(awaited);
    }
  }

  /** Ships a snapshot that was asked for here. It is gone when nobody waits for it any more. */
  async #bring(
    request: Command['request'],
    take: (signal: AbortSignal) => Promise<SpooledSnapshot>,
  ): Promise<void> {
    await this.#await(request, async (signal) => {
      const snapshot = await take(signal);
      this.#asked.set(snapshot.id, fromLong(request));
      try {
        checkAwaited(signal);
        await this.#ship(snapshot, { request, signal });
      } catch (error) {
        this.#drop(snapshot.id);
        throw error;
      }
    });
  }

  async #core(request: Command['request'], core: stillframe.v1.Core.$Properties): Promise<void> {
    await this.#bring(request, (signal) => {
      const progress: CoreProgress = (doneBytes, totalBytes) =>
        this.#outbox.post(`core ${fromLong(request)}`, () => ({
          request: request ?? null,
          coreProgress: { doneBytes: toLong(doneBytes), totalBytes: toLong(totalBytes) },
        }));
      return this.#options.session.core(coreOrderFrom(core), progress, signal);
    });
  }

  /** It is stored elsewhere, or nobody wants it. */
  #drop(id: string): void {
    this.#options.session.acknowledge(id);
    this.#shipped.delete(id);
    this.#asked.delete(id);
  }

  async #targetFacts(pid: number): Promise<Answer> {
    const { tracer } = this.#options.session;
    const [target] = await tracer.listTargets(String(pid));
    if (target === undefined) {
      throw new StillframeError('not-found', `no process ${pid}`, { detail: { pid } });
    }
    const facts = await tracer.processFacts(pid);
    return { targetFacts: { target: targetMessage(target), modules: facts.modules.map(moduleMessage) } };
  }

  async #arm(arm: stillframe.v1.Arm.$Properties): Promise<Answer> {
    const { session } = this.#options;
    const request = pointRequestFrom(arm);
    const attached = this.#points.has(request.id);
    if (this.#points.size >= this.#forgetAt) this.#forgetPoints();
    // It held another one of that name, which is long over.
    if (!session.hasPoint(request.id)) this.#holds.delete(request.id);
    // Before arming, for the first hit may come before the answer.
    this.#points.add(request.id);
    try {
      const view = await session.arm(request);
      this.#attach([request.id]);
      return { pointState: pointStateMessage(view) };
    } catch (error) {
      if (!attached) this.#points.delete(request.id);
      throw error;
    }
  }

  async #follow(asked: readonly string[]): Promise<Answer> {
    const { session } = this.#options;
    const ids = [...new Set(asked)];
    const followed = new Set([...this.#points, ...ids]);
    if (followed.size > maxFollowed) {
      throw new StillframeError(
        'limit',
        `cannot follow ${followed.size} points in one conversation: ${maxFollowed} are the most`,
      );
    }
    for (const id of ids) this.#points.add(id);
    this.#attach(ids);
    const known = await session.points(ids.filter((id) => session.hasPoint(id)));
    return { points: { points: known.map(pointStateMessage) } };
  }

  /** Somebody waits here for these points: they are held, and what waits of them is sent. */
  #attach(ids: readonly string[]): void {
    const { session } = this.#options;
    const wanted = new Set(ids);
    for (const id of wanted) {
      if (this.#closed || this.#holds.has(id) || !session.hasPoint(id)) continue;
      this.#holds.set(id, session.hold(id));
    }
    for (const snapshot of session.spool.list()) {
      if (wanted.has(snapshot.point) && snapshot.point !== '') void this.#ship(snapshot);
    }
  }

  /** What is seen follows the answer. */
  async #watch(command: WatchCommand): Promise<undefined> {
    const begin = await this.#watching.start(command);
    await this.#send({ request: command.request ?? null, done: {} });
    begin();
  }

  /** Those that the agent has forgotten, and that nothing waits of. */
  #forgetPoints(): void {
    const { session } = this.#options;
    const waiting = new Set(session.spool.list().map(({ point }) => point));
    for (const id of this.#points) {
      if (session.hasPoint(id) || waiting.has(id)) continue;
      this.#points.delete(id);
      this.#holds.delete(id);
    }
    this.#forgetAt = Math.min(maxFollowed, Math.max(minForgotten, this.#points.size * 2));
    // What another conversation took in.
    for (const id of this.#shipped) if (session.spool.pathOf(id) === undefined) this.#shipped.delete(id);
  }

  /** A watch is in place of the one before, whatever that was of. */
  async #listPoints({ pointIds, watchMs }: stillframe.v1.ListPoints.$Properties): Promise<Answer> {
    const { session, log } = this.#options;
    const ids = pointIds ?? [];
    const views = await session.points(ids);
    const intervalMs = watchMs ?? 0;
    if (intervalMs > 0 && !this.#closed) {
      this.#pointWatch?.[Symbol.dispose]();
      const changed = (view: PointView): void => this.#tellPoint(view);
      this.#pointWatch = new PointWatch({ session, ids, intervalMs, log, changed }, views);
    }
    return { points: { points: views.map(pointStateMessage) } };
  }

  #tellPoint(view: PointView): void {
    this.#outbox.post(`point ${view.id}`, () => ({ pointState: pointStateMessage(view) }));
  }

  /** Sends again what was sent and not acknowledged: the controller would not ask otherwise. */
  async #fetch(pointIds: readonly string[]): Promise<number> {
    const waiting = this.#options.session.spool
      .list()
      .filter((snapshot) => pointIds.length === 0 || pointIds.includes(snapshot.point));
    await this.#shipping;
    for (const snapshot of waiting) {
      this.#shipped.delete(snapshot.id);
      await this.#ship(snapshot);
    }
    return waiting.length;
  }

  /** One after another. */
  #ship(snapshot: SpooledSnapshot, asked?: Asked): Promise<void> {
    if (this.#shipped.has(snapshot.id)) return this.#shipping;
    this.#shipped.add(snapshot.id);
    const sending = this.#shipping.then(() => this.#sendSnapshot(snapshot, asked));
    this.#shipping = sending.catch((error: unknown) => {
      this.#shipped.delete(snapshot.id);
      if (this.#closed) return;
      const { message } = toStillframeError(error);
      this.#options.log.warn({ snapshot: snapshot.id, error: message }, 'cannot send a snapshot');
    });
    return asked === undefined ? this.#shipping : sending;
  }

  async #sendSnapshot({ id, point, size, sha256 }: SpooledSnapshot, asked: Asked | undefined): Promise<void> {
    const path = this.#options.session.spool.pathOf(id);
    if (path === undefined) return;
    const envelope = { request: asked?.request ?? null };
    const file = await open(path, 'r');
    try {
      await this.#send({
        ...envelope,
        snapshotBegin: { snapshotId: id, pointId: point, size: toLong(size), sha256 },
      });
      for (let offset = 0; offset < size;) {
        checkAwaited(asked?.signal);
        const length = Math.min(chunkBytes, size - offset);
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
        if (bytesRead === 0) throw new StillframeError('internal', `the spool lost bytes of snapshot ${id}`);
        const data = buffer.subarray(0, bytesRead);
        await this.#send({ ...envelope, snapshotChunk: { snapshotId: id, offset: toLong(offset), data } });
        offset += bytesRead;
      }
      await this.#send({ ...envelope, snapshotEnd: { snapshotId: id } });
    } finally {
      await file.close();
    }
  }

  #send(event: EventProperties): Promise<void> {
    if (this.#closed) return Promise.reject(new StillframeError('unreachable', 'the controller hung up'));
    return this.#options.channel.send(event);
  }
}

/** For logs: which command, never what is in it. */
export function describeCommand(command: Command): string {
  return `${command.body ?? 'unknown'} ${fromLong(command.request)}`;
}
