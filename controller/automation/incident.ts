/**
 * An incident: all that one firing of a rule brought in. What happened is a list of events, in order, each a line for people with the
 * numbers beside it for programs; snapshots belong to it through the points that its firing set.
 */
export const eventKinds = [
  /** The trigger, with its numbers. */
  'fired',
  /** The trigger again while the incident is open: counted, nothing more is armed. */
  'repeated',
  /** A step set a point, or took all threads of a process. */
  'armed',
  /** A point of it changed its state: where it is armed now, or why it is not. */
  'point',
  /** A snapshot is stored; `facts.snapshot` is its id. So all threads of a process, which have no point, belong to the incident. */
  'snapshot',
  /** A stack that the incident did not have yet. */
  'new-stack',
  /** A bound of the rule ended a step or refused it: cooldown, budget, hits, stacks, expiry. */
  'bound',
  /** The cause went away: the alert resolved. */
  'resolved',
  /** A step failed. */
  'failed',
  /** A webhook was delivered, or given up. */
  'notified',
  'closed',
] as const;
export type EventKind = (typeof eventKinds)[number];

export interface IncidentEvent {
  readonly timeMs: number;
  readonly kind: EventKind;
  /** One line for people. */
  readonly text: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export interface IncidentCause {
  readonly rule: string;
  /** Which kind of trigger, as rules spell it: `alertmanager`, `prometheus`, `metric`, `log`, `process`, `manual`. */
  readonly trigger: string;
  /** One line for people: what was seen, with its numbers. */
  readonly text: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly facts: IncidentEvent['facts'];
}

/** What the rule engine writes; each call is durable when it returns. */
export interface IncidentLog {
  /** Opens an incident with its event `fired`; gives its id. */
  open(cause: IncidentCause, timeMs: number): string;
  add(incident: string, event: IncidentEvent): void;
  /** Adds the event `closed`. Idempotent. */
  close(incident: string, why: string, timeMs: number): void;
  /** Those that are open, for a rule engine that starts again. */
  listOpen(): readonly { readonly id: string; readonly rule: string }[];
}

export interface IncidentSummary {
  readonly id: string;
  readonly rule: string;
  readonly trigger: string;
  readonly state: 'open' | 'closed';
  /** RFC 3339. */
  readonly started: string;
  readonly closed?: string;
  /** What was seen. */
  readonly cause: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly snapshots: number;
  /** Different stacks among them. */
  readonly stacks: number;
}

export interface IncidentDocument extends IncidentSummary {
  readonly timeline: readonly {
    readonly time: string;
    readonly kind: EventKind;
    readonly text: string;
    readonly facts?: IncidentEvent['facts'];
  }[];
  readonly points: readonly {
    readonly id: string;
    readonly target: string;
    readonly location: string;
    readonly condition?: string;
    readonly state: string;
    readonly why: string;
    readonly hits: number;
  }[];
  /** Most frequent first. */
  readonly groups: readonly StackGroup[];
}

/** Snapshots that were taken with the same stack. */
export interface StackGroup {
  /** `function file:line`, innermost first; a last line in parentheses where the stack goes on and is not known. */
  readonly stack: readonly string[];
  /** Ids, oldest first. */
  readonly snapshots: readonly string[];
  /**
   * Values of the hit frame and of the captures that all snapshots of the group agree on, and those that differ, called by the expression
   * that names them; the most telling first: those that other groups have otherwise. A value that is not known is never the same: its text
   * is the reason, in angle brackets.
   */
  readonly same: readonly { readonly name: string; readonly text: string }[];
  /** `texts`: one for each snapshot of the group that was compared, in their order: the first of `snapshots`. */
  readonly different: readonly { readonly name: string; readonly texts: readonly string[] }[];
  /** What was left out, and why: one line. */
  readonly note?: string;
}
