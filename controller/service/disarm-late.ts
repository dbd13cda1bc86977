/** A point that an agent did not say it armed, and may arm yet: an answer that did not come in time says nothing of what is done there. */
import type { StillframeError } from '../../format/error.js';
import type { AgentConversation } from '../rpc/agent-client.js';

/** `failure`: what arming failed with. Not waited for: an agent that armed nothing says so, and one that is gone holds nothing. */
export function disarmLate(
  client: Pick<AgentConversation, 'disarm'>,
  pointId: string,
  failure: StillframeError,
): void {
  // A refusal leaves nothing armed.
  if (failure.code === 'unreachable') client.disarm(pointId).catch(() => undefined);
}
