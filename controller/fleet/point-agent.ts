/** What a point keeper needs of a fleet and its agents: `Fleet` has it, and so have the fleets in memory of its tests. */
import type { AgentConversation } from '../rpc/agent-client.js';
import type { AgentTarget } from '../rpc/agent-facts.js';
import type { AgentStatus } from './fleet.js';

export interface PointAgent {
  readonly host: string;
  readonly identity: string;
  readonly address: string;
  readonly client: Pick<
    AgentConversation,
    | 'facts'
    | 'listen'
    | 'listTargets'
    | 'targetFacts'
    | 'points'
    | 'followPoints'
    | 'arm'
    | 'disarm'
    | 'resume'
    | 'fetch'
  >;
}

export interface PointFleet {
  agents(): readonly PointAgent[];
  statuses(): readonly AgentStatus[];
  listen(listener: PointFleetListener): Disposable;
  watchTargets(selector: string, listener: PointTargetListener): Disposable;
}

export interface PointFleetListener {
  connected?(agent: PointAgent): void;
  disconnected?(agent: PointAgent, reason: string): void;
}

export interface PointTargetListener {
  appeared(agent: PointAgent, targets: readonly AgentTarget[]): void;
  left(agent: PointAgent, targets: readonly AgentTarget[]): void;
  state?(host: string, detail: string): void;
}
