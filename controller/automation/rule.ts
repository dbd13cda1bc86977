/** A rule as it was read: when, where, what, how much. Units are resolved, templates are not: those wait for a firing. */
import type { EngineName } from '../../format/capture.js';
import type { Resource } from '../fleet/fleet.js';
import type { CaptureBounds } from '../service/planning.js';

export interface Rule {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Of everything that the rule says; where it stands does not count. */
  readonly digest: string;
  readonly note: string;
  readonly enabled: boolean;
  readonly dryRun: boolean;
  readonly when: When;
  /** A target, or `self`; may hold templates. */
  readonly where: string;
  /** What may be filled in, by `NAME` of a label or `annotations.NAME`. */
  readonly allow: ReadonlyMap<string, readonly string[]>;
  readonly what: readonly Step[];
  readonly stopOnFailure: boolean;
  readonly limits: RuleLimits;
  readonly notify: readonly NotifyTarget[];
}

export const triggerKinds = ['prometheus', 'alertmanager', 'metric', 'log', 'process', 'manual'] as const;
export type TriggerKind = (typeof triggerKinds)[number];

export type When =
  PrometheusWhen | AlertmanagerWhen | MetricWhen | LogWhen | ProcessWhen | { readonly kind: 'manual' };

export interface PrometheusWhen {
  readonly kind: 'prometheus';
  readonly url: string;
  readonly query: string;
  readonly bound: { readonly direction: 'above' | 'below'; readonly value: number };
  readonly forMs: number;
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly tokenFile?: string;
}

export interface AlertmanagerWhen {
  readonly kind: 'alertmanager';
  /** Label names to patterns, the alert's name as `alertname`. */
  readonly matchers: ReadonlyMap<string, string>;
}

export interface MetricWhen {
  readonly kind: 'metric';
  readonly target: string;
  readonly location: string;
  readonly condition?: string;
  readonly engine: EngineName | '';
  readonly abovePerSecond: number;
  readonly forMs: number;
  readonly windowMs: number;
}

export interface LogWhen {
  readonly kind: 'log';
  readonly path: string;
  readonly pattern: string;
  readonly host?: string;
  readonly count: number;
  readonly withinMs: number;
}

export interface ProcessWhen {
  readonly kind: 'process';
  readonly target: string;
  readonly resource: Resource;
  readonly above: number;
  readonly forMs: number;
}

export type Step = SnapshotStep | NowStep;

/** `location`, `condition` and `captures` may hold templates. */
export interface SnapshotStep {
  readonly kind: 'snapshot';
  readonly location: string;
  readonly condition?: string;
  readonly captures: readonly string[];
  readonly engine: EngineName | '';
  readonly bounds: CaptureBounds;
  readonly hits: number;
  readonly everyProcess: boolean;
  readonly everyMs: number;
}

/** All threads now, of at most so many processes. */
export interface NowStep {
  readonly kind: 'now';
  readonly engine: EngineName | '';
  readonly bounds: CaptureBounds;
  readonly processes: number;
}

export interface RuleLimits {
  /** From one firing to the next, at least. */
  readonly cooldownMs: number;
  /** Firings in any 24 hours. */
  readonly perDay: number;
  /** Snapshots of one incident's points. */
  readonly hits: number;
  /** Different stacks among them. */
  readonly stacks: number;
  readonly expireMs: number;
  /** Firings in a row that failed. */
  readonly suspendAfter: number;
}

/** Where incidents of the rule are told. */
export interface NotifyTarget {
  readonly url: string;
  /** Sent as a Bearer token. */
  readonly tokenFile?: string;
  /** Key of the signature over the body. */
  readonly secretFile?: string;
  /** Values of the target's variables go along. */
  readonly includeValues: boolean;
}

/** The owner of all points that a rule sets. */
export const ownerOf = (rule: string): string => `rule:${rule}`;
