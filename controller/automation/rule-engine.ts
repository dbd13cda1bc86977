/**
 * The state of one rule as a machine: each function takes a state and what happened, and gives the next state. Nothing here does anything:
 * no clock, no store, no points. `rule-runner.ts` writes each state down before it acts on it.
 *
 * The bounds, in order: disabled, suspended, (an open incident: repeated), allow, dry run, cooldown, budget of the day. A rule has one open
 * incident at most. Its cooldown and its budget are charged when it fires, whatever comes of it.
 */
import type { Bound, Firing } from './firing.js';
import { span } from './quantity.js';
import type { Rule } from './rule.js';
import { describeStep, type StepPlan } from './rule-plan.js';
import type { OpenIncident, RuleState, StepRun } from './rule-state.js';

export const dayMs: number = 24 * 3600 * 1000;
/** Alerts of one incident that are followed to their end; more of them, and it does not end by their resolution. */
const maxAlerts = 100;
/** Snapshots that are in flight when the limit is reached are written down as well. */
const maxCounted = 2000;

export type Decision =
  | { readonly kind: 'fire'; readonly state: RuleState }
  | { readonly kind: 'repeat'; readonly state: RuleState }
  | { readonly kind: 'refuse'; readonly state: RuleState; readonly bound: Bound; readonly why: string };

export function decide(
  before: RuleState,
  rule: Rule,
  event: { readonly firing: Firing; readonly plan: StepPlan; readonly nowMs: number },
): Decision {
  const { firing, plan, nowMs } = event;
  const state = settleTimes(before, rule, nowMs);
  const refuse = (bound: Bound, why: string): Decision => {
    return { kind: 'refuse', bound, why, state: firing.again === true ? state : countRefusal(state, bound) };
  };
  if (!rule.enabled) return refuse('disabled', 'the rule is disabled');
  // Somebody who fires it by hand wants to know whether it works again.
  if (state.suspension !== null && firing.trigger !== 'manual') {
    return refuse('suspended', state.suspension.why);
  }
  if (state.incident !== null) return { kind: 'repeat', state: repeat(state, state.incident, firing) };
  if ('refusal' in plan) return refuse('allow', plan.refusal);
  if (rule.dryRun) {
    const steps = plan.steps.map(describeStep).join('; then ');
    const isTold = nowMs < state.dryUntilMs;
    const told = isTold ? state : { ...state, dryUntilMs: nowMs + rule.limits.cooldownMs };
    const counted = firing.again === true ? told : countRefusal(told, 'dry-run');
    return { kind: 'refuse', bound: 'dry-run', why: `dry run: it would take ${steps}`, state: counted };
  }
  const bound = boundOf(state, rule, nowMs);
  if (bound !== undefined) return refuse(bound.bound, bound.why);
  return {
    kind: 'fire',
    state: {
      ...state,
      firedMs: [...state.firedMs, nowMs],
      cooldownUntilMs: nowMs + rule.limits.cooldownMs,
      lastFiredMs: nowMs,
      counts: { ...state.counts, firings: state.counts.firings + 1 },
      incident: openIncident(rule, firing, { steps: plan.steps, nowMs }),
    },
  };
}

/** What keeps it from firing now, of what time alone lifts. */
export function boundOf(
  state: RuleState,
  rule: Rule,
  nowMs: number,
): { readonly bound: 'cooldown' | 'per-day'; readonly why: string } | undefined {
  const { limits } = rule;
  const settled = settleTimes(state, rule, nowMs);
  // The day's budget says more than a cooldown, which would only lead up to it.
  const [oldest] = settled.firedMs.slice(-limits.perDay);
  if (settled.firedMs.length >= limits.perDay && oldest !== undefined) {
    const why = `${settled.firedMs.length} of ${limits.perDay} firings of 24 h are used up, until ${iso(oldest + dayMs)}`;
    return { bound: 'per-day', why };
  }
  if (nowMs < settled.cooldownUntilMs) {
    const rest = span(settled.cooldownUntilMs - nowMs);
    return {
      bound: 'cooldown',
      why: `cools down for another ${rest}, until ${iso(settled.cooldownUntilMs)}`,
    };
  }
  return undefined;
}

const iso = (timeMs: number): string => new Date(timeMs).toISOString();

/**
 * Forgets what is older than a day. NB: a clock that was wrong and is put back must not keep a rule from firing for years, so that what it
 * left in the future counts as now: once, for the state that comes out is kept.
 */
function settleTimes(state: RuleState, rule: Rule, nowMs: number): RuleState {
  const firedMs = state.firedMs.filter((at) => at > nowMs - dayMs).map((at) => Math.min(at, nowMs));
  const latest = nowMs + rule.limits.cooldownMs;
  return {
    ...state,
    firedMs,
    cooldownUntilMs: Math.min(state.cooldownUntilMs, latest),
    dryUntilMs: Math.min(state.dryUntilMs, latest),
  };
}

function countRefusal(state: RuleState, bound: Bound): RuleState {
  const { counts } = state;
  const refused = { ...counts.refused, [bound]: (counts.refused[bound] ?? 0) + 1 };
  return { ...state, counts: { ...counts, refused } };
}

function repeat(state: RuleState, incident: OpenIncident, firing: Firing): RuleState {
  const { counts } = state;
  // What stands for those that are too many is never resolved.
  const key = incident.alerts.length < maxAlerts ? firing.alert?.key : '';
  const isNew = key !== undefined && firing.alert !== undefined && !incident.alerts.includes(key);
  const counted = firing.again === true ? 0 : 1;
  return {
    ...state,
    counts: { ...counts, repeated: counts.repeated + counted },
    incident: {
      ...incident,
      repeated: incident.repeated + counted,
      alerts: isNew ? [...incident.alerts, key] : incident.alerts,
      resolved: incident.resolved && firing.alert === undefined,
    },
  };
}

function openIncident(
  rule: Rule,
  firing: Firing,
  { steps, nowMs }: { readonly steps: readonly StepRun['step'][]; readonly nowMs: number },
): OpenIncident {
  const { labels, text, facts, trigger, alert } = firing;
  return {
    id: '',
    cause: { rule: rule.name, trigger, text, labels, facts },
    digest: rule.digest,
    openedMs: nowMs,
    expiresMs: nowMs + rule.limits.expireMs,
    hits: rule.limits.hits,
    stacks: rule.limits.stacks,
    suspendAfter: rule.limits.suspendAfter,
    stopOnFailure: rule.stopOnFailure,
    steps: steps.map((step) => ({ step, state: 'waiting', text: '', point: '', begun: [] })),
    counted: [],
    seenStacks: [],
    taken: 0,
    armed: false,
    repeated: 0,
    alerts: alert === undefined ? [] : [alert.key],
    resolved: false,
    notify: rule.notify,
    closing: '',
  };
}

/** The open incident, changed; the state as it is where there is none. */
export function changeIncident(
  state: RuleState,
  change: (incident: OpenIncident) => Partial<OpenIncident>,
): RuleState {
  const { incident } = state;
  return incident === null ? state : { ...state, incident: { ...incident, ...change(incident) } };
}

export function changeStep(state: RuleState, index: number, change: Partial<StepRun>): RuleState {
  return changeIncident(state, ({ steps }) => ({
    steps: steps.map((step, i) => (i === index ? { ...step, ...change } : step)),
  }));
}

export interface CountedSnapshot {
  readonly state: RuleState;
  /** It was not counted before. */
  readonly isNew: boolean;
  readonly isNewStack: boolean;
}

/** A snapshot of one of its points. `stack` is empty where it could not be told: that is no different stack. */
export function countSnapshot(state: RuleState, snapshot: string, stack: string): CountedSnapshot {
  const { incident } = state;
  if (incident === null || incident.counted.includes(snapshot) || incident.counted.length >= maxCounted) {
    return { state, isNew: false, isNewStack: false };
  }
  const isNewStack = stack !== '' && !incident.seenStacks.includes(stack);
  const next = changeIncident(state, ({ counted, seenStacks }) => ({
    counted: [...counted, snapshot],
    seenStacks: isNewStack ? [...seenStacks, stack] : seenStacks,
    armed: true,
  }));
  return { state: next, isNew: true, isNewStack };
}

/** An alert of it is over; `known` where it is one of those that it follows. */
export function resolveAlert(
  state: RuleState,
  key: string,
): { readonly state: RuleState; readonly known: boolean } {
  const { incident } = state;
  if (incident === null || !incident.alerts.includes(key)) return { state, known: false };
  const next = changeIncident(state, ({ alerts }) => {
    const left = alerts.filter((each) => each !== key);
    return { alerts: left, resolved: left.length === 0 };
  });
  return { state: next, known: true };
}

/** How one of its points stands. */
export interface PointStanding {
  readonly ended: boolean;
  readonly why: string;
  readonly delivered: number;
}

export interface Ending {
  readonly why: string;
  /** The bound that it ran into; undefined where it just came to its end. */
  readonly bound?: 'hits' | 'stacks' | 'expire';
}

/** Why the incident ends now; undefined while it goes on. */
export function endingOf(
  incident: OpenIncident,
  points: readonly PointStanding[],
  nowMs: number,
): Ending | undefined {
  const { counted, seenStacks, steps } = incident;
  if (counted.length >= incident.hits) {
    return { bound: 'hits', why: `${counted.length} snapshots came, as many as limits.hits allows` };
  }
  if (seenStacks.length >= incident.stacks) {
    return {
      bound: 'stacks',
      why: `${seenStacks.length} different stacks came, as many as limits.stacks allows`,
    };
  }
  if (nowMs >= incident.expiresMs) {
    return { bound: 'expire', why: `it expired: ${cameOf(incident)}${waitedFor(points)}` };
  }
  if (steps.some(({ state }) => state === 'waiting' || state === 'started')) return undefined;
  if (steps.every(({ state }) => state === 'failed')) {
    return { why: `every step failed: ${steps[0]?.text ?? ''}` };
  }
  if (incident.resolved && counted.length > 0) {
    return { why: `the alert is resolved: ${cameOf(incident)}` };
  }
  const delivered = points.reduce((sum, point) => sum + point.delivered, 0);
  if (points.every(({ ended }) => ended) && counted.length >= delivered) {
    const [first] = points;
    return { why: first === undefined ? 'its steps are done' : `its points ended: ${first.why}` };
  }
  return undefined;
}

function cameOf({ counted, seenStacks }: OpenIncident): string {
  if (counted.length === 0) return 'no snapshot came';
  const stacks = seenStacks.length === 1 ? 'one stack' : `${seenStacks.length} different stacks`;
  return `${counted.length === 1 ? 'one snapshot' : `${counted.length} snapshots`} came, ${stacks}`;
}

function waitedFor(points: readonly PointStanding[]): string {
  const waiting = points.find(({ ended }) => !ended);
  return waiting === undefined || waiting.why === '' ? '' : `; ${waiting.why}`;
}

/** Nothing came of it, and nothing could have: no step worked, or no point of it was ever armed. */
export function hasFailed({ steps, armed, taken, counted }: OpenIncident): boolean {
  if (taken > 0 || counted.length > 0 || armed) return false;
  return steps.length > 0;
}

/** Without its incident; suspended, when that was one failure too many. */
export function closeIncident(state: RuleState): {
  readonly state: RuleState;
  readonly failed: boolean;
  readonly suspended: boolean;
} {
  const { incident, counts } = state;
  if (incident === null) return { state, failed: false, suspended: false };
  if (!hasFailed(incident)) {
    const next = { ...state, incident: null, failedInRow: 0, lastFailure: '', suspension: null };
    return { state: next, failed: false, suspended: false };
  }
  const failedInRow = state.failedInRow + 1;
  const lastFailure = incident.closing;
  const isSuspended = failedInRow >= incident.suspendAfter;
  const why = `suspended after ${failedInRow} firings of which nothing came, the last one: ${lastFailure}; it goes on when the rule is changed, or when \`stillframe rules fire\` works`;
  return {
    state: {
      ...state,
      incident: null,
      failedInRow,
      lastFailure,
      suspension: isSuspended ? { why, digest: incident.digest } : null,
      counts: { ...counts, failures: counts.failures + 1 },
    },
    failed: true,
    suspended: isSuspended,
  };
}

/** A rule that was changed starts without its failures, and with its budgets as they are. */
export function adoptRule(state: RuleState, rule: Rule): RuleState {
  const { suspension } = state;
  if (suspension === null || suspension.digest === rule.digest) return state;
  return { ...state, suspension: null, failedInRow: 0, lastFailure: '' };
}
