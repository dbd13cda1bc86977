/** The processes that a TARGET means now, over all agents that are connected. */
import { StillframeError, toStillframeError, withContext } from '../../format/error.js';
import { parseSelector } from '../../format/target-selector.js';
import type { AgentTarget } from '../rpc/agent-facts.js';
import { describeTarget, isNear, wantedName } from '../service/targets.js';
import type { AgentStatus } from './fleet.js';
import type { PointAgent } from './point-agent.js';
import { isMeant } from './watches.js';
import { within } from './within.js';

export interface FoundTarget<A> {
  readonly agent: A;
  readonly target: AgentTarget;
}

interface SearchedFleet<A> {
  agents(): readonly A[];
  statuses(): readonly AgentStatus[];
}

type SearchedAgent = Pick<PointAgent, 'host'> & {
  readonly client: Pick<PointAgent['client'], 'facts' | 'listTargets'>;
};

/** An agent that takes longer is left out, and said so where nothing was found elsewhere. */
const listMs = 10_000;
const maxCandidates = 10;

/** In the order of hosts. Empty when none fits; throws `unreachable` when no agent that is meant is connected. */
export async function searchTargets<A extends SearchedAgent>(
  fleet: SearchedFleet<A>,
  selector: string | undefined,
): Promise<readonly FoundTarget<A>[]> {
  const parsed = selector === undefined ? undefined : parseSelector(selector);
  const agents = meantAgents(fleet, parsed?.host);
  const asked = parsed === undefined || parsed.kind === 'any' ? '' : (selector ?? '');
  const failures: unknown[] = [];
  const lists = await Promise.all(
    agents.map(async (agent) => {
      try {
        const targets = await within(agent.client.listTargets(asked), listMs);
        if (targets === undefined) {
          throw new StillframeError('unreachable', `it did not answer within ${listMs / 1000} s`);
        }
        return targets.map((target) => ({ agent, target }));
      } catch (error) {
        failures.push(withContext(`agent ${agent.host}`, error));
        return [];
      }
    }),
  );
  const found = lists.flat();
  if (found.length === 0 && failures.length > 0) throw toStillframeError(failures[0]);
  return found;
}

/** Those that may be looked into. Throws `not-found` with near matches, or `denied` when none of them may. */
export async function findInFleet<A extends SearchedAgent>(
  fleet: SearchedFleet<A>,
  selector: string,
): Promise<readonly FoundTarget<A>[]> {
  const found = await searchTargets(fleet, selector);
  const [first] = found;
  if (first === undefined) throw await noTarget(fleet, selector);
  const open = found.filter(({ target }) => target.refusal === '');
  if (open.length > 0) return open;
  const { agent, target } = first;
  throw new StillframeError(
    'denied',
    `cannot look into process ${target.pid} (${target.comm}) at ${agent.host}: ${target.refusal}`,
    { detail: { pid: target.pid } },
  );
}

/** Throws `ambiguous` with the candidates. */
export async function findOneInFleet<A extends SearchedAgent>(
  fleet: SearchedFleet<A>,
  selector: string,
): Promise<FoundTarget<A>> {
  const found = await findInFleet(fleet, selector);
  const [first, ...others] = found;
  if (first !== undefined && others.length === 0) return first;
  throw ambiguous(selector, found);
}

export function ambiguous(
  selector: string,
  found: readonly FoundTarget<{ readonly host: string }>[],
): StillframeError {
  return new StillframeError('ambiguous', `"${selector}" fits ${found.length} processes`, {
    candidates: found
      .slice(0, maxCandidates)
      .map(({ agent, target }) => `${agent.host}: ${describeTarget(target)}`),
    hint: 'name one by its pid and host: PID@HOST',
  });
}

export async function noTarget<A extends SearchedAgent>(
  fleet: SearchedFleet<A>,
  selector: string,
): Promise<StillframeError> {
  const { kind, host } = parseSelector(selector);
  const what = kind === 'pid' ? `there is no process ${selector}` : `no process fits "${selector}"`;
  const wanted = wantedName(selector);
  const all = await searchTargets(fleet, host === undefined ? undefined : `@${host}`).catch(() => []);
  const near = all
    .filter(({ target }) => isNear(wanted, target))
    .slice(0, maxCandidates)
    .map(({ agent, target }) => `${agent.host}: ${describeTarget(target)}`);
  return new StillframeError('not-found', what, {
    candidates: near,
    hint: '`stillframe targets` lists the processes that can be looked into',
  });
}

/** Throws `unreachable` when none is connected, and `not-found` for a host that nobody knows. */
function meantAgents<A extends SearchedAgent>(fleet: SearchedFleet<A>, host: string | undefined): A[] {
  const agents = fleet
    .agents()
    .filter((agent) => isMeant(host, agent))
    .toSorted((a, b) => (a.host < b.host ? -1 : 1));
  if (agents.length > 0) return agents;
  const statuses = fleet.statuses();
  const meant = statuses.filter((status) => host === undefined || status.host === host);
  const [one] = meant;
  if (one !== undefined) {
    const others = meant.length > 1 ? `, nor are ${meant.length - 1} others` : '';
    throw new StillframeError(
      'unreachable',
      `agent ${one.host} is not connected: ${one.error ?? 'no reason is known'}${others}`,
    );
  }
  if (host !== undefined && statuses.length > 0) {
    throw new StillframeError('not-found', `no agent is called "${host}"`, {
      candidates: statuses.slice(0, maxCandidates).map((status) => status.host),
    });
  }
  throw new StillframeError('unreachable', 'no agent is connected', {
    hint: 'start the controller with --agent ADDRESS, or agents with --dial ADDRESS of the controller',
  });
}
