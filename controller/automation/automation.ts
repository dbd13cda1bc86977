/**
 * Automation put together: rules are loaded and watched, their triggers run, what they see is decided on, and what was decided goes on after
 * a restart. One in a controller. It keeps nothing that is not in the store first, so that it may be killed at any instant.
 */
import { StillframeError, toStillframeError } from '../../format/error.js';
import { didYouMean, nearMatches } from '../expression/near-match.js';
import type { FleetWatches } from '../fleet/fleet.js';
import type { Points } from '../fleet/points.js';
import type { ControllerApi, FireOptions } from '../service/controller-api.js';
import type { PointDocument } from '../service/documents.js';
import type { Store } from '../store/store.js';
import { AlertInbox, type AlertCounters, type AlertReceipt } from './alert-inbox.js';
import type { AlertPayload } from './alert-payload.js';
import type { AutomationLog } from './automation-log.js';
import { every, systemClock, type Clock } from './clock.js';
import { dryRun } from './dry-run.js';
import type { Firing } from './firing.js';
import type { IncidentLog } from './incident.js';
import type { IncidentDependencies } from './incident-run.js';
import { ownerOf, type Rule } from './rule.js';
import type { FiringDocument, RuleDocument, RuleTestDocument } from './rule-document.js';
import { dayMs } from './rule-engine.js';
import { RuleMemory } from './rule-memory.js';
import { RuleRunner, type RuleCounters, type RunnerDependencies } from './rule-runner.js';
import { RuleSet, type RunningRules } from './rule-set.js';
import { decodeState, initialState, type RuleState } from './rule-state.js';
import type { RuleStore } from './rule-store.js';
import type { RuleCheck } from './rules-file.js';
import { watchRules, type LoadedRules } from './rules-watch.js';
import { makeTrigger } from './triggers/make-trigger.js';
import { noteOf } from './triggers/metric.js';

export interface AutomationOptions {
  /** A file, or a directory of *.yaml. */
  readonly rulesPath: string;
  readonly points: Points;
  readonly watches: FleetWatches;
  readonly incidents: IncidentLog;
  readonly store: RuleStore;
  readonly snapshots: Pick<Store, 'listSnapshots'>;
  readonly api: Pick<ControllerApi, 'targets' | 'explain' | 'now'>;
  /** A signature of the stack that a snapshot was taken with; equal for equal stacks. */
  readonly stackOf: (snapshot: string) => Promise<string>;
  /** Tells the addresses of a rule's `notify`. Undefined: nobody is told. */
  readonly notify?: NonNullable<IncidentDependencies['notify']>;
  readonly log: AutomationLog;
  readonly clock?: Clock;
  /** How often the rules file is looked at. */
  readonly pollMs?: number;
}

/** For `/metrics`. */
export interface AutomationCounters {
  readonly rules: readonly RuleCounters[];
  readonly alerts: AlertCounters;
  readonly reloads: number;
  /** Files that have an error now. */
  readonly brokenFiles: number;
}

const tickMs = 1000;
const ownerPrefix = ownerOf('');

export class Automation implements Pick<ControllerApi, 'rules' | 'testRule' | 'fireRule'>, AsyncDisposable {
  readonly #options: AutomationOptions;
  readonly #clock: Clock;
  readonly #runners = new Map<string, RuleRunner>();
  readonly #set = new RuleSet();
  readonly #inbox: AlertInbox;
  readonly #dependencies: RunnerDependencies;
  #running: RunningRules = { rules: [], brokenFiles: [], isComplete: false };
  #unreadable = '';
  #reloads = 0;
  readonly #held: Disposable[] = [];

  /** Throws where the rules cannot be read at all; a file with an error is told by `rules` and the log. */
  static start(options: AutomationOptions): Automation {
    const automation = new Automation(options);
    automation.#start();
    return automation;
  }

  private constructor(options: AutomationOptions) {
    this.#options = options;
    const { points, watches, incidents, store, snapshots, api, stackOf, log } = options;
    const clock = options.clock ?? systemClock;
    this.#clock = clock;
    this.#dependencies = {
      points,
      incidents,
      api,
      clock,
      log,
      stackOf,
      snapshotsOf: (point) => snapshots.listSnapshots({ point }).map(({ id }) => id),
      ...(options.notify === undefined ? {} : { notify: options.notify }),
      makeTrigger: (rule) => makeTrigger(rule, { points, watches, clock }),
    };
    this.#inbox = new AlertInbox({
      store,
      clock,
      log,
      runners: () => this.#runners.values(),
      isComplete: () => this.#running.isComplete,
    });
  }

  rules(): Promise<readonly RuleDocument[]> {
    const problems = new Map(this.#running.brokenFiles.map(({ file, text }) => [file, text]));
    const documents = [...this.#runners.values()].flatMap((runner) => {
      const text = problems.get(runner.rule?.file ?? '') ?? this.#unreadable;
      const problem = text === '' ? undefined : `it runs as it was before, its file has an error: ${text}`;
      const document = runner.document(problem);
      return document === undefined ? [] : [document];
    });
    const broken = this.#running.brokenFiles
      .filter(({ hasRules }) => !hasRules)
      .map(({ file, error, text }): RuleDocument => ({
        name: file.slice(file.lastIndexOf('/') + 1),
        file,
        line: error.line,
        trigger: '',
        state: 'loading-failed',
        why: `no rule of it runs: ${text}`,
        firings: 0,
        refused: 0,
        failures: 0,
      }));
    return Promise.resolve(
      [...documents, ...broken].toSorted((a, b) =>
        a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line,
      ),
    );
  }

  async testRule(name: string): Promise<RuleTestDocument> {
    const { runner, rule } = this.#find(name);
    const { api } = this.#options;
    return await dryRun({ rule, state: runner.state, trigger: runner.trigger, api, clock: this.#clock });
  }

  /** Labels named `annotations.NAME` are annotations, and `self` is the process of a rule `where: self`. */
  fireRule(name: string, { labels, owner }: FireOptions): Promise<FiringDocument> {
    try {
      const { runner } = this.#find(name);
      const outcome = runner.offer(firingByHand(labels, owner));
      if (outcome.kind === 'failed') {
        throw new StillframeError('internal', `cannot fire rule "${name}": ${outcome.why}`);
      }
      const document = { rule: name, fired: outcome.kind === 'fired' };
      if (outcome.kind === 'refused') return Promise.resolve({ ...document, why: outcome.why });
      const { incident } = outcome;
      const why = document.fired ? '' : `incident ${incident} is open, and counts it`;
      return Promise.resolve({ ...document, why, incident });
    } catch (error) {
      return Promise.reject(toStillframeError(error));
    }
  }

  /** Alerts of the webhook: durable when it returns. Throws `limit`, with nothing kept, where too many wait. */
  acceptAlerts(payload: AlertPayload): AlertReceipt {
    return this.#inbox.accept(payload);
  }

  /** A request to the webhook that was refused. */
  noteRefusedRequest(reason: 'unauthenticated' | 'malformed'): void {
    this.#inbox.noteRefused(reason);
  }

  counters(): AutomationCounters {
    return {
      rules: [...this.#runners.values()].map((runner) => runner.counters()),
      alerts: this.#inbox.counters(),
      reloads: this.#reloads,
      brokenFiles: this.#running.brokenFiles.length + (this.#unreadable === '' ? 0 : 1),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const held of this.#held.splice(0).toReversed()) held[Symbol.dispose]();
    this.#inbox[Symbol.dispose]();
    await Promise.all([...this.#runners.values()].map((runner) => runner[Symbol.asyncDispose]()));
  }

  #start(): void {
    const { rulesPath, points, pollMs } = this.#options;
    const loaded: LoadedRules = watchRules(
      rulesPath,
      {
        changed: (check) => this.#reload(check),
        unreadable: (reason) => {
          this.#unreadable = reason;
          this.#options.log.error({ reason }, 'the rules cannot be read: they stay as they are');
        },
      },
      { clock: this.#clock, ...(pollMs === undefined ? {} : { pollMs }) },
    );
    this.#held.push(loaded);
    this.#running = this.#set.apply(loaded.check);
    this.#tellBroken();
    this.#recall();
    this.#held.push(
      points.listen({
        point: (point) => this.#ownerOf(point)?.incident.point(point),
        snapshot: (snapshot, point) => {
          if (point.incident === undefined) return;
          const incident = this.#ownerOf(point)?.incident;
          incident?.snapshot(snapshot.id, point.id, point.incident);
          incident?.point(point);
        },
      }),
    );
    this.#recover();
    this.#adopt();
    void this.#inbox.work();
    this.#held.push(every(this.#clock, tickMs, () => this.#tick()));
  }

  /** Brings back what the store has of each rule, whether the rule is there or not. */
  #recall(): void {
    const { store, log } = this.#options;
    const rules = new Map(this.#running.rules.map((rule) => [rule.name, rule]));
    for (const { rule: name, json } of store.listStates()) {
      let state: RuleState;
      try {
        state = decodeState(json);
      } catch (error) {
        const { message } = toStillframeError(error);
        log.error({ rule: name, reason: message }, 'the state of a rule cannot be read');
        const why = `its budgets are not known, ${message}; \`stillframe rules fire\` starts it afresh`;
        state = { ...initialState, suspension: { why, digest: rules.get(name)?.digest ?? '' } };
      }
      this.#runner(name, state);
    }
  }

  #runner(name: string, state: RuleState = initialState): RuleRunner {
    const known = this.#runners.get(name);
    if (known !== undefined) return known;
    const memory = new RuleMemory(name, state, this.#options.store);
    const runner = new RuleRunner(memory, this.#dependencies);
    this.#runners.set(name, runner);
    return runner;
  }

  #recover(): void {
    const open = this.#options.incidents.listOpen();
    for (const { rule } of open) this.#runner(rule);
    for (const [name, { incident }] of this.#runners) {
      incident.recover(open.filter(({ rule }) => rule === name).map(({ id }) => id));
    }
  }

  #reload(check: RuleCheck): void {
    this.#unreadable = '';
    this.#reloads++;
    this.#running = this.#set.apply(check);
    const { log } = this.#options;
    this.#tellBroken();
    if (check.errors.length === 0) log.info({ rules: this.#running.rules.length }, 'rules loaded');
    this.#adopt();
    void this.#inbox.work();
  }

  #tellBroken(): void {
    for (const { file, text, hasRules } of this.#running.brokenFiles) {
      const what = hasRules ? 'its rules run as they were before' : 'none of its rules runs';
      this.#options.log.error({ file, error: text }, `a rules file has an error: ${what}`);
    }
  }

  #adopt(): void {
    const { log } = this.#options;
    const wanted = new Map<string, Rule>(this.#running.rules.map((rule) => [rule.name, rule]));
    for (const [name, runner] of this.#runners) {
      if (runner.rule !== undefined && !wanted.has(name)) {
        log.info({ rule: name }, 'rule removed');
        runner.drop();
      }
    }
    for (const [name, rule] of wanted) {
      const runner = this.#runner(name);
      if (runner.rule?.digest !== rule.digest) log.info({ rule: name, file: rule.file }, 'rule runs');
      runner.adopt(rule);
    }
    if (this.#running.isComplete) this.#sweepPoints();
  }

  /** Count points of rules that are gone, or count elsewhere, which a controller that was killed did not remove. */
  #sweepPoints(): void {
    const { points, log } = this.#options;
    for (const point of points.list()) {
      const { owner, note, kind, state, id } = point;
      if (kind !== 'count' || state === 'ended' || point.incident !== undefined) continue;
      if (owner?.startsWith(ownerPrefix) !== true) continue;
      const rule = this.#runners.get(owner.slice(ownerPrefix.length))?.rule;
      const isWanted =
        rule?.enabled === true && rule.when.kind === 'metric' && note === noteOf(rule.name, rule.when);
      if (isWanted) continue;
      points.remove(id, 'no rule counts here any more').catch((error: unknown) => {
        log.warn({ point: id, reason: toStillframeError(error).message }, 'cannot remove a count point');
      });
    }
  }

  #ownerOf({ owner }: PointDocument): RuleRunner | undefined {
    return owner?.startsWith(ownerPrefix) === true
      ? this.#runners.get(owner.slice(ownerPrefix.length))
      : undefined;
  }

  /** Never throws: what the store cannot take now it is given again a second later. */
  #tick(): void {
    try {
      for (const runner of this.#runners.values()) {
        runner.tick();
        if (runner.isIdle) this.#forget(runner);
      }
      this.#inbox.tick();
    } catch (error) {
      const { message, code } = toStillframeError(error);
      this.#options.log.error({ code, reason: message }, 'cannot tidy up the store of rules');
    }
  }

  /** Budgets outlive their rule: one that is removed and put back has not got them anew. */
  #forget(runner: RuleRunner): void {
    const { firedMs, cooldownUntilMs } = runner.state;
    const nowMs = this.#clock.nowMs();
    if (cooldownUntilMs > nowMs || firedMs.some((at) => at > nowMs - dayMs) || !this.#running.isComplete)
      return;
    this.#options.store.removeState(runner.name);
    this.#runners.delete(runner.name);
  }

  #find(name: string): { readonly runner: RuleRunner; readonly rule: Rule } {
    const runner = this.#runners.get(name);
    if (runner?.rule !== undefined) return { runner, rule: runner.rule };
    const names = this.#running.rules.map((rule) => rule.name);
    const near = nearMatches(name, names);
    throw new StillframeError('not-found', `no rule "${name}"`, {
      candidates: near.length > 0 ? near : names.slice(0, 10),
      hint: didYouMean(near) ?? '`stillframe rules ls` lists them',
    });
  }
}

const maxLabels = 64;
const maxValueLength = 1024;

/** Throws `usage`. */
function firingByHand(all: Readonly<Record<string, string>>, owner: string): Firing {
  const labels: Record<string, string> = {};
  const annotations: Record<string, string> = {};
  const entries = Object.entries(all);
  if (entries.length > maxLabels) {
    throw new StillframeError('usage', `cannot fire with ${entries.length} labels, at most ${maxLabels}`);
  }
  for (const [key, value] of entries) {
    const match = /^(annotations\.)?([A-Za-z_][A-Za-z0-9_]{0,127})$/.exec(key);
    const name = match?.[2];
    if (name === undefined || name === '__proto__' || value.length > maxValueLength) {
      throw new StillframeError('usage', `cannot fire with the label "${key.slice(0, 60)}"`, {
        hint: 'a label is NAME=VALUE, or annotations.NAME=VALUE',
      });
    }
    (match?.[1] === undefined ? labels : annotations)[name] = value;
  }
  const by = owner === '' ? 'by hand' : `by ${owner}`;
  const { self } = labels;
  return {
    trigger: 'manual',
    text: `fired ${by}`,
    labels,
    annotations,
    facts: { owner },
    ...(self === undefined ? {} : { self }),
  };
}
