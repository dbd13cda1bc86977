/**
 * The open incident of one rule, from its opening to its end: steps in order, snapshots counted as they come, and when one of its bounds is
 * reached, or there is nothing left to wait for, its points removed and the incident closed. Takes up where a killed controller left it.
 */
import { toStillframeError } from '../../format/error.js';
import type { Points } from '../fleet/points.js';
import type { ControllerApi } from '../service/controller-api.js';
import type { PointDocument } from '../service/documents.js';
import type { AutomationLog } from './automation-log.js';
import type { Clock } from './clock.js';
import type { Firing } from './firing.js';
import type { IncidentEvent, IncidentLog } from './incident.js';
import {
  changeIncident,
  closeIncident,
  countSnapshot,
  endingOf,
  resolveAlert,
  type Ending,
} from './rule-engine.js';
import { PointStandings, wasArmed } from './point-standings.js';
import { RepeatNews } from './repeat-news.js';
import type { RuleMemory } from './rule-memory.js';
import type { OpenIncident, RuleState, StoredTarget } from './rule-state.js';
import type { NotifyTarget } from './rule.js';
import { resumeStep, runStep, type StepContext } from './step-run.js';
import { within } from './within.js';

export interface IncidentDependencies {
  readonly points: Points;
  readonly incidents: IncidentLog;
  readonly api: Pick<ControllerApi, 'targets' | 'now'>;
  readonly clock: Clock;
  readonly log: AutomationLog;
  /** A signature of the stack that a snapshot was taken with; equal for equal stacks. */
  readonly stackOf: (snapshot: string) => Promise<string>;
  /** Tells somebody outside; durable when it returns, and the same news again are told once. Undefined: nobody is told. */
  readonly notify?: (incident: string, news: IncidentNews, targets: readonly NotifyTarget[]) => void;
  /** Ids of the snapshots of a point that are stored. */
  readonly snapshotsOf: (point: string) => readonly string[];
}

export interface IncidentNews {
  readonly event: 'incident-opened' | 'snapshot' | 'incident-closed';
  readonly timeMs: number;
  readonly snapshot?: string;
}

const stackTimeoutMs = 60_000;
const removeTimeoutMs = 30_000;
const disposeTimeoutMs = 3000;

export class IncidentRun implements AsyncDisposable {
  readonly #memory: RuleMemory;
  readonly #dependencies: IncidentDependencies;
  readonly #standings = new PointStandings();
  readonly #repeats = new RepeatNews();
  /** One snapshot after the other, in the order in which they came. */
  #taking: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** Incidents whose steps are under way: a step may outlive its incident. */
  readonly #stepping = new Set<string>();
  #isClosing = false;
  #isOver = false;

  constructor(memory: RuleMemory, dependencies: IncidentDependencies) {
    this.#memory = memory;
    this.#dependencies = dependencies;
  }

  /** The state says that there is one; it is written down, and its steps begin. `decided`: the state that opens it. */
  open(decided: RuleState, alert: number | undefined): string {
    const { incidents, clock } = this.#dependencies;
    const memory = this.#memory;
    const id = memory.atomically(() => {
      // NB: before the incident itself, so that its budget is charged even where they are not one transaction.
      memory.write(decided, alert);
      return incidents.open(causeOf(decided), clock.nowMs());
    });
    this.#begin(id, { isNew: true });
    return id;
  }

  /** After a start: goes on with the incident that the state has. `open`: those of this rule that the log has. */
  recover(open: readonly string[]): void {
    const memory = this.#memory;
    const { incidents, clock, log } = this.#dependencies;
    const { incident } = memory.state;
    const known = incident === null ? undefined : incident.id === '' ? open[0] : incident.id;
    for (const orphan of open) {
      if (orphan !== known) this.#dropOrphan(orphan);
    }
    if (incident === null) return;
    const nowMs = clock.nowMs();
    if (known === undefined)
      log.warn({ rule: memory.rule }, 'opening the incident that was decided on before');
    const id = known ?? incidents.open(incident.cause, nowMs);
    memory.write(
      changeIncident(memory.state, ({ steps, openedMs }) => ({
        steps: steps.map((step) => resumeStep(step, openedMs, nowMs)),
      })),
    );
    this.#begin(id, { isNew: false });
  }

  #dropOrphan(id: string): void {
    const { incidents, clock, log } = this.#dependencies;
    const { rule } = this.#memory;
    log.warn({ rule, incident: id }, 'closing an incident that its rule does not know');
    for (const point of this.#pointsOf(id)) {
      this.#remove(point, 'its incident is over').catch((error: unknown) => {
        this.#complain('cannot remove a point of an incident that is over', error);
      });
    }
    incidents.close(id, 'its rule does not know of it any more', clock.nowMs());
  }

  /** The trigger fired while it is open: the state has it already. */
  repeated(firing: Firing): void {
    this.#repeats.note(firing.text);
    this.#tellRepeats(false);
  }

  /** False where it is no alert of the open incident. `alert`: the message that says so is done. */
  resolved(key: string, text: string, alert: number): boolean {
    const { state, known } = resolveAlert(this.#memory.state, key);
    if (!known) return false;
    this.#memory.atomically(() => {
      this.#memory.write(state, alert);
      this.#tell('resolved', text);
    });
    this.#checkEnd();
    return true;
  }

  /** One of its points, as it stands now. Never throws. */
  point(point: PointDocument): void {
    const { incident } = this.#memory.state;
    if (incident === null || point.incident !== incident.id) return;
    const text = this.#standings.see(point);
    if (!incident.armed && wasArmed(point)) {
      this.#memory.note(changeIncident(this.#memory.state, () => ({ armed: true })));
    }
    try {
      if (text !== undefined) this.#tell('point', text, { point: point.id, state: point.state });
    } catch (error) {
      this.#complain('cannot note how a point stands', error);
    }
    this.#checkEnd();
  }

  /** A snapshot of a point is stored that this rule set: for the incident that is open, or for one that is over. */
  snapshot(id: string, point: string, incident: string): void {
    this.#waiting++;
    this.#taking = this.#taking
      .then(() => this.#take({ id, point, incident }))
      .catch((error: unknown) => this.#complain('cannot count a snapshot', error))
      .finally(() => {
        this.#waiting--;
        this.#checkEnd();
      });
  }

  /** About once a second. */
  tick(): void {
    const { incident } = this.#memory.state;
    if (incident === null) return;
    const { id, closing } = incident;
    this.#tellRepeats(false);
    if (id === '') this.recover(this.#openOnes());
    else if (closing !== '') void this.#close();
    else void this.#runSteps(id);
  }

  /** An opening that failed half-way is taken up as after a restart. */
  #openOnes(): readonly string[] {
    const open = this.#dependencies.incidents.listOpen();
    return open.filter(({ rule }) => rule === this.#memory.rule).map(({ id }) => id);
  }

  /** What is under way is left to the next controller, as if this one had been killed; but what is nearly done may end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    const { clock } = this.#dependencies;
    await within(this.#taking, { ms: disposeTimeoutMs, clock, what: 'counting snapshots' }).catch(
      () => undefined,
    );
  }

  #begin(id: string, { isNew }: { readonly isNew: boolean }): void {
    const memory = this.#memory;
    if (memory.state.incident?.id !== id) memory.write(changeIncident(memory.state, () => ({ id })));
    this.#notify({ event: 'incident-opened' });
    this.#standings.clear();
    this.#repeats.begin(memory.state.incident?.repeated ?? 0);
    for (const point of this.#pointsOf(id)) {
      this.point(point);
      for (const snapshot of this.#dependencies.snapshotsOf(point.id)) this.snapshot(snapshot, point.id, id);
    }
    if (memory.state.incident?.closing !== '') void this.#close();
    // After a start the agents are given until the next tick to come.
    else if (isNew) void this.#runSteps(id);
  }

  #pointsOf(incident: string): readonly PointDocument[] {
    return this.#dependencies.points.list().filter((point) => point.incident === incident);
  }

  /** Those that wait. Never throws. */
  async #runSteps(id: string): Promise<void> {
    if (this.#stepping.has(id)) return;
    this.#stepping.add(id);
    try {
      for (;;) {
        if (this.#isOver) return;
        const index = this.#current(id)?.steps.findIndex(({ state }) => state === 'waiting') ?? -1;
        if (index < 0) break;
        await runStep(this.#stepContext(id), index);
        this.#stopOnFailure(id, index);
      }
    } catch (error) {
      this.#complain('cannot go on with the steps of an incident', error);
    } finally {
      this.#stepping.delete(id);
    }
    this.#checkEnd();
  }

  #stepContext(id: string): StepContext {
    const { points, api, clock } = this.#dependencies;
    return {
      memory: this.#memory,
      points,
      api,
      clock,
      tell: (kind, text, facts) => this.#add(id, kind, text, facts),
      goesOn: () => this.#current(id) !== undefined,
      isOver: () => this.#isOver,
      notifySnapshot: (snapshot) => this.#notify({ event: 'snapshot', snapshot }),
      pointSet: (point) => this.point(point),
    };
  }

  #current(id: string): OpenIncident | undefined {
    const { incident } = this.#memory.state;
    return incident?.id === id && incident.closing === '' ? incident : undefined;
  }

  #stopOnFailure(id: string, index: number): void {
    const incident = this.#current(id);
    if (incident === undefined || !incident.stopOnFailure || incident.steps[index]?.state !== 'failed')
      return;
    const text = `not taken: step ${index + 1} failed, and stop-on-failure is set`;
    this.#memory.write(
      changeIncident(this.#memory.state, ({ steps }) => ({
        steps: steps.map((step) => (step.state === 'waiting' ? { ...step, state: 'failed', text } : step)),
      })),
    );
  }

  async #take(snapshot: {
    readonly id: string;
    readonly point: string;
    readonly incident: string;
  }): Promise<void> {
    const { id, point, incident: of } = snapshot;
    if (this.#memory.state.incident?.counted.includes(id) === true) return;
    const stack = await this.#stackOf(id);
    if (this.#isOver) return;
    const current = this.#current(of);
    const facts = { snapshot: id, point };
    if (current === undefined) {
      this.#add(of, 'snapshot', `snapshot ${id} of point ${point} came after the end`, facts);
      return;
    }
    const { state, isNew, isNewStack } = countSnapshot(this.#memory.state, id, stack);
    if (!isNew) return;
    const { counted, seenStacks } = state.incident ?? { counted: [], seenStacks: [] };
    this.#memory.atomically(() => {
      this.#memory.write(state);
      const unknown = stack === '' ? ', its stack could not be told' : '';
      this.#tell(
        'snapshot',
        `snapshot ${id} of point ${point}, ${counted.length} of ${current.hits}${unknown}`,
        {
          ...facts,
          stack,
        },
      );
      this.#notify({ event: 'snapshot', snapshot: id });
      if (isNewStack) {
        const text = `snapshot ${id} has a stack of its own, ${seenStacks.length} of ${current.stacks}`;
        this.#tell('new-stack', text, { ...facts, stack });
      }
    });
    this.#checkEnd();
  }

  async #stackOf(snapshot: string): Promise<string> {
    const { clock, stackOf, log } = this.#dependencies;
    try {
      const what = `unwinding snapshot ${snapshot}`;
      return await within(stackOf(snapshot), { ms: stackTimeoutMs, clock, what });
    } catch (error) {
      log.warn({ rule: this.#memory.rule, snapshot, reason: toStillframeError(error).message }, 'no stack');
      return '';
    }
  }

  #checkEnd(): void {
    const { incident } = this.#memory.state;
    if (incident === null || incident.closing !== '' || this.#isOver) return;
    const nowMs = this.#dependencies.clock.nowMs();
    const points = this.#standings.list(nowMs, { counted: incident.counted.length, onTheWay: this.#waiting });
    const ending = endingOf(incident, points, nowMs);
    if (ending === undefined) return;
    try {
      this.#end(ending);
    } catch (error) {
      this.#complain('cannot end an incident', error);
    }
  }

  #end({ why, bound }: Ending): void {
    this.#memory.atomically(() => {
      this.#memory.write(changeIncident(this.#memory.state, () => ({ closing: why })));
      if (bound !== undefined) this.#tell('bound', why, { bound });
    });
    void this.#close();
  }

  /** Never throws; what fails is tried again with the next tick. */
  async #close(): Promise<void> {
    const { incident } = this.#memory.state;
    if (this.#isClosing || incident === null) return;
    this.#isClosing = true;
    try {
      const left = this.#pointsOf(incident.id).filter(({ state }) => state !== 'ended');
      await Promise.all(left.map((point) => this.#remove(point, incident.closing)));
      await this.#taking;
      if (this.#isOver) return;
      this.#tellRepeats(true);
      this.#finish(incident);
    } catch (error) {
      this.#complain('cannot close an incident', error);
    } finally {
      this.#isClosing = false;
    }
  }

  #finish(incident: OpenIncident): void {
    const { incidents, clock, log } = this.#dependencies;
    const memory = this.#memory;
    const closed = closeIncident(memory.state);
    memory.atomically(() => {
      const why = closed.state.suspension?.why;
      if (closed.suspended && why !== undefined)
        this.#add(incident.id, 'bound', `rule ${memory.rule} is ${why}`);
      // NB: before the state forgets it: closing again is closing once, and the reason is still known.
      incidents.close(incident.id, incident.closing, clock.nowMs());
      this.#notify({ event: 'incident-closed' });
      memory.write(closed.state);
    });
    this.#standings.clear();
    const facts = { rule: memory.rule, incident: incident.id, why: incident.closing };
    if (closed.failed) log.warn(facts, 'incident closed, nothing came of it');
    else log.info(facts, 'incident closed');
    if (closed.suspended)
      log.error({ rule: memory.rule, why: closed.state.suspension?.why }, 'rule suspended');
  }

  /** A point that cannot be removed now is removed by its keeper later; the incident does not wait for it. */
  async #remove(point: PointDocument, why: string): Promise<void> {
    const { points, clock } = this.#dependencies;
    try {
      const what = `removing point ${point.id}`;
      await within(points.remove(point.id, why), { ms: removeTimeoutMs, clock, what });
    } catch (error) {
      const text = `point ${point.id} is not confirmed to be removed: ${toStillframeError(error).message}`;
      if (point.incident !== undefined) this.#add(point.incident, 'failed', text, { point: point.id });
    }
  }

  #tellRepeats(isLast: boolean): void {
    const { incident } = this.#memory.state;
    if (incident === null) return;
    const news = this.#repeats.take(incident.repeated, this.#dependencies.clock.nowMs(), isLast);
    if (news !== undefined) this.#tell('repeated', news.text, news.facts);
  }

  #tell(kind: IncidentEvent['kind'], text: string, facts: IncidentEvent['facts'] = {}): void {
    const { incident } = this.#memory.state;
    if (incident !== null) this.#add(incident.id, kind, text, facts);
  }

  #add(
    incident: string,
    kind: IncidentEvent['kind'],
    text: string,
    facts: IncidentEvent['facts'] = {},
  ): void {
    const { incidents, clock } = this.#dependencies;
    incidents.add(incident, { timeMs: clock.nowMs(), kind, text, facts });
  }

  /** Whoever cannot be told does not keep the incident from going on. */
  #notify(news: Omit<IncidentNews, 'timeMs'>): void {
    const { notify, clock } = this.#dependencies;
    const { incident } = this.#memory.state;
    if (notify === undefined || incident === null || incident.notify.length === 0) return;
    try {
      notify(incident.id, { ...news, timeMs: clock.nowMs() }, incident.notify.map(targetOf));
    } catch (error) {
      this.#complain('cannot tell of an incident', error);
    }
  }

  #complain(action: string, error: unknown): void {
    const { message, code } = toStillframeError(error);
    this.#dependencies.log.error({ rule: this.#memory.rule, code, reason: message }, action);
  }
}

function targetOf({ url, tokenFile, secretFile, includeValues }: StoredTarget): NotifyTarget {
  return {
    url,
    includeValues,
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(secretFile === undefined ? {} : { secretFile }),
  };
}

function causeOf({ incident }: RuleState): OpenIncident['cause'] {
  if (incident === null) throw new Error('a decision to fire without an incident');
  return incident.cause;
}
