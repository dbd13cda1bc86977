/** One rule that runs: its trigger, its bounds, its open incident. What it is asked it answers from memory; what it decides is on disk first. */
import { toStillframeError } from '../../format/error.js';
import type { Bound, Firing, Outcome } from './firing.js';
import { IncidentRun, type IncidentDependencies } from './incident-run.js';
import { adoptRule, boundOf, decide, type Decision } from './rule-engine.js';
import type { RuleDocument } from './rule-document.js';
import type { RuleMemory } from './rule-memory.js';
import { planSteps } from './rule-plan.js';
import type { RuleState } from './rule-state.js';
import type { Rule } from './rule.js';
import type { Trigger, TriggerSink } from './trigger.js';

export interface RunnerDependencies extends IncidentDependencies {
  readonly makeTrigger: (rule: Rule) => Trigger;
}

/** What `/metrics` shows of a rule. */
export interface RuleCounters {
  readonly rule: string;
  readonly firings: number;
  readonly repeated: number;
  readonly failures: number;
  readonly refused: Readonly<Partial<Record<Bound, number>>>;
  readonly triggerErrors: number;
  readonly suspended: boolean;
  readonly open: boolean;
}

/** How often a refusal is logged that goes on. */
const refusalLogMs = 60_000;

export class RuleRunner implements AsyncDisposable {
  readonly name: string;
  readonly #memory: RuleMemory;
  readonly #dependencies: RunnerDependencies;
  readonly #incident: IncidentRun;
  #rule: Rule | undefined;
  #trigger: Trigger | undefined;
  #watching: Disposable | undefined;
  #triggerErrors = 0;
  #lastRefusal: { readonly bound: Bound; readonly why: string; readonly loggedMs: number } | undefined;

  constructor(memory: RuleMemory, dependencies: RunnerDependencies) {
    this.name = memory.rule;
    this.#memory = memory;
    this.#dependencies = dependencies;
    this.#incident = new IncidentRun(memory, dependencies);
  }

  get rule(): Rule | undefined {
    return this.#rule;
  }

  get trigger(): Trigger | undefined {
    return this.#trigger;
  }

  get state(): RuleState {
    return this.#memory.state;
  }

  get incident(): IncidentRun {
    return this.#incident;
  }

  /** Neither a rule nor an incident: nothing runs here any more. */
  get isIdle(): boolean {
    return this.#rule === undefined && this.#memory.state.incident === null;
  }

  /** Runs this rule from now on. A trigger that is the same as before goes on as it is. */
  adopt(rule: Rule): void {
    const before = this.#rule;
    this.#rule = rule;
    const state = adoptRule(this.#memory.state, rule);
    if (state !== this.#memory.state) this.#memory.write(state);
    if (before !== undefined && isSameTrigger(before, rule)) return;
    this.#stopTrigger();
    if (!rule.enabled) return;
    const trigger = this.#dependencies.makeTrigger(rule);
    this.#trigger = trigger;
    const sink: TriggerSink = { fire: (firing) => this.offer({ ...firing, trigger: rule.when.kind }) };
    this.#watching = trigger.start(sink);
  }

  /** The rule is gone. Its open incident goes on to its end. */
  drop(): void {
    this.#rule = undefined;
    this.#stopTrigger();
  }

  /** What a trigger, or somebody by hand, saw. Durable when it returns. Never throws. */
  offer(firing: Firing): Outcome {
    const rule = this.#rule;
    if (rule === undefined) return { kind: 'failed', why: 'the rule is gone' };
    const memory = this.#memory;
    const nowMs = this.#dependencies.clock.nowMs();
    try {
      const plan = planSteps(rule, firing);
      const decision = decide(memory.state, rule, { firing, plan, nowMs });
      return this.#act(decision, firing, nowMs);
    } catch (error) {
      const { message, code } = toStillframeError(error);
      this.#dependencies.log.error({ rule: this.name, code, reason: message }, 'cannot write down a firing');
      return { kind: 'failed', why: `cannot write it down: ${message}` };
    }
  }

  tick(): void {
    try {
      this.#incident.tick();
      this.#memory.flush();
    } catch (error) {
      const { message, code } = toStillframeError(error);
      this.#dependencies.log.error(
        { rule: this.name, code, reason: message },
        'cannot keep the state of a rule',
      );
    }
  }

  /** `problem`: an error in its file, which keeps it as it was. */
  document(problem: string | undefined): RuleDocument | undefined {
    const rule = this.#rule;
    if (rule === undefined) return undefined;
    const { counts, incident, lastFiredMs } = this.#memory.state;
    const { state, why } = this.#standing(rule);
    const seen = this.#trigger?.describe() ?? '';
    const refusal = this.#lastRefusal;
    const refused = refusal?.bound === 'allow' ? `last firing refused: ${refusal.why}` : '';
    return {
      name: rule.name,
      file: rule.file,
      line: rule.line,
      trigger: rule.when.kind,
      state,
      why: [why, seen, refused, problem ?? ''].filter((part) => part !== '').join('; '),
      firings: counts.firings,
      refused: Object.values(counts.refused).reduce((sum, count) => sum + count, 0),
      failures: counts.failures,
      ...(lastFiredMs === null ? {} : { lastFired: new Date(lastFiredMs).toISOString() }),
      ...(incident === null ? {} : { openIncident: incident.id }),
    };
  }

  counters(): RuleCounters {
    const { counts, suspension, incident } = this.#memory.state;
    return {
      rule: this.name,
      firings: counts.firings,
      repeated: counts.repeated,
      failures: counts.failures,
      refused: counts.refused,
      triggerErrors: this.#triggerErrors + (this.#trigger?.errors ?? 0),
      suspended: suspension !== null,
      open: incident !== null,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watching?.[Symbol.dispose]();
    this.#watching = undefined;
    await this.#incident[Symbol.asyncDispose]();
    this.#memory.flush();
  }

  #act(decision: Decision, firing: Firing, nowMs: number): Outcome {
    const memory = this.#memory;
    const { log } = this.#dependencies;
    const alert = firing.alert?.number;
    if (decision.kind === 'fire') {
      const incident = this.#incident.open(decision.state, alert);
      this.#lastRefusal = undefined;
      log.info({ rule: this.name, incident, trigger: firing.trigger }, 'rule fired');
      return { kind: 'fired', incident };
    }
    const before = memory.state;
    if (alert === undefined) memory.note(decision.state);
    else memory.write(decision.state, alert);
    if (decision.kind === 'repeat') {
      this.#incident.repeated(firing);
      return { kind: 'repeated', incident: decision.state.incident?.id ?? '' };
    }
    const { bound, why } = decision;
    const isToldAgain =
      this.#lastRefusal?.bound !== bound || nowMs - this.#lastRefusal.loggedMs >= refusalLogMs;
    const isDryRun = bound === 'dry-run' && before.dryUntilMs !== decision.state.dryUntilMs;
    if (isDryRun || (bound !== 'dry-run' && isToldAgain)) {
      log.info({ rule: this.name, bound, why, trigger: firing.trigger }, 'rule did not fire');
      this.#lastRefusal = { bound, why, loggedMs: nowMs };
    } else if (this.#lastRefusal !== undefined) this.#lastRefusal = { ...this.#lastRefusal, bound, why };
    return { kind: 'refused', bound, why };
  }

  #standing(rule: Rule): Pick<RuleDocument, 'state' | 'why'> {
    const { suspension, incident, failedInRow, lastFailure } = this.#memory.state;
    if (!rule.enabled) return { state: 'disabled', why: 'enabled is false' };
    if (suspension !== null) return { state: 'suspended', why: suspension.why };
    const failed =
      failedInRow === 0
        ? ''
        : `the last ${failedInRow === 1 ? 'firing' : `${failedInRow} firings`} brought nothing: ${lastFailure}`;
    const dry = rule.dryRun ? 'dry run: it only says what it would do' : '';
    const bound = boundOf(this.#memory.state, rule, this.#dependencies.clock.nowMs());
    const open = incident === null ? '' : `incident ${incident.id} is open`;
    const why = [open, bound?.why ?? '', dry, failed].filter((part) => part !== '').join('; ');
    if (bound === undefined) return { state: 'active', why };
    return { state: bound.bound === 'per-day' ? 'spent' : 'cooling-down', why };
  }

  #stopTrigger(): void {
    this.#watching?.[Symbol.dispose]();
    this.#watching = undefined;
    this.#triggerErrors += this.#trigger?.errors ?? 0;
    void this.#trigger?.retire();
    this.#trigger = undefined;
  }
}

function isSameTrigger(before: Rule, rule: Rule): boolean {
  return before.enabled === rule.enabled && whenText(before) === whenText(rule);
}

function whenText({ when }: Rule): string {
  return JSON.stringify(when, (_, value: unknown) => (value instanceof Map ? [...value] : value));
}
