import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import type { AgentTarget, WatchOrder } from '../../../controller/rpc/agent-facts.js';
import type { AgentStatus, FleetAgent } from '../../../controller/fleet/fleet.js';
import { WatchBoard } from '../../../controller/fleet/watches.js';
import { hello } from '../rpc/scripted-channel.js';

interface WatchedAgent extends FleetAgent {
  readonly asked: WatchOrder[];
  readonly ended: string[];
  refuses?: StillframeError;
}

function agent(host: string): WatchedAgent {
  const asked: WatchOrder[] = [];
  const ended: string[] = [];
  const made: WatchedAgent = {
    host,
    identity: `dialed ${host}`,
    address: host,
    asked,
    ended,
    client: {
      facts: { ...hello, host: host.replace(/#.*/, '') },
      watch: (order: WatchOrder) => {
        asked.push(order);
        return made.refuses === undefined ? Promise.resolve() : Promise.reject(made.refuses);
      },
      unwatch: (id: string) => {
        ended.push(id);
        return Promise.resolve();
      },
    } as unknown as FleetAgent['client'],
  };
  return made;
}

const target = (pid: number): AgentTarget => ({
  pid, comm: 'x', args: [], uid: 0, executable: '/x', buildId: 'ab', unit: '', container: '', service: '', startTicks: 1n,
  startTimeMs: 1, refusal: '',
}); // prettier-ignore

let agents: WatchedAgent[];
let statuses: AgentStatus[];
let board: WatchBoard;
let told: string[];

beforeEach(() => {
  agents = [agent('web-1'), agent('web-2')];
  statuses = [];
  board = new WatchBoard({ agents: () => agents, statuses: () => statuses });
  told = [];
});

const at = (index: number): WatchedAgent => agents[index] as WatchedAgent;

function listener(name: string) {
  const pids = (targets: readonly AgentTarget[]): string => targets.map(({ pid }) => pid).join(',');
  return {
    appeared: (from: FleetAgent, targets: readonly AgentTarget[]) =>
      void told.push(`${name} ${from.host} +${pids(targets)}`),
    left: (from: FleetAgent, targets: readonly AgentTarget[]) =>
      void told.push(`${name} ${from.host} -${pids(targets)}`),
    state: (host: string, detail: string) => void told.push(`${name} ${host}: ${detail}`),
  };
}

const changed = (id: string, appeared: readonly number[], left: readonly number[] = []) =>
  ({ id, kind: 'targets', appeared: appeared.map(target), left: left.map(target) }) as const;

describe('targets', () => {
  test('one watch at each agent for all who ask the same; it ends with the last of them', async () => {
    const first = board.watchTargets('name:x', listener('a'));
    board.heard(at(0), changed('w1', [1, 2]));
    await turn();
    expect(at(0).asked).toEqual([{ id: 'w1', kind: 'targets', selector: 'name:x' }]);
    const second = board.watchTargets('name:x', listener('b'));
    expect(at(0).asked).toHaveLength(1);
    await turn();
    board.heard(at(1), changed('w1', [7]));
    board.heard(at(0), changed('w1', [], [2, 9]));
    expect(told).toEqual([
      'a web-1 +1,2',
      'b web-1 +1,2',
      'a web-2 +7',
      'b web-2 +7',
      'a web-1 -2',
      'b web-1 -2',
    ]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(at(0).ended).toEqual([]);
    second[Symbol.dispose]();
    expect([at(0).ended, at(1).ended]).toEqual([['w1'], ['w1']]);
    board.heard(at(0), changed('w1', [3]));
    expect(told).toHaveLength(6);
  });

  test('only where the selector means', () => {
    board.watchTargets('name:x@web-2', listener('a'));
    expect([at(0).asked.length, at(1).asked.length]).toEqual([0, 1]);
    // An agent that says what it was not asked is not believed.
    board.heard(at(0), changed('w1', [1]));
    expect(told).toEqual([]);
  });

  test('a host that calls itself the same as another is meant by both names', () => {
    agents = [agent('web-1'), agent('web-1#2')];
    board.watchTargets('@web-1', listener('a'));
    board.watchTargets('name:x@web-1#2', listener('b'));
    expect(at(0).asked.map(({ id }) => id)).toEqual(['w1']);
    expect(at(1).asked).toMatchObject([{ id: 'w1', selector: '' }, { id: 'w2' }]);
  });

  test('asked again of an agent that comes back; nothing is told of one that went', async () => {
    board.watchTargets('name:x', listener('a'));
    await turn();
    board.heard(at(0), changed('w1', [1]));
    board.disconnected(at(0), 'it hung up');
    agents[0] = agent('web-1');
    board.connected(at(0));
    expect(at(0).asked).toHaveLength(1);
    board.heard(at(0), changed('w1', [1]));
    expect(told).toEqual(['a web-1 +1', 'a web-1 +1']);
  });

  test('why they are not watched is told once, and that they are again', async () => {
    at(0).refuses = new StillframeError('limit', '64 watches are kept');
    board.watchTargets('name:x', listener('a'));
    await turn();
    board.watchTargets('name:x', listener('b'));
    await turn();
    delete at(0).refuses;
    board.connected(at(0));
    await turn();
    expect(told).toEqual([
      'a web-1: 64 watches are kept',
      'b web-1: 64 watches are kept',
      'a web-1: ',
      'b web-1: ',
    ]);
  });

  test('an agent that claims processes without end is cut short', async () => {
    const seen: number[] = [];
    board.watchTargets('name:x', {
      appeared: (_, targets) => void seen.push(targets.length),
      left: () => undefined,
    });
    await turn();
    board.heard(
      at(0),
      changed(
        'w1',
        Array.from({ length: 5000 }, (_, i) => i),
      ),
    );
    board.heard(at(0), changed('w1', [6000]));
    expect(seen).toEqual([4096]);
  });
});

describe('logs and usage', () => {
  const log = { path: '/var/log/x', pattern: 'ERROR' };

  test('what is seen comes with its host', () => {
    const seen: unknown[] = [];
    board.watchLog(log, { matched: (match) => void seen.push(match), state: () => undefined });
    const usage = { selector: 'name:x', resource: 'cpu', above: 90, forMs: 1000 } as const;
    board.watchUsage(usage, { exceeded: (event) => void seen.push(event), state: () => undefined });
    expect(at(1).asked).toEqual([
      { id: 'w1', kind: 'log', ...log },
      { id: 'w2', kind: 'usage', ...usage },
    ]);
    board.heard(at(1), { id: 'w1', kind: 'log', timeMs: 5, line: 'ERROR x', count: 2 });
    board.heard(at(0), { id: 'w2', kind: 'usage', timeMs: 6, target: target(4), value: 99 });
    // Of another kind than was asked.
    board.heard(at(0), { id: 'w1', kind: 'usage', timeMs: 6, target: target(4), value: 99 });
    expect(seen).toMatchObject([
      { host: 'web-2', timeMs: 5, line: 'ERROR x', count: 2 },
      { host: 'web-1', timeMs: 6, value: 99 },
    ]);
  });

  test('each host says why it does not watch, once, and when it does', async () => {
    statuses = [
      {
        host: 'web-3',
        identity: 'x',
        address: 'x',
        connected: false,
        sinceMs: 0,
        error: 'connect ECONNREFUSED',
      },
    ];
    board.watchLog(log, {
      matched: () => undefined,
      state: (host, detail) => void told.push(`${host}: ${detail}`),
    });
    await turn();
    board.heard(at(0), { id: 'w1', kind: 'state', detail: 'no such file' });
    board.heard(at(0), { id: 'w1', kind: 'state', detail: 'no such file' });
    board.heard(at(0), { id: 'w1', kind: 'state', detail: '' });
    board.disconnected(at(1), 'it fell silent');
    board.connected(at(1));
    await turn();
    expect(told).toEqual([
      'web-3: agent web-3 is not connected: connect ECONNREFUSED',
      'web-1: no such file',
      'web-1: ',
      'web-2: agent web-2 is not connected: it fell silent',
      'web-2: ',
    ]);
  });
});
