/** Automation on fakes, with a rules file in a folder of its own; it can be killed and started again on what lasts. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Automation } from '../../../controller/automation/automation.js';
import type { FiringDocument, RuleDocument } from '../../../controller/automation/rule-document.js';
import type { NowOptions } from '../../../controller/service/controller-api.js';
import type { ExplainDocument, TargetDocument } from '../../../controller/service/documents.js';
import { FakeClock, settled } from './fake-clock.js';
import {
  FakeIncidents,
  FakePoints,
  FakeWatches,
  memoryLog,
  MemoryRuleStore,
  stackOf,
  target,
  type Step,
} from './fakes.js';

export interface StageOptions {
  readonly rules: string;
  /** Called around everything that lasts. */
  readonly step?: Step;
}

export class Stage implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'stillframe-automation-'));
  readonly rulesPath: string = join(this.folder, 'rules.yaml');
  readonly log: ReturnType<typeof memoryLog> = memoryLog();
  /** News of incidents, with whom they are for. */
  readonly told: string[] = [];
  /** Asked for all threads. */
  readonly nows: NowOptions[] = [];
  clock: FakeClock = new FakeClock();
  points: FakePoints;
  incidents: FakeIncidents;
  store: MemoryRuleStore;
  watches: FakeWatches = new FakeWatches();
  targets: (selector: string) => Promise<readonly TargetDocument[]> = () => Promise.resolve([target(100)]);
  now: (options: NowOptions) => Promise<{ readonly id: string }> = () =>
    Promise.resolve({ id: `n${this.nows.length}` });
  explain: () => Promise<ExplainDocument> = () => Promise.reject(new Error('not asked for here'));
  stackOf: (snapshot: string) => Promise<string> = stackOf;
  #automation: Automation | undefined;

  constructor({ rules, step = () => undefined }: StageOptions) {
    this.points = new FakePoints(step);
    this.incidents = new FakeIncidents(step);
    this.store = new MemoryRuleStore(step);
    this.write(rules);
  }

  get automation(): Automation {
    if (this.#automation === undefined) throw new Error('it does not run');
    return this.#automation;
  }

  /** Puts another file in the place of the rules file, as editors do; it is read when time passes. */
  write(rules: string): void {
    writeFileSync(`${this.rulesPath}.new`, rules);
    renameSync(`${this.rulesPath}.new`, this.rulesPath);
  }

  async start(): Promise<void> {
    const { points, rulesPath, watches, incidents, store, log, clock } = this;
    this.#automation = Automation.start({
      rulesPath,
      points,
      watches,
      incidents,
      store,
      snapshots: {
        listSnapshots: (filter) => points.snapshots.filter(({ point }) => point === filter?.point),
      },
      api: {
        targets: (selector = '') => this.targets(selector),
        explain: () => this.explain(),
        now: (options) => {
          this.nows.push(options);
          return this.now(options);
        },
      },
      stackOf: (snapshot) => this.stackOf(snapshot),
      notify: (incident, { event, snapshot }, targets) => {
        this.told.push([incident, event, snapshot ?? '', ...targets.map(({ url }) => url)].join(' '));
      },
      log,
      clock,
    });
    await settled();
  }

  /** What runs is forgotten where it stands; what it still does lasts nowhere. What lasted until now is there for the next start. */
  kill(step: Step = () => undefined): void {
    // Only so that no descriptor is left open.
    this.#automation?.[Symbol.asyncDispose]().catch(() => undefined);
    this.#automation = undefined;
    this.clock = new FakeClock(this.clock.nowMs());
    this.points = this.points.copy(step);
    this.incidents = this.incidents.copy(step);
    this.store = this.store.copy(step);
    this.watches = new FakeWatches();
  }

  async rule(name?: string): Promise<RuleDocument> {
    const documents = await this.automation.rules();
    const found = name === undefined ? documents[0] : documents.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no rule ${name ?? ''}`);
    return found;
  }

  async fire(name: string, labels: Readonly<Record<string, string>> = {}): Promise<FiringDocument> {
    const document = await this.automation.fireRule(name, { labels, owner: 'ada@host' });
    await settled();
    return document;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#automation?.[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
