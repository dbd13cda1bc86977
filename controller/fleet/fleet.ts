/**
 * The agents that a controller holds conversations with, for as long as it runs: dialed with back-off, or dialing in. What is asked of a
 * fleet is kept here and asked again of every agent that comes (back), so that whoever asks need not know which agents are there.
 */
import type { AgentConversation } from '../rpc/agent-client.js';
import type { AgentTarget } from '../rpc/agent-facts.js';
import type { ComingSnapshot } from '../rpc/incoming-snapshots.js';
import type { SnapshotWriter } from '../store/store.js';

export interface FleetAgent {
  /** What its hello says; with a number behind it where two agents say the same. */
  readonly host: string;
  /** The same for the same agent whenever it comes back, also after this controller was restarted. */
  readonly identity: string;
  /** As it was dialed, or where it dials from. */
  readonly address: string;
  readonly client: AgentConversation;
}

export interface AgentStatus {
  /** Its address where it never greeted. */
  readonly host: string;
  readonly identity: string;
  readonly address: string;
  readonly connected: boolean;
  /** Since when, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** Why it is not connected. */
  readonly error?: string;
}

/** Each watch lasts until it is disposed, over all agents whose host the selector (`…@HOST`) or `host` allows. */
export interface FleetWatches {
  watchTargets(selector: string, listener: TargetListener): Disposable;
  watchLog(watch: LogWatch, listener: LogListener): Disposable;
  watchUsage(watch: UsageWatch, listener: UsageListener): Disposable;
}

export interface Fleet extends FleetWatches {
  /** Those that are connected now. */
  agents(): readonly FleetAgent[];
  /** All that are configured or were ever here. */
  statuses(): readonly AgentStatus[];
  listen(listener: FleetListener): Disposable;
  /** Hits of this point go to `receive` until it is disposed, not to the store. */
  take(pointId: string, receive: (announced: ComingSnapshot) => SnapshotWriter): Disposable;
}

export interface FleetListener {
  connected?(agent: FleetAgent): void;
  disconnected?(agent: FleetAgent, reason: string): void;
}

/**
 * All that fit are told when the watch begins, and when an agent comes back. Of those on an agent that went away nothing is told: what is
 * there now nobody knows.
 */
export interface TargetListener {
  appeared(agent: FleetAgent, targets: readonly AgentTarget[]): void;
  left(agent: FleetAgent, targets: readonly AgentTarget[]): void;
  /** Why they are not watched at that host; empty when they are (again). */
  state?(host: string, detail: string): void;
}

export interface LogWatch {
  /** Undefined: on every host. */
  readonly host?: string;
  readonly path: string;
  readonly pattern: string;
}

export interface LogListener {
  matched(match: {
    readonly host: string;
    readonly timeMs: number;
    readonly line: string;
    readonly count: number;
  }): void;
  /** Why it does not watch at that host; empty when it does (again). */
  state(host: string, detail: string): void;
}

export const resources = ['cpu', 'rss', 'threads', 'descriptors'] as const;
export type Resource = (typeof resources)[number];

export interface UsageWatch {
  readonly selector: string;
  readonly resource: Resource;
  /** Percent of one CPU, bytes, or a number. */
  readonly above: number;
  readonly forMs: number;
}

export interface UsageListener {
  exceeded(event: {
    readonly host: string;
    readonly timeMs: number;
    readonly target: AgentTarget;
    readonly value: number;
  }): void;
  state(host: string, detail: string): void;
}

/** What pino offers; messages and facts, never values of a target. */
export interface FleetLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
