/** What automation is built on, in memory: points, watches, incidents, store, the controller's own questions. */
import { StillframeError } from '../../../format/error.js';
import type {
  FleetWatches,
  LogListener,
  LogWatch,
  UsageListener,
  UsageWatch,
} from '../../../controller/fleet/fleet.js';
import type { PointListener, Points, PointSpec } from '../../../controller/fleet/points.js';
import type { IncidentCause, IncidentEvent, IncidentLog } from '../../../controller/automation/incident.js';
import type { AutomationLog } from '../../../controller/automation/automation-log.js';
import {
  maxWaitingAlerts,
  type NewAlert,
  type RuleStore,
  type StoredState,
  type WaitingAlert,
} from '../../../controller/automation/rule-store.js';
import type { PointDocument, TargetDocument } from '../../../controller/service/documents.js';
import type { SnapshotRecord } from '../../../controller/store/store.js';

/** Called before and after everything that lasts; a test may throw here, as a kill would end it. */
export type Step = (name: string) => void;

export interface FakePoint {
  readonly spec: PointSpec;
  document: PointDocument;
}

export class FakePoints implements Points {
  readonly points: Map<string, FakePoint> = new Map();
  readonly snapshots: SnapshotRecord[] = [];
  readonly removed: { readonly id: string; readonly why: string }[] = [];
  /** Refuses a point: what `set` throws. */
  refuse: (spec: PointSpec) => StillframeError | undefined = () => undefined;
  /** How a point stands when it is set. */
  standing: Pick<PointDocument, 'state' | 'why'> = { state: 'armed', why: 'armed in 1 process, 0 hits' };
  /** What `set` waits for. */
  gate: Promise<void> = Promise.resolve();
  readonly #listeners = new Set<PointListener>();
  readonly #step: Step;

  constructor(step: Step = () => undefined) {
    this.#step = step;
  }

  /** What is left when everybody who held this is dead. */
  copy(step: Step): FakePoints {
    const copy = new FakePoints(step);
    for (const [id, point] of this.points) copy.points.set(id, { ...point });
    copy.snapshots.push(...this.snapshots);
    copy.removed.push(...this.removed);
    copy.refuse = this.refuse;
    copy.standing = this.standing;
    return copy;
  }

  async set(spec: PointSpec, options: { readonly strict?: boolean } = {}): Promise<PointDocument> {
    await this.gate;
    const refusal = this.refuse(spec);
    if (refusal !== undefined && options.strict === true) throw refusal;
    this.#step('before set');
    const id = `p${this.points.size + 1}`;
    const failed = { state: 'failed', why: refusal?.message ?? '' };
    const document: PointDocument = {
      id,
      ...(refusal === undefined ? this.standing : failed),
      target: spec.target,
      location: spec.location,
      ...(spec.condition === undefined ? {} : { condition: spec.condition }),
      captures: spec.captures,
      engine: '',
      processes: [],
      hits: 0,
      conditionFalse: 0,
      faults: 0,
      dropped: 0,
      delivered: 0,
      expires: new Date(spec.expiresMs).toISOString(),
      kind: spec.kind,
      owner: spec.owner,
      note: spec.note,
      ...(spec.incident === undefined ? {} : { incident: spec.incident }),
    };
    this.points.set(id, { spec, document });
    this.#step('after set');
    return document;
  }

  list(): readonly PointDocument[] {
    return [...this.points.values()].map(({ document }) => document);
  }

  remove(id: string, why: string): Promise<PointDocument> {
    this.#step('before remove');
    this.removed.push({ id, why });
    const document = this.change(id, { state: 'ended', why: `removed: ${why}` });
    this.#step('after remove');
    return Promise.resolve(document);
  }

  resume(id: string): Promise<PointDocument> {
    return Promise.resolve(this.change(id, {}));
  }

  listen(listener: PointListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  change(id: string, change: Partial<PointDocument>): PointDocument {
    const point = this.points.get(id);
    if (point === undefined) throw new Error(`no point ${id}`);
    point.document = { ...point.document, ...change };
    for (const listener of this.#listeners) listener.point?.(point.document);
    return point.document;
  }

  /** A hit: the snapshot is stored, and told. `stack` is its signature. */
  hit(id: string, stack: string, { told = true }: { readonly told?: boolean } = {}): string {
    const point = this.points.get(id);
    if (point === undefined) throw new Error(`no point ${id}`);
    const snapshot = record(`s${this.snapshots.length + 1}-${stack}`, id);
    this.snapshots.push(snapshot);
    const { document } = point;
    point.document = { ...document, hits: document.hits + 1, delivered: document.delivered + 1 };
    if (told) for (const listener of this.#listeners) listener.snapshot?.(snapshot, point.document);
    return snapshot.id;
  }

  get live(): readonly PointDocument[] {
    return this.list().filter(({ state }) => state !== 'ended');
  }
}

function record(id: string, point: string): SnapshotRecord {
  return {
    id,
    point,
    pid: 1,
    tid: 1,
    comm: 'checkout',
    host: 'web-1',
    buildId: '',
    modulePath: '',
    timeNs: 0n,
    engine: 'uprobe',
    size: 0,
    sha256: '',
  };
}

/** Of the ids that `FakePoints.hit` makes. */
export const stackOf = (snapshot: string): Promise<string> =>
  Promise.resolve(snapshot.replace(/^[^-]*-/, ''));

export interface FakeIncident {
  readonly id: string;
  readonly cause: IncidentCause;
  readonly events: IncidentEvent[];
  closed: string | undefined;
}

export class FakeIncidents implements IncidentLog {
  readonly incidents: FakeIncident[] = [];
  readonly #step: Step;

  constructor(step: Step = () => undefined) {
    this.#step = step;
  }

  copy(step: Step): FakeIncidents {
    const copy = new FakeIncidents(step);
    copy.incidents.push(...this.incidents.map((each) => ({ ...each, events: [...each.events] })));
    return copy;
  }

  open(cause: IncidentCause, timeMs: number): string {
    this.#step('before open');
    const id = `i${this.incidents.length + 1}`;
    const events: IncidentEvent[] = [{ timeMs, kind: 'fired', text: cause.text, facts: cause.facts }];
    this.incidents.push({ id, cause, events, closed: undefined });
    this.#step('after open');
    return id;
  }

  add(incident: string, event: IncidentEvent): void {
    this.#step('before add');
    this.find(incident).events.push(event);
    this.#step('after add');
  }

  close(incident: string, why: string, timeMs: number): void {
    this.#step('before close');
    const found = this.find(incident);
    if (found.closed === undefined) {
      found.closed = why;
      found.events.push({ timeMs, kind: 'closed', text: why, facts: {} });
    }
    this.#step('after close');
  }

  listOpen(): readonly { readonly id: string; readonly rule: string }[] {
    return this.incidents
      .filter(({ closed }) => closed === undefined)
      .map(({ id, cause }) => ({ id, rule: cause.rule }));
  }

  find(id: string): FakeIncident {
    const found = this.incidents.find((incident) => incident.id === id);
    if (found === undefined) throw new StillframeError('not-found', `no incident "${id}"`);
    return found;
  }

  /** `kind: text`, of the last incident. */
  timeline(id: string = this.incidents.at(-1)?.id ?? ''): string[] {
    return this.find(id).events.map(({ kind, text }) => `${kind}: ${text}`);
  }
}

export class MemoryRuleStore implements RuleStore {
  readonly states: Map<string, string> = new Map();
  readonly alerts: FakeAlert[] = [];
  readonly #keys = new Set<string>();
  readonly #waiting = new Map<number, FakeAlert>();
  writes = 0;
  readonly #step: Step;

  constructor(step: Step = () => undefined) {
    this.#step = step;
  }

  copy(step: Step): MemoryRuleStore {
    const copy = new MemoryRuleStore(step);
    for (const [rule, json] of this.states) copy.states.set(rule, json);
    for (const alert of this.alerts) copy.#put({ ...alert });
    copy.writes = this.writes;
    return copy;
  }

  listStates(): readonly StoredState[] {
    return [...this.states].map(([rule, json]) => ({ rule, json }));
  }

  saveState(rule: string, json: string, alert?: number): void {
    this.#step('before save');
    this.writes++;
    this.states.set(rule, json);
    if (alert !== undefined) this.#finish(alert);
    this.#step('after save');
  }

  removeState(rule: string): void {
    this.states.delete(rule);
  }

  acceptAlerts(alerts: readonly NewAlert[], nowMs: number): readonly boolean[] {
    this.#step('before accept');
    const added = alerts.filter((alert) => !this.#keys.has(nameOf(alert)));
    if (this.countWaitingAlerts() + added.length > maxWaitingAlerts) {
      throw new StillframeError('limit', 'too many alerts wait');
    }
    const taken = alerts.map((alert) => {
      if (this.#keys.has(nameOf(alert))) return false;
      const number = this.alerts.length + 1;
      this.#put({ ...alert, number, receivedMs: nowMs, done: false });
      return true;
    });
    this.#step('after accept');
    return taken;
  }

  listWaitingAlerts(after: number, limit: number): readonly WaitingAlert[] {
    return [...this.#waiting.values()].filter(({ number }) => number > after).slice(0, limit);
  }

  countWaitingAlerts(): number {
    return this.#waiting.size;
  }

  finishAlert(number: number): void {
    this.#step('before finish');
    this.#finish(number);
    this.#step('after finish');
  }

  pruneAlerts(): number {
    return 0;
  }

  /** NB: no transaction: what a kill leaves is the worst that any store may leave. */
  atomically<T>(work: () => T): T {
    return work();
  }

  #put(alert: FakeAlert): void {
    this.alerts.push(alert);
    this.#keys.add(nameOf(alert));
    if (!alert.done) this.#waiting.set(alert.number, alert);
  }

  #finish(number: number): void {
    const alert = this.#waiting.get(number);
    if (alert !== undefined) alert.done = true;
    this.#waiting.delete(number);
  }
}

type FakeAlert = WaitingAlert & { done: boolean };

const nameOf = ({ rule, key }: NewAlert): string => `${rule} ${key}`;

export class FakeWatches implements FleetWatches {
  readonly logs: { readonly watch: LogWatch; readonly listener: LogListener }[] = [];
  readonly usages: { readonly watch: UsageWatch; readonly listener: UsageListener }[] = [];

  watchTargets(): Disposable {
    throw new Error('no rule watches targets');
  }

  watchLog(watch: LogWatch, listener: LogListener): Disposable {
    return hold(this.logs, { watch, listener });
  }

  watchUsage(watch: UsageWatch, listener: UsageListener): Disposable {
    return hold(this.usages, { watch, listener });
  }
}

function hold<T>(list: T[], item: T): Disposable {
  list.push(item);
  return { [Symbol.dispose]: () => void list.splice(list.indexOf(item), 1) };
}

export function target(pid: number, host = 'web-1', more: Partial<TargetDocument> = {}): TargetDocument {
  return {
    host,
    pid,
    name: 'checkout',
    executable: '/usr/bin/checkout',
    args: [],
    uid: 0,
    buildId: '',
    started: '',
    ...more,
  };
}

/** Lines of the log, as `level message {facts}`. */
export function memoryLog(): AutomationLog & { readonly lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (facts: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(facts)}`);
  };
  return { lines, info: at('info'), warn: at('warn'), error: at('error') };
}
