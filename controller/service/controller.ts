/**
 * The controller as an object: what every face calls. It keeps nothing but the store, and reaches agents when it must.
 */
import { copyFileSync, existsSync, statSync } from 'node:fs';
import { isAbsent } from '../../format/absent.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { isIdentifier } from '../../format/identifier.js';
import { defaultLimits } from '../../format/limits.js';
import type { AgentPoint } from '../rpc/agent-facts.js';
import type { TlsFiles } from '../rpc/tls.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import { bringDebugFiles } from '../snapshot/fetch-debug-files.js';
import type { OpenSymbols } from '../snapshot/module.js';
import { openSnapshot, type Snapshot } from '../snapshot/open.js';
import {
  evaluateExpressions,
  showSnapshot,
  type EvaluateOptions,
  type ShowOptions,
} from '../snapshot/show.js';
import type { PointRecord, SnapshotFilter, SnapshotRecord, Store } from '../store/store.js';
import type { ValueDocument } from '../types/value-document.js';
import { findAgent, reachAgent, type ReachedAgent } from './agent.js';
import {
  doctorDocument,
  measuredDocument,
  pointDocument,
  snapshotSummary,
  targetDocument,
  type DoctorDocument,
  type ExplainDocument,
  type PointDocument,
  type SnapshotSummary,
  type TargetDocument,
} from './documents.js';
import { debugInfoOf } from './debug-info.js';
import { isLocal, planFor } from './planning.js';
import type {
  ExplainOptions,
  NowOptions,
  SnapHooks,
  SnapOptions,
  SnapOutcome,
  SnapshotReference,
} from './controller-api.js';
import { snap } from './snap.js';
import { asksDebuginfod, bringDebugFile, debugDirectories } from './symbols.js';
import { findTarget, findTargets } from './targets.js';

export interface ControllerOptions {
  readonly store: Store;
  readonly openSymbols: OpenSymbols;
  /** Undefined: the default socket, or an agent for the length of the call. */
  readonly agent: string | undefined;
  readonly tls: TlsFiles | undefined;
  /** One line for people, on its way. */
  readonly notify: (message: string) => void;
}

export class Controller {
  readonly #options: ControllerOptions;
  readonly #store: Store;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  async doctor(): Promise<DoctorDocument> {
    await using agent = await this.#reach();
    const { client, temporary } = agent;
    return doctorDocument(client.facts, { address: client.address, temporary }, await client.probeEngines());
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
    const planned = await planFor(client, options, this.#options.openSymbols);
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
    const { store, openSymbols } = this.#options;
    return await snap({ agent, store, openSymbols, reconnect: () => this.#reach() }, options, hooks);
  }

  async now(options: NowOptions): Promise<SnapshotRecord> {
    await using agent = await this.#reach();
    const { client } = agent;
    const target = await findTarget(client, options.target);
    const { stackBytes, bytes } = options.bounds;
    return await client.now({
      pid: target.pid,
      tids: options.tids,
      stackBytes: stackBytes ?? defaultLimits.defaultStackBytes,
      maxBytes: bytes ?? defaultNowBytes,
      engine: options.engine,
    });
  }

  /** All points that agent or store know, or those of one id or prefix. */
  async points(reference?: string): Promise<readonly PointDocument[]> {
    await using agent = await this.#find();
    const views = new Map((await agent?.client.points())?.map((view) => [view.id, view]));
    this.#reconcile(agent, views);
    const records = new Map(this.#store.listPoints().map((record) => [record.id, record]));
    const ids = [...new Set([...records.keys(), ...views.keys()])].toSorted();
    const chosen = reference === undefined ? ids : [pick(ids, reference)];
    return chosen.map((id) => pointDocument(views.get(id), records.get(id)));
  }

  /** Resolves when the kernel holds no probe of them any more. */
  async removePoints(references: readonly string[]): Promise<readonly PointDocument[]> {
    await using agent = await this.#find();
    const views = new Map((await agent?.client.points())?.map((view) => [view.id, view]));
    this.#reconcile(agent, views);
    const records = new Map(this.#store.listPoints().map((record) => [record.id, record]));
    const known = [...new Set([...records.keys(), ...views.keys()])].toSorted();
    const ids = references.map((reference) => pick(known, reference));
    const removed: PointDocument[] = [];
    for (const id of ids) {
      const view = views.has(id) ? await agent?.client.disarm(id) : undefined;
      if (view !== undefined) this.#note(view);
      else if (records.get(id)?.status.phase !== 'ended') {
        this.#store.updatePoint(id, { phase: 'ended', why: 'removed' });
      }
      const record = records.has(id) ? this.#store.findPoint(id) : undefined;
      removed.push(pointDocument(view, record));
    }
    return removed;
  }

  async snapshots(filter: SnapshotFilter): Promise<readonly SnapshotSummary[]> {
    await this.#sync();
    return this.#store.listSnapshots(filter).map(snapshotSummary);
  }

  async show(reference: SnapshotReference, options: ShowOptions): Promise<SnapshotDocument> {
    using snapshot = await this.#open(reference);
    // Nobody hit anything in a "now": all its threads are what was asked for.
    const allThreads = options.allThreads ?? snapshot.core.note?.point === '';
    return showSnapshot(snapshot, { id: reference.name, ...options, allThreads });
  }

  async evaluate(
    reference: SnapshotReference,
    expressions: readonly string[],
    options: EvaluateOptions,
  ): Promise<readonly (ValueDocument | StillframeError)[]> {
    using snapshot = await this.#open(reference);
    return evaluateExpressions(snapshot, expressions, options);
  }

  /** Copies the core file; gives its size. */
  async exportCore(
    reference: SnapshotReference,
    file: string,
  ): Promise<{ readonly id: string; readonly bytes: number }> {
    const { path, id } = await this.#locate(reference.name);
    copyFileSync(path, file);
    return { id, bytes: statSync(file).size };
  }

  #reach(): Promise<ReachedAgent> {
    const { store, agent, tls, notify } = this.#options;
    return reachAgent({ store, address: agent, tls, notify });
  }

  #find(): Promise<ReachedAgent | undefined> {
    const { store, agent, tls, notify } = this.#options;
    return findAgent({ store, address: agent, tls, notify });
  }

  /** Brings what waits at the agent into the store, where there is one. What is stored can be shown without it. */
  async #sync(): Promise<void> {
    try {
      await using agent = await this.#find();
      await agent?.client.fetch();
    } catch (error) {
      const { message } = toStillframeError(error);
      this.#options.notify(`showing what is stored: ${message}`);
    }
  }

  async #open(reference: SnapshotReference): Promise<Snapshot> {
    const { path } = await this.#locate(reference.name);
    const { exe, sysroot, debugDir } = reference;
    const directories = debugDir === undefined ? undefined : [debugDir, ...debugDirectories];
    const snapshot = openSnapshot(path, {
      exe,
      sysroot,
      openSymbols: (elf, file) => this.#options.openSymbols(elf, file, directories),
    });
    if (asksDebuginfod) await bringDebugFiles(snapshot, bringDebugFile);
    const program = exe === undefined ? undefined : snapshot.executable?.elf;
    if (program === undefined || !isAbsent(program)) return snapshot;
    // What was named explicitly and does not fit is a mistake, and not something that this snapshot lacks.
    snapshot[Symbol.dispose]();
    const code = existsSync(exe ?? '') ? 'mismatch' : 'not-found';
    throw new StillframeError(code, program.detail, { hint: 'give the file that was running with --exe' });
  }

  async #locate(name: string): Promise<{ readonly path: string; readonly id: string }> {
    if (isPath(name)) return { path: name, id: name };
    // A whole id never means anything else; `last` and a prefix may, once what waits at the agent has come.
    if (!(isIdentifier(name) && this.#store.hasSnapshot(name))) await this.#sync();
    try {
      const record = this.#store.findSnapshot(name);
      return { path: this.#store.pathOf(record), id: record.id };
    } catch (error) {
      if (name !== 'last' && existsSync(name)) return { path: name, id: name };
      throw error;
    }
  }

  /** Writes down what the agent says; points that it no longer has were lost with it. */
  #reconcile(agent: ReachedAgent | undefined, views: ReadonlyMap<string, AgentPoint>): void {
    for (const record of this.#store.listPoints()) {
      if (record.status.phase === 'ended' || record.status.phase === 'failed') continue;
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
    this.#store.updatePoint(view.id, { phase: view.phase, why: view.why });
  }
}

const defaultNowBytes = 8 * 1024 * 1024;

/** Points of another agent are not this one's to judge. */
function isLost(record: PointRecord, agent: ReachedAgent | undefined): boolean {
  return agent === undefined || agent.client.address === record.agent;
}

const isPath = (name: string): boolean => name.includes('/');

function pick(ids: readonly string[], reference: string): string {
  const found = ids.includes(reference) ? [reference] : ids.filter((id) => id.startsWith(reference));
  const [first, ...others] = reference === '' ? [] : found;
  if (first !== undefined && others.length === 0) return first;
  if (first === undefined) {
    throw new StillframeError('not-found', `no point "${reference}"`, {
      candidates: ids.slice(-10),
      hint: '`stillframe points` lists them',
    });
  }
  throw new StillframeError('ambiguous', `"${reference}" fits ${found.length} points`, {
    candidates: found,
    hint: 'give more characters of the id',
  });
}
