/**
 * The controller as an object: what every face calls. It keeps nothing but the store, and reaches agents when it must.
 */
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { AgentPoint } from '../rpc/agent-facts.js';
import type { TlsFiles } from '../rpc/tls.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { EvaluateOptions, ShowOptions } from '../snapshot/show.js';
import {
  isOfFleet,
  type PointRecord,
  type SnapshotFilter,
  type SnapshotRecord,
  type Store,
} from '../store/store.js';
import type { ValueDocument } from '../types/value-document.js';
import type { AgentOptions, ReachedAgent } from './agent.js';
import {
  doctorDocument,
  measuredDocument,
  pointDocument,
  targetDocument,
  type DoctorDocument,
  type ExplainDocument,
  type PointDocument,
  type SnapshotSummary,
  type TargetDocument,
} from './documents.js';
import { debugInfoOf } from './debug-info.js';
import { isLocal, nowOrder, planFor } from './planning.js';
import { pickPoint } from './point-reference.js';
import type {
  ControllerApi,
  ExplainOptions,
  Exported,
  LogHooks,
  LogOptions,
  LogSummary,
  MetricHooks,
  MetricOptions,
  CoreHooks,
  CoreOptions,
  NowOptions,
  SnapHooks,
  SnapOptions,
  SnapOutcome,
  SnapshotReference,
  WatchHooks,
} from './controller-api.js';
import { LogRun } from './log.js';
import type { MetricDocument } from './metric-document.js';
import { checkMetricOptions, runMetric } from './metric.js';
import { snap } from './snap.js';
import { StoredSnapshots } from './stored-snapshots.js';
import { findTarget, findTargets } from './targets.js';
import { watchPoints } from './watch-points.js';
import type { SymbolAnswers } from './symbol-answers.js';

export interface ControllerOptions {
  readonly store: Store;
  readonly symbols: SymbolAnswers;
  /** Undefined: the default socket, or an agent for the length of the call. */
  readonly agent: string | undefined;
  readonly tls: TlsFiles | undefined;
  /** One line for people, on its way. */
  readonly notify: (message: string) => void;
}

export class Controller implements ControllerApi {
  readonly #options: ControllerOptions;
  readonly #store: Store;
  readonly #stored: StoredSnapshots;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#store = options.store;
    const { store, symbols } = options;
    this.#stored = new StoredSnapshots({ store, symbols, sync: () => this.#sync(), files: true });
  }

  async doctor(): Promise<readonly DoctorDocument[]> {
    await using agent = await this.#reach();
    const { client, temporary } = agent;
    const engines = await client.probeEngines();
    return [doctorDocument(client.facts, { address: client.address, temporary }, engines)];
  }

  /** Those that fit, or without a selector all that can be looked into. */
  async targets(selector?: string): Promise<readonly TargetDocument[]> {
    await using agent = await this.#reach();
    const { client } = agent;
    const targets =
      selector === undefined
        ? (await client.listTargets()).filter((target) => target.refusal === '')
        : await findTargets(client, selector, { refused: true });
    const local = isLocal(client);
    return targets.map((target) => targetDocument(target, local ? debugInfoOf(target) : undefined));
  }

  async explain(options: ExplainOptions): Promise<ExplainDocument> {
    await using agent = await this.#reach();
    const { client } = agent;
    const planned = await planFor(client, options, this.#options.symbols);
    const [first] = planned.targets;
    const named = planned.targets.map(({ pid, comm }) => ({ pid, name: comm }));
    const leftOut = planned.leftOut.map(({ target, reason }) => ({
      pid: target.pid,
      name: target.comm,
      reason,
    }));
    const measured =
      options.measureMs === undefined || first === undefined
        ? undefined
        : await client.measure({
            pid: first.pid,
            plan: planned.encoded,
            durationMs: options.measureMs,
            engine: options.engine,
          });
    return {
      ...planned.explanation,
      targets: named,
      ...(leftOut.length === 0 ? {} : { leftOut }),
      ...(measured === undefined ? {} : { measured: measuredDocument(measured) }),
    };
  }

  async snap(options: SnapOptions, hooks: SnapHooks): Promise<SnapOutcome> {
    await using agent = await this.#reach();
    const { store, symbols } = this.#options;
    return await snap({ agent, store, symbols, reconnect: () => this.#reach() }, options, hooks);
  }

  async metric(options: MetricOptions, hooks: MetricHooks): Promise<MetricDocument> {
    checkMetricOptions(options);
    await using agent = await this.#reach();
    const planned = await planFor(agent.client, options, this.#options.symbols);
    return await runMetric([{ client: agent.client, planned }], options, hooks);
  }

  async log(options: LogOptions, hooks: LogHooks): Promise<LogSummary> {
    const { symbols } = this.#options;
    const run = new LogRun(options, hooks, symbols);
    try {
      await using agent = await this.#reach((announced) => run.receive(announced));
      const planned = await planFor(agent.client, run.pointOptions, symbols);
      return await run.run([{ client: agent.client, planned }]);
    } finally {
      run[Symbol.dispose]();
    }
  }

  async now(options: NowOptions): Promise<SnapshotRecord> {
    await using agent = await this.#reach();
    const { client } = agent;
    const target = await findTarget(client, options.target);
    return await client.now(nowOrder(options, target.pid));
  }

  async core(options: CoreOptions, hooks: CoreHooks): Promise<SnapshotRecord> {
    await using agent = await this.#reach();
    const { client } = agent;
    const target = await findTarget(client, options.target);
    const { engine, bytes } = options;
    return await client.core({ pid: target.pid, maxBytes: bytes, engine }, (done, total) =>
      hooks.progress?.(done, total),
    );
  }

  /** All points that agent or store know, or those of one id or prefix. */
  async points(reference?: string): Promise<readonly PointDocument[]> {
    await using agent = await this.#find();
    const views = new Map((await agent?.client.points())?.map((view) => [view.id, view]));
    this.#reconcile(agent, views);
    const records = new Map(this.#store.listPoints().map((record) => [record.id, record]));
    const ids = [...new Set([...records.keys(), ...views.keys()])].toSorted();
    const chosen = reference === undefined ? ids : [pickPoint(ids, reference)];
    return chosen.map((id) => pointDocument(views.get(id), records.get(id)));
  }

  watchPoints(reference: string | undefined, hooks: WatchHooks): Promise<void> {
    return watchPoints(() => this.points(reference), hooks);
  }

  async resumePoints(references: readonly string[]): Promise<readonly PointDocument[]> {
    await using agent = await this.#find();
    const views = await agent?.client.points();
    const known = (views ?? []).map(({ id }) => id).toSorted();
    const resumed: PointDocument[] = [];
    for (const id of references.map((reference) => pickPoint(known, reference))) {
      const view = await agent?.client.resume(id);
      const record = this.#store.getPoint(id);
      if (view !== undefined && record !== undefined) this.#note(view);
      resumed.push(pointDocument(view, record));
    }
    return resumed;
  }

  /** Resolves when the kernel holds no probe of them any more. */
  async removePoints(references: readonly string[]): Promise<readonly PointDocument[]> {
    await using agent = await this.#find();
    const views = new Map((await agent?.client.points())?.map((view) => [view.id, view]));
    this.#reconcile(agent, views);
    const records = new Map(this.#store.listPoints().map((record) => [record.id, record]));
    const known = [...new Set([...records.keys(), ...views.keys()])].toSorted();
    const ids = references.map((reference) => pickPoint(known, reference));
    const removed: PointDocument[] = [];
    const kept = ids.map((id) => records.get(id)).find((record) => record !== undefined && isOfFleet(record));
    if (kept !== undefined) throw keptElsewhere(kept.id);
    for (const id of ids) {
      const view = views.has(id) ? await agent?.client.disarm(id) : undefined;
      if (view !== undefined) this.#note(view);
      else if (records.get(id)?.status.phase !== 'ended') {
        this.#store.updatePoint(id, { phase: 'ended', why: 'removed', end: 'removed' });
      }
      const record = records.has(id) ? this.#store.findPoint(id) : undefined;
      removed.push(pointDocument(view, record));
    }
    return removed;
  }

  snapshots(filter: SnapshotFilter): Promise<readonly SnapshotSummary[]> {
    return this.#stored.snapshots(filter);
  }

  show(reference: SnapshotReference, options: ShowOptions): Promise<SnapshotDocument> {
    return this.#stored.show(reference, options);
  }

  evaluate(
    reference: SnapshotReference,
    expressions: readonly string[],
    options: EvaluateOptions,
  ): Promise<readonly (ValueDocument | StillframeError)[]> {
    return this.#stored.evaluate(reference, expressions, options);
  }

  exportCore(reference: SnapshotReference, file: string): Promise<Exported> {
    return this.#stored.exportCore(reference, file);
  }

  // What acts on its own needs a controller that runs on.
  readonly rules: ControllerApi['rules'] = () => noDaemon('rules');
  readonly testRule: ControllerApi['testRule'] = () => noDaemon('rules');
  readonly fireRule: ControllerApi['fireRule'] = () => noDaemon('rules');
  readonly incidents: ControllerApi['incidents'] = () => noDaemon('incidents');
  readonly incident: ControllerApi['incident'] = () => noDaemon('incidents');
  readonly exportIncident: ControllerApi['exportIncident'] = () => noDaemon('incidents');

  /** NB: the way to agents is imported when it is gone: what is stored can be shown without it. */
  async #reach(receive?: AgentOptions['receive']): Promise<ReachedAgent> {
    const { reachAgent } = await import('./agent.js');
    const { store, agent, tls, notify } = this.#options;
    return await reachAgent({
      store,
      address: agent,
      tls,
      notify,
      ...(receive === undefined ? {} : { receive }),
    });
  }

  async #find(): Promise<ReachedAgent | undefined> {
    const { findAgent } = await import('./agent.js');
    const { store, agent, tls, notify } = this.#options;
    return await findAgent({ store, address: agent, tls, notify });
  }

  /**
   * Brings what waits at the agent into the store, where there is one: snapshots of this store's own points. Points of other controllers are
   * theirs, and so is what a command of now or of a core waits for: what is fetched and acknowledged here would never come to them. What is
   * stored can be shown without it.
   */
  async #sync(): Promise<void> {
    try {
      await using agent = await this.#find();
      const own = this.#store.listPoints().filter((point) => !isOfFleet(point));
      // Without ids it would be asked for all.
      if (own.length > 0) await agent?.client.fetch(own.map(({ id }) => id));
    } catch (error) {
      const { message } = toStillframeError(error);
      this.#options.notify(`showing what is stored: ${message}`);
    }
  }

  /** Writes down what the agent says; points that it no longer has were lost with it. */
  #reconcile(agent: ReachedAgent | undefined, views: ReadonlyMap<string, AgentPoint>): void {
    for (const record of this.#store.listPoints()) {
      if (record.status.phase === 'ended' || record.status.phase === 'failed') continue;
      // A controller that runs as a daemon keeps it, whether it runs now or not.
      if (isOfFleet(record)) continue;
      const view = views.get(record.id);
      if (view !== undefined) this.#note(view);
      else if (isLost(record, agent)) {
        const why =
          agent === undefined
            ? 'the agent that held it runs no more'
            : 'the agent was restarted and has it no more';
        this.#store.updatePoint(record.id, { phase: 'ended', why });
      }
    }
  }

  #note(view: AgentPoint): void {
    this.#store.updatePoint(view.id, { phase: view.phase, why: view.why, end: view.end });
  }
}

function noDaemon(what: string): Promise<never> {
  return Promise.reject(
    new StillframeError('unsupported', `${what} are kept by a controller that runs as a daemon`, {
      hint: 'start one with `stillframe controller --rules FILE`, and name it with --controller ADDRESS',
    }),
  );
}

function keptElsewhere(id: string): StillframeError {
  return new StillframeError(
    'usage',
    `cannot remove point ${id}: a controller that runs as a daemon keeps it`,
    {
      hint: 'remove it there: `stillframe rm` with --controller ADDRESS',
    },
  );
}

/** Points of another agent are not this one's to judge. */
function isLost(record: PointRecord, agent: ReachedAgent | undefined): boolean {
  return agent === undefined || agent.client.address === record.agent;
}
