/** A metric or a log over a fleet: planned for each host on its own, one build a host. */
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Fleet } from '../fleet/fleet.js';
import { findInFleet } from '../fleet/target-search.js';
import type { AgentConversation } from '../rpc/agent-client.js';
import { chooseProcesses, maxTargets, planChosen, type Planned, type PointOptions } from './planning.js';
import type { SymbolAnswers } from './symbol-answers.js';

export interface PlannedHost {
  readonly host: string;
  readonly client: AgentConversation;
  readonly planned: Planned;
}

/** Throws the first refusal where no host can be planned for. */
export async function planOnEachHost(
  fleet: Fleet,
  options: PointOptions,
  symbols: SymbolAnswers,
): Promise<readonly PlannedHost[]> {
  const found = (await findInFleet(fleet, options.target)).slice(0, maxTargets);
  const agents: PlannedHost[] = [];
  let failure: StillframeError | undefined;
  for (const agent of new Set(found.map((each) => each.agent))) {
    const targets = found.filter((each) => each.agent === agent).map(({ target }) => target);
    try {
      const { client, host } = agent;
      const chosen = await chooseProcesses(client, targets, options.location);
      agents.push({ host, client, planned: await planChosen(client, chosen, options, symbols) });
    } catch (error) {
      failure ??= toStillframeError(error);
    }
  }
  if (agents.length > 0) return agents;
  throw failure ?? new StillframeError('not-found', `no process fits "${options.target}"`);
}
