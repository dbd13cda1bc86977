/** A log and a metric over several agents, some of which do not answer: none of the others is forgotten. */
import { describe, expect, test } from 'vitest';
import { LogRun, type LogAgent } from '../../../controller/service/log.js';
import { runMetric, type MetricAgent } from '../../../controller/service/metric.js';
import type { LogOptions, MetricOptions } from '../../../controller/service/controller-api.js';
import type { Planned } from '../../../controller/service/planning.js';
import type { AgentPoint } from '../../../controller/rpc/agent-facts.js';
import type { SymbolAnswers } from '../../../controller/service/symbol-answers.js';
import { StillframeError } from '../../../format/error.js';
import { defaultLimits } from '../../../format/limits.js';
import { rejected } from '../../support/thrown.js';

const counters = { hits: 0n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };
const view = (id: string): AgentPoint => ({
  id, phase: 'armed', engine: 'uprobe', processes: [], counters, why: 'armed', end: '',
  location: 'f', condition: '', expiresMs: 0, refusals: [], owner: '', note: '', countOnly: false,
}); // prettier-ignore

const late = (): Promise<never> =>
  Promise.reject(new StillframeError('unreachable', 'the agent gave no answer within 60 s'));

/** What was asked of it, and how it fails. */
class FakeAgent {
  readonly host: string;
  readonly asked: string[] = [];
  readonly planned: Planned;
  readonly #failures: Partial<Record<'arm' | 'disarm' | 'points', () => Promise<never>>>;

  constructor(host: string, failures: FakeAgent['failures'] = {}) {
    this.host = host;
    this.#failures = failures;
    const shape = { aggregate: { kind: 'count', signed: false, maxGroups: 1 } };
    this.planned = {
      targets: [{ pid: 1 }],
      leftOut: [],
      encoded: new Uint8Array(),
      shape,
    } as unknown as Planned;
  }

  get failures() {
    return this.#failures;
  }

  readonly client: LogAgent['client'] & MetricAgent['client'] = {
    closed: new Promise(() => undefined),
    arm: (order) => this.#answer('arm', view(order.id)),
    disarm: (id) => this.#answer('disarm', { ...view(id), phase: 'ended', end: 'removed' }),
    points: (ids) => this.#answer('points', (ids ?? []).map(view)),
    fetch: () => Promise.resolve(0),
  };

  #answer<T>(what: 'arm' | 'disarm' | 'points', answer: T): Promise<T> {
    this.asked.push(what);
    return this.#failures[what]?.() ?? Promise.resolve(answer);
  }
}

const forgotten = (): Promise<never> => Promise.reject(new StillframeError('not-found', 'no such point'));

const common = {
  target: 'name:x', location: 'f', engine: '', bounds: {}, captures: [], forMs: 300,
} as const; // prettier-ignore

const symbols = { hold: () => ({ [Symbol.dispose]: () => undefined }) } as unknown as SymbolAnswers;

async function log(agents: readonly FakeAgent[]): Promise<unknown> {
  const options: LogOptions = { ...common, template: 'text', linesPerSecond: defaultLimits.maxLogRate };
  using run = new LogRun(options, { line: () => undefined, dropped: () => undefined }, symbols);
  return await run.run(agents);
}

function metric(agents: readonly FakeAgent[]): Promise<unknown> {
  const options: MetricOptions = { ...common, metric: { kind: 'count' }, everyMs: 200 };
  return runMetric(agents, options, {});
}

describe.each([
  ['log', log],
  ['metric', metric],
] as const)('a %s', (kind, run) => {
  test('is removed where it was not said in time that it is armed, for it may be', async () => {
    const [good, slow] = [new FakeAgent('good'), new FakeAgent('slow', { arm: late })];
    const refusing = new FakeAgent('refusing', { arm: forgotten });
    await run([slow, good, refusing]);
    expect(slow.asked).toEqual(['arm', 'disarm']);
    expect(good.asked.at(-1)).toBe('disarm');
    // Nothing is armed where it was refused.
    expect(refusing.asked).toEqual(['arm']);
  });

  test('is removed at all agents, whatever one of them says', async () => {
    const agents = [
      new FakeAgent('one', { disarm: forgotten }),
      new FakeAgent('two'),
      new FakeAgent('three'),
    ];
    const outcome = run(agents);
    if (kind === 'log') expect(await rejected(outcome)).toBe('not-found: no such point');
    else await outcome;
    for (const { asked } of agents) expect(asked.filter((what) => what === 'disarm')).toHaveLength(1);
  });

  test('is removed at an agent that did not answer how it stands', async () => {
    const agents = [new FakeAgent('one'), new FakeAgent('two', { points: late })];
    await run(agents);
    for (const { asked } of agents) expect(asked.filter((what) => what === 'disarm')).toHaveLength(1);
  });
});
