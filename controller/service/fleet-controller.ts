/**
 * The controller over a fleet: what a daemon serves. It looks at processes through all agents that are connected, leaves points to their
 * keeper, and answers for snapshots from the store.
 */
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Fleet, FleetAgent } from '../fleet/fleet.js';
import type { PointKeeper } from '../fleet/point-keeper.js';
import { findOneInFleet, noTarget, searchTargets } from '../fleet/target-search.js';
import { notConnected } from '../fleet/watches.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { EvaluateOptions, ShowOptions } from '../snapshot/show.js';
import type { SnapshotFilter, Store } from '../store/store.js';
import type { ValueDocument } from '../types/value-document.js';
import type {
  Asker,
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
  SnapshotId,
  SnapshotReference,
  WatchHooks,
} from './controller-api.js';
import { debugInfoOf } from './debug-info.js';
import {
  doctorDocument,
  targetDocument,
  type DoctorDocument,
  type ExplainDocument,
  type PointDocument,
  type SnapshotSummary,
  type TargetDocument,
} from './documents.js';
import { planOnEachHost } from './each-host.js';
import { explainInFleet } from './fleet-explain.js';
import { snapInFleet } from './fleet-snap.js';
import { LogRun } from './log.js';
import type { MetricDocument } from './metric-document.js';
import { checkMetricOptions, runMetric } from './metric.js';
import { isLocal, nowOrder } from './planning.js';
import { pickPoint } from './point-reference.js';
import { StoredSnapshots } from './stored-snapshots.js';
import type { SymbolAnswers } from './symbol-answers.js';

/** What a rule engine answers. */
export type AutomationApi = Pick<
  ControllerApi,
  'rules' | 'testRule' | 'fireRule' | 'incidents' | 'incident' | 'exportIncident'
>;

export interface FleetControllerOptions {
  readonly fleet: Fleet;
  readonly points: PointKeeper;
  readonly store: Store;
  readonly symbols: SymbolAnswers;
  /** Undefined: each of its methods is refused as `unsupported`. */
  readonly automation?: AutomationApi;
}

export class FleetController implements ControllerApi {
  readonly #options: FleetControllerOptions;
  readonly #stored: StoredSnapshots;
  readonly #automation: AutomationApi;

  constructor(options: FleetControllerOptions) {
    this.#options = options;
    const { store, symbols } = options;
    // Snapshots are in the store as soon as an agent has them.
    const sync = (): Promise<void> => Promise.resolve();
    this.#stored = new StoredSnapshots({ store, symbols, sync, files: false });
    this.#automation = options.automation ?? withoutRules;
  }

  async doctor(): Promise<readonly DoctorDocument[]> {
    const { fleet } = this.#options;
    const agents = new Map(fleet.agents().map((agent) => [agent.identity, agent]));
    return await Promise.all(
      fleet.statuses().map(async ({ identity, host, address, error }) => {
        const agent = agents.get(identity);
        if (agent === undefined) return unknownDoctor({ host, address }, notConnected(host, error ?? ''));
        try {
          const engines = await agent.client.probeEngines();
          const document = doctorDocument(agent.client.facts, { address, temporary: false }, engines);
          return { ...document, host };
        } catch (thrown) {
          return unknownDoctor({ host, address }, toStillframeError(thrown).message);
        }
      }),
    );
  }

  /** Those that fit, or without a selector all that can be looked into. */
  async targets(selector?: string): Promise<readonly TargetDocument[]> {
    const { fleet } = this.#options;
    const found = await searchTargets(fleet, selector);
    if (selector !== undefined && found.length === 0) throw await noTarget(fleet, selector);
    const shown = selector === undefined ? found.filter(({ target }) => target.refusal === '') : found;
    const local = new Map<FleetAgent, boolean>();
    return shown.map(({ agent, target }) => {
      const isHere = local.get(agent) ?? isLocal(agent.client);
      local.set(agent, isHere);
      return { host: agent.host, ...targetDocument(target, isHere ? debugInfoOf(target) : undefined) };
    });
  }

  async explain(options: ExplainOptions, asker: Asker = {}): Promise<ExplainDocument> {
    refuseFiles(options.exe);
    return await explainInFleet(this.#options, options, asker);
  }

  async snap(options: SnapOptions, hooks: SnapHooks): Promise<SnapOutcome> {
    refuseFiles(options.exe);
    return await snapInFleet(this.#options, options, hooks);
  }

  async metric(options: MetricOptions, hooks: MetricHooks): Promise<MetricDocument> {
    refuseFiles(options.exe);
    checkMetricOptions(options);
    const { fleet, symbols } = this.#options;
    return await runMetric(await planOnEachHost(fleet, options, symbols), options, hooks);
  }

  async log(options: LogOptions, hooks: LogHooks): Promise<LogSummary> {
    refuseFiles(options.exe);
    const { fleet, symbols } = this.#options;
    using run = new LogRun(options, hooks, symbols);
    using _taken = fleet.take(run.id, (announced) => run.receive(announced));
    return await run.run(await planOnEachHost(fleet, run.pointOptions, symbols));
  }

  async now(options: NowOptions): Promise<SnapshotId> {
    const { agent, target } = await findOneInFleet(this.#options.fleet, options.target);
    return await agent.client.now(nowOrder(options, target.pid));
  }

  async core(options: CoreOptions, hooks: CoreHooks): Promise<SnapshotId> {
    const { agent, target } = await findOneInFleet(this.#options.fleet, options.target);
    const { engine, bytes } = options;
    return await agent.client.core(
      { pid: target.pid, maxBytes: bytes, engine },
      (done, total) => hooks.progress?.(done, total),
      hooks.signal,
    );
  }

  async points(reference?: string): Promise<readonly PointDocument[]> {
    const { points } = this.#options;
    await points.refresh();
    return chosenOf(points.list(), reference);
  }

  async watchPoints(reference: string | undefined, hooks: WatchHooks): Promise<void> {
    const { points } = this.#options;
    const { signal } = hooks;
    await points.refresh();
    const first = chosenOf(points.list(), reference);
    const only = reference === undefined ? undefined : first[0]?.id;
    if (signal.aborted) return;
    hooks.points(first);
    using _listening = points.listen({
      point: (point) => {
        if (!signal.aborted && (only === undefined || point.id === only)) hooks.points([point]);
      },
    });
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  async removePoints(references: readonly string[]): Promise<readonly PointDocument[]> {
    const { points, store } = this.#options;
    const known = store.listPoints().map(({ id }) => id);
    const ids = [...new Set(references.map((reference) => pickPoint(known, reference)))];
    return await Promise.all(ids.map((id) => points.remove(id, 'removed')));
  }

  async resumePoints(references: readonly string[]): Promise<readonly PointDocument[]> {
    const { points, store } = this.#options;
    const known = store.listPoints().map(({ id }) => id);
    const ids = [...new Set(references.map((reference) => pickPoint(known, reference)))];
    return await Promise.all(ids.map((id) => points.resume(id)));
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

  readonly rules: ControllerApi['rules'] = () => this.#automation.rules();
  readonly testRule: ControllerApi['testRule'] = (name) => this.#automation.testRule(name);
  readonly fireRule: ControllerApi['fireRule'] = (name, options) => this.#automation.fireRule(name, options);
  readonly incidents: ControllerApi['incidents'] = (filter) => this.#automation.incidents(filter);
  readonly incident: ControllerApi['incident'] = (reference) => this.#automation.incident(reference);
  readonly exportIncident: ControllerApi['exportIncident'] = (reference, file) =>
    this.#automation.exportIncident(reference, file);
}

function chosenOf(points: readonly PointDocument[], reference: string | undefined): readonly PointDocument[] {
  if (reference === undefined) return points;
  const id = pickPoint(
    points.map((point) => point.id),
    reference,
  );
  return points.filter((point) => point.id === id);
}

/** A path means something to who types it, and a controller is somewhere else. */
function refuseFiles(exe: string | undefined): void {
  if (exe === undefined) return;
  throw new StillframeError(
    'unsupported',
    'a controller opens no files of its callers: --exe cannot be given',
    {
      hint: 'put the file where the process has it, on the host of the controller; its build id must be the same',
    },
  );
}

function unknownDoctor(
  { host, address }: { readonly host: string; readonly address: string },
  error: string,
): DoctorDocument {
  const agent = { address, pid: 0, uid: 0, temporary: false };
  return { host, kernel: '', architecture: '', version: '', agent, engines: [], error };
}

const noRules = (): Promise<never> =>
  Promise.reject(
    new StillframeError('unsupported', 'this controller has no rules: start it with --rules FILE'),
  );

const withoutRules: AutomationApi = {
  rules: noRules,
  testRule: noRules,
  fireRule: noRules,
  incidents: noRules,
  incident: noRules,
  exportIncident: noRules,
};
