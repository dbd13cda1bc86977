/** What is remembered of a rule, durably: its budgets, its failures, its open incident with all that is still to do for it. */
import * as z from 'zod';
import { engineNames, type EngineName } from '../../format/capture.js';
import { badData } from '../../format/error.js';
import type { CaptureBounds } from '../service/planning.js';
import { bounds, type Bound } from './firing.js';
import type { IncidentCause } from './incident.js';
import type { NotifyTarget } from './rule.js';

export interface RuleState {
  /** When it fired, of the last 24 hours, oldest first. */
  readonly firedMs: readonly number[];
  readonly cooldownUntilMs: number;
  /** Until then a dry run is counted and not told again. */
  readonly dryUntilMs: number;
  /** Firings of which nothing came, one after the other. */
  readonly failedInRow: number;
  readonly lastFailure: string;
  readonly suspension: Suspension | null;
  readonly incident: OpenIncident | null;
  readonly lastFiredMs: number | null;
  readonly counts: RuleCounts;
}

export interface Suspension {
  readonly why: string;
  /** Of the rule that failed: another one is given another chance. */
  readonly digest: string;
}

export interface RuleCounts {
  readonly firings: number;
  readonly repeated: number;
  readonly failures: number;
  readonly refused: Readonly<Partial<Record<Bound, number>>>;
}

/** It says all that is needed to end it: the rule may be changed or gone by then. */
export interface OpenIncident {
  /** Empty between the decision and the opening. */
  readonly id: string;
  readonly cause: IncidentCause;
  readonly digest: string;
  readonly openedMs: number;
  readonly expiresMs: number;
  readonly hits: number;
  readonly stacks: number;
  readonly suspendAfter: number;
  readonly stopOnFailure: boolean;
  readonly steps: readonly StepRun[];
  /** Ids of the snapshots that its points brought. */
  readonly counted: readonly string[];
  /** Signatures of their stacks. */
  readonly seenStacks: readonly string[];
  /** Snapshots of all threads. */
  readonly taken: number;
  /** A point of it was armed somewhere at some time. */
  readonly armed: boolean;
  readonly repeated: number;
  /** Keys of its alerts that still fire. */
  readonly alerts: readonly string[];
  /** All its alerts are over. */
  readonly resolved: boolean;
  /** Whom it is told. */
  readonly notify: readonly StoredTarget[];
  /** Why it ends: its points are being removed. Empty while it goes on. */
  readonly closing: string;
}

export interface StepRun {
  readonly step: FilledStep;
  readonly state: 'waiting' | 'started' | 'done' | 'failed';
  /** Why it failed, or what came of it. */
  readonly text: string;
  /** Its point; empty where it has none. */
  readonly point: string;
  /** Processes whose threads were, or were about to be, taken. */
  readonly begun: readonly string[];
}

/** A step without templates. */
export type FilledStep = FilledSnapshot | FilledNow;

export interface FilledSnapshot {
  readonly kind: 'snapshot';
  readonly target: string;
  readonly location: string;
  readonly condition?: string | undefined;
  readonly captures: readonly string[];
  readonly engine: EngineName | '';
  readonly bounds: StoredBounds;
  readonly hits: number;
  readonly everyProcess: boolean;
  readonly everyMs: number;
}

export interface FilledNow {
  readonly kind: 'now';
  readonly target: string;
  readonly engine: EngineName | '';
  readonly bounds: StoredBounds;
  readonly processes: number;
}

export type StoredTarget = { readonly [K in keyof NotifyTarget]: NotifyTarget[K] | undefined } & {
  readonly url: string;
  readonly includeValues: boolean;
};

export type StoredBounds = { readonly [K in keyof CaptureBounds]?: CaptureBounds[K] | undefined };

export const initialState: RuleState = {
  firedMs: [],
  cooldownUntilMs: 0,
  dryUntilMs: 0,
  failedInRow: 0,
  lastFailure: '',
  suspension: null,
  incident: null,
  lastFiredMs: null,
  counts: { firings: 0, repeated: 0, failures: 0, refused: {} },
};

/** Changes with every change of the shape: what another version wrote is not guessed at. */
const version = 1;

const count = z.int().min(0);
const boundsSchema = z.strictObject({
  depth: count.optional(),
  stackBytes: count.optional(),
  bytes: count.optional(),
});
const engine = z.union([z.enum(engineNames), z.literal('')]);
const snapshotSchema = z.strictObject({
  kind: z.literal('snapshot'),
  target: z.string(),
  location: z.string(),
  condition: z.string().optional(),
  captures: z.array(z.string()),
  engine,
  bounds: boundsSchema,
  hits: count,
  everyProcess: z.boolean(),
  everyMs: count,
});
const nowSchema = z.strictObject({
  kind: z.literal('now'),
  target: z.string(),
  engine,
  bounds: boundsSchema,
  processes: count,
});
const facts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const causeSchema = z.strictObject({
  rule: z.string(),
  trigger: z.string(),
  text: z.string(),
  labels: z.record(z.string(), z.string()),
  facts,
});
const stepRunSchema = z.strictObject({
  step: z.discriminatedUnion('kind', [snapshotSchema, nowSchema]),
  state: z.enum(['waiting', 'started', 'done', 'failed']),
  text: z.string(),
  point: z.string(),
  begun: z.array(z.string()),
});
const targetSchema = z.strictObject({
  url: z.string(),
  tokenFile: z.string().optional(),
  secretFile: z.string().optional(),
  includeValues: z.boolean(),
});
const incidentSchema = z.strictObject({
  id: z.string(),
  cause: causeSchema,
  digest: z.string(),
  openedMs: z.number(),
  expiresMs: z.number(),
  hits: count,
  stacks: count,
  suspendAfter: count,
  stopOnFailure: z.boolean(),
  steps: z.array(stepRunSchema),
  counted: z.array(z.string()),
  seenStacks: z.array(z.string()),
  taken: count,
  armed: z.boolean(),
  repeated: count,
  alerts: z.array(z.string()),
  resolved: z.boolean(),
  notify: z.array(targetSchema),
  closing: z.string(),
});
const stateSchema = z.strictObject({
  version: z.literal(version),
  firedMs: z.array(z.number()),
  cooldownUntilMs: z.number(),
  dryUntilMs: z.number(),
  failedInRow: count,
  lastFailure: z.string(),
  suspension: z.strictObject({ why: z.string(), digest: z.string() }).nullable(),
  incident: incidentSchema.nullable(),
  lastFiredMs: z.number().nullable(),
  counts: z.strictObject({
    firings: count,
    repeated: count,
    failures: count,
    refused: z.partialRecord(z.enum(bounds), count),
  }),
});

export function encodeState(state: RuleState): string {
  return JSON.stringify({ version, ...state });
}

/** Throws `bad-data`. */
export function decodeState(json: string): RuleState {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw badData('cannot read the state of a rule: it is no JSON', { cause: error });
  }
  const result = stateSchema.safeParse(value);
  if (result.success) {
    const { version: _, ...state } = result.data;
    return state;
  }
  const [issue] = result.error.issues;
  throw badData(
    `cannot read the state of a rule: ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`,
  );
}
