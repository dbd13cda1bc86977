/** A rule with the keys of its file: what the schema lets through, quantities in their units, defaults filled in. */
import type { EngineName } from '../../format/capture.js';

export interface RawRule {
  readonly name: string;
  readonly note: string;
  readonly enabled: boolean;
  readonly when: RawWhen;
  readonly where: string;
  readonly allow: Readonly<Record<string, readonly string[]>>;
  readonly what: readonly RawStep[];
  readonly 'stop-on-failure': boolean;
  readonly limits: {
    readonly cooldown: number;
    readonly 'per-day': number;
    readonly hits: number;
    readonly stacks: number;
    readonly expire: number;
    readonly 'suspend-after': number;
  };
  readonly 'dry-run': boolean;
  readonly notify: readonly RawNotify[];
}

export interface RawNotify {
  readonly url: string;
  readonly 'token-file'?: string | undefined;
  readonly 'secret-file'?: string | undefined;
  readonly 'include-values': boolean;
}

/** Exactly one is there. */
export interface RawWhen {
  readonly prometheus?: RawPrometheus | undefined;
  readonly alertmanager?:
    | { readonly alert?: string | undefined; readonly labels?: Readonly<Record<string, string>> | undefined }
    | undefined;
  readonly metric?: RawMetric | undefined;
  readonly log?: RawLog | undefined;
  readonly process?: RawProcess | undefined;
  readonly manual?: object | undefined;
}

export interface RawPrometheus {
  readonly url: string;
  readonly query: string;
  readonly above?: number | undefined;
  readonly below?: number | undefined;
  readonly for: number;
  readonly every: number;
  readonly timeout: number;
  readonly 'token-file'?: string | undefined;
}

export interface RawMetric {
  readonly target: string;
  readonly at: string;
  readonly if?: string | undefined;
  readonly engine?: EngineName | undefined;
  readonly above: number;
  readonly for: number;
  readonly window: number;
}

export interface RawLog {
  readonly file: string;
  readonly match: string;
  readonly host?: string | undefined;
  readonly count: number;
  readonly within: number;
}

export interface RawProcess {
  readonly target: string;
  readonly cpu?: number | undefined;
  readonly rss?: number | undefined;
  readonly threads?: number | undefined;
  readonly descriptors?: number | undefined;
  readonly for: number;
}

/** Exactly one is there. */
export interface RawStep {
  readonly snapshot?: RawSnapshot | undefined;
  readonly now?: RawNow | undefined;
}

export interface RawSnapshot {
  readonly at: string;
  readonly if?: string | undefined;
  readonly capture: readonly string[];
  readonly hits?: number | undefined;
  readonly every: number;
  readonly 'every-process': boolean;
  readonly engine?: EngineName | undefined;
  readonly depth?: number | undefined;
  readonly stack?: number | undefined;
  readonly bytes?: number | undefined;
}

export interface RawNow {
  readonly processes: number;
  readonly engine?: EngineName | undefined;
  readonly stack?: number | undefined;
  readonly bytes?: number | undefined;
}
