/** What Prometheus is told. Of what is asked of others at a scrape, only numbers and names of rules and hosts are kept. */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { AgentStatus } from '../fleet/fleet.js';
import type { PointListener } from '../fleet/points.js';
import type { RuleDocument } from '../automation/rule-document.js';
import type { PointDocument } from '../service/documents.js';
import { pointPhases } from '../store/store.js';

/** Where the numbers come from: the fleet, its points, the rules. */
export interface MetricsSource {
  agents(): readonly AgentStatus[];
  points(): readonly PointDocument[];
  /** Brings the counters of `points` up to date. */
  refreshPoints(): Promise<void>;
  rules(): Promise<readonly RuleDocument[]>;
  openIncidents(): number;
  listenToPoints(listener: PointListener): Disposable;
}

export class ControllerMetrics implements Disposable {
  readonly #registry = new Registry();
  readonly #webhooks: Counter<'path' | 'result'>;
  readonly #listening: Disposable;

  constructor(source: MetricsSource) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    addGauges(this.#registry, source);
    addRuleCounters(this.#registry, source);
    this.#webhooks = new Counter({
      name: 'stillframe_webhook_requests_total',
      help: 'Requests to /api/v1, by what became of them',
      labelNames: ['path', 'result'],
      registers,
    });
    addHitCounter(this.#registry, source);
    this.#listening = source.listenToPoints(snapshotCounters(registers));
  }

  /** `path`: as the route is written, not as it was asked for. */
  countWebhook(path: string, status: number): void {
    this.#webhooks.inc({
      path,
      result: webhookResults.get(status) ?? (status < 300 ? 'accepted' : 'failed'),
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
    this.#registry.clear();
  }
}

const webhookResults: ReadonlyMap<number, string> = new Map([
  [400, 'malformed'],
  [401, 'unauthorized'],
  [403, 'unauthorized'],
  [404, 'not-found'],
  [413, 'too-large'],
  [415, 'malformed'],
  [429, 'refused'],
  [503, 'busy'],
]);

function addGauges(registry: Registry, source: MetricsSource): void {
  registry.registerMetric(
    new Gauge({
      name: 'stillframe_agents',
      help: 'Agents that are configured or were ever here, by whether they are connected',
      labelNames: ['state'],
      registers: [],
      collect() {
        const statuses = source.agents();
        const connected = statuses.filter((agent) => agent.connected).length;
        this.set({ state: 'connected' }, connected);
        this.set({ state: 'disconnected' }, statuses.length - connected);
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'stillframe_points',
      help: 'Points by state',
      labelNames: ['state'],
      registers: [],
      collect() {
        const counts = new Map<string, number>(pointPhases.map((phase) => [phase, 0]));
        for (const { state } of source.points()) counts.set(state, (counts.get(state) ?? 0) + 1);
        for (const [state, count] of counts) this.set({ state }, count);
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'stillframe_incidents_open',
      help: 'Incidents that are open',
      registers: [],
      collect() {
        this.set(source.openIncidents());
      },
    }),
  );
}

function addRuleCounters(registry: Registry, source: MetricsSource): void {
  const counts = {
    firings: 'Times that a rule fired',
    refused: 'Firings that a bound refused',
    failures: 'Failures of a rule',
  } as const;
  for (const key of ['firings', 'refused', 'failures'] as const) {
    registry.registerMetric(
      new Counter({
        name: `stillframe_rule_${key}_total`,
        help: counts[key],
        labelNames: ['rule'],
        registers: [],
        // The rules count for themselves, and go on counting after a restart.
        async collect() {
          const rules = await source.rules();
          this.reset();
          for (const rule of rules) this.inc({ rule: rule.name }, rule[key]);
        },
      }),
    );
  }
}

/** Points whose hits are remembered, to tell new ones from old. */
const maxPoints = 10_000;

/** Counts from when the controller started, whatever becomes of a point and its own counters; up to date at each scrape. */
function addHitCounter(registry: Registry, source: MetricsSource): void {
  const seen = new Map(source.points().map(({ id, hits }) => [id, hits]));
  registry.registerMetric(
    new Counter({
      name: 'stillframe_point_hits_total',
      help: 'Hits of points',
      registers: [],
      async collect() {
        await source.refreshPoints();
        for (const { id, hits } of source.points()) {
          const before = seen.get(id) ?? 0;
          this.inc(Math.max(0, hits - before));
          seen.delete(id);
          seen.set(id, Math.max(before, hits));
        }
        for (const id of seen.keys()) {
          if (seen.size <= maxPoints) break;
          seen.delete(id);
        }
      },
    }),
  );
}

function snapshotCounters(registers: Registry[]): PointListener {
  const snapshots = new Counter({
    name: 'stillframe_snapshots_stored_total',
    help: 'Snapshots that were stored',
    registers,
  });
  const bytes = new Counter({
    name: 'stillframe_snapshots_stored_bytes_total',
    help: 'Bytes of snapshots that were stored',
    registers,
  });
  return {
    snapshot(record) {
      snapshots.inc();
      bytes.inc(record.size);
    },
  };
}
