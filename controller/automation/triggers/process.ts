/** A process that uses more than so much for so long. The agents measure; which process it was is there to be looked into: `self`. */
import type { AgentTarget } from '../../rpc/agent-facts.js';
import type { FleetWatches, Resource } from '../../fleet/fleet.js';
import { duration, percent, shortNumber, size } from '../quantity.js';
import type { ProcessWhen } from '../rule.js';
import type { Probe, Trigger, TriggerSink } from '../trigger.js';
import { WatchStates } from './watch-states.js';

const units: Readonly<
  Record<Resource, { readonly noun: string; readonly render: (value: number) => string }>
> = {
  cpu: { noun: 'cpu', render: (value) => percent.render(value) },
  rss: { noun: 'rss', render: renderBytes },
  threads: { noun: 'number of threads', render: shortNumber },
  descriptors: { noun: 'number of descriptors', render: shortNumber },
};

export class ProcessTrigger implements Trigger {
  readonly #when: ProcessWhen;
  readonly #watches: FleetWatches;
  readonly #states = new WatchStates();
  #last = 'no process exceeded it yet';

  constructor(when: ProcessWhen, watches: FleetWatches) {
    this.#when = when;
    this.#watches = watches;
  }

  get errors(): number {
    return this.#states.errors;
  }

  start(sink: TriggerSink): Disposable {
    const { target, resource, above, forMs } = this.#when;
    return this.#watches.watchUsage(
      { selector: target, resource, above, forMs },
      {
        exceeded: (event) => this.#exceeded(sink, event),
        state: (host, detail) => this.#states.note(host, detail),
      },
    );
  }

  retire(): Promise<void> {
    return Promise.resolve();
  }

  describe(): string {
    return this.#states.describe(this.#last);
  }

  probe(): Promise<Probe> {
    return Promise.resolve({ ok: !this.#states.areAllDown, text: this.describe() });
  }

  #exceeded(
    sink: TriggerSink,
    { host, target, value }: { readonly host: string; readonly target: AgentTarget; readonly value: number },
  ): void {
    const { resource, above, forMs } = this.#when;
    const { noun, render } = units[resource];
    const self = `${target.pid}@${host}`;
    const text = `${noun} of ${target.comm} (${self}) is ${render(value)}, above ${render(above)} for ${duration.render(forMs)}`;
    this.#last = text;
    sink.fire({
      text,
      labels: labelsOf(host, target),
      annotations: {},
      facts: { value, above, forMs, resource, pid: target.pid, host },
      self,
    });
  }
}

function labelsOf(host: string, target: AgentTarget): Record<string, string> {
  const { pid, comm, unit, container, service } = target;
  const all = { host, pid: String(pid), name: comm, unit, container, service };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

function renderBytes(bytes: number): string {
  const whole = size.render(bytes);
  if (!/^\d+$/.test(whole) || bytes < 1024) return whole;
  for (const [unit, name] of [
    [1024 ** 3, 'G'],
    [1024 ** 2, 'M'],
    [1024, 'k'],
  ] as const) {
    if (bytes >= unit) return `${(bytes / unit).toFixed(1)}${name}`;
  }
  return whole;
}
