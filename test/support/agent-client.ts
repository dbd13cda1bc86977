/** A conversation with an agent without the command line: for tests that arm often, or say what no command line would say. */
import { parseEndpoint } from '../../format/endpoint.js';
import { AgentClient } from '../../controller/rpc/agent-client.js';
import type { ArmOrder } from '../../controller/rpc/agent-facts.js';
import { planFor, type PointOptions } from '../../controller/service/planning.js';
import { openSymbols } from '../../controller/service/symbols.js';
import { SymbolsHere } from '../../controller/service/symbols-here.js';

export function connectAgent(address: string): Promise<AgentClient> {
  return AgentClient.connect({
    endpoint: parseEndpoint(address),
    receive: () => {
      throw new Error('no snapshot is expected');
    },
    connectTimeoutMs: 20_000,
  });
}

/** An order for a point that stays when the conversation ends. */
export async function orderFor(
  client: AgentClient,
  point: { readonly pid: number; readonly location: string } & Pick<PointOptions, 'condition' | 'metric'>,
): Promise<ArmOrder> {
  const { pid, ...asked } = point;
  const options: PointOptions = { target: String(pid), ...asked, captures: [], engine: '', bounds: {} };
  const { encoded } = await planFor(client, options, new SymbolsHere(openSymbols));
  return {
    id: '',
    pids: [pid],
    selector: '',
    plan: encoded,
    engine: '',
    maxHits: 1,
    everyProcess: false,
    minIntervalNs: 0n,
    expiresMs: Date.now() + 3_600_000,
    whileConnected: false,
    countOnly: false,
    owner: '',
    note: '',
  };
}
