import { describe, expect, test } from 'vitest';
import type { AgentConversation } from '../../../controller/rpc/agent-client.js';
import type { FleetAgent } from '../../../controller/fleet/fleet.js';
import { Roster } from '../../../controller/fleet/roster.js';
import { hello } from '../rpc/scripted-channel.js';

interface About {
  readonly address?: string;
  readonly dialedIn?: boolean;
  readonly certificateName?: string;
  readonly host?: string;
  readonly pid?: number;
  readonly bootId?: string;
  readonly pidNamespace?: string;
}

/** A conversation as far as a roster looks at it. */
function agent(about: About): AgentConversation {
  const { address = 'unix:/a', dialedIn = false, certificateName, ...facts } = about;
  return { address, dialedIn, certificateName, facts: { ...hello, ...facts } } as AgentConversation;
}

function admit(
  roster: Roster,
  about: AgentConversation,
): { agent: FleetAgent; replaced: FleetAgent | undefined } {
  const admission = roster.admit(about);
  if ('refused' in admission) throw new Error(admission.refused);
  return admission;
}

const names = (roster: Roster): string[] => roster.agents().map(({ host }) => host);

describe('dialed agents', () => {
  test('are known by their address until they greet, and by their host from then on', () => {
    const roster = new Roster();
    roster.expect('10.0.0.1:7443');
    roster.failed('10.0.0.1:7443', 'connect ECONNREFUSED');
    expect(roster.statuses()).toMatchObject([
      { host: '10.0.0.1:7443', address: '10.0.0.1:7443', connected: false, error: 'connect ECONNREFUSED' },
    ]);
    const { agent: admitted } = admit(roster, agent({ address: '10.0.0.1:7443' }));
    const [status] = roster.statuses();
    expect(status).toMatchObject({ host: 'web-1', connected: true });
    expect(status).not.toHaveProperty('error');
    expect(roster.leave(admitted, 'it hung up')).toBe(true);
    expect(roster.statuses()).toMatchObject([{ host: 'web-1', connected: false, error: 'it hung up' }]);
    roster.failed('10.0.0.1:7443', 'connect ETIMEDOUT');
    expect(roster.statuses()[0]?.error).toBe('connect ETIMEDOUT');
  });

  test('two that say the same host are numbered, and keep their names when they come back in another order', () => {
    const roster = new Roster();
    const first = admit(roster, agent({ address: 'a:1', pid: 1 })).agent;
    const second = admit(roster, agent({ address: 'b:1', pid: 2 })).agent;
    expect([first.host, second.host]).toEqual(['web-1', 'web-1#2']);
    roster.leave(first, 'gone');
    roster.leave(second, 'gone');
    expect(admit(roster, agent({ address: 'b:1', pid: 2 })).agent.host).toBe('web-1#2');
    expect(admit(roster, agent({ address: 'a:1', pid: 1 })).agent.host).toBe('web-1');
  });

  test('another host behind the address has another name', () => {
    const roster = new Roster();
    roster.leave(admit(roster, agent({ address: 'a:1' })).agent, 'gone');
    expect(admit(roster, agent({ address: 'a:1', host: 'web-9' })).agent).toMatchObject({
      host: 'web-9',
      identity: 'dialed a:1',
    });
  });

  test('the newest conversation takes the place of the one before', () => {
    const roster = new Roster();
    const old = admit(roster, agent({})).agent;
    const { agent: young, replaced } = admit(roster, agent({}));
    expect(replaced).toBe(old);
    expect(roster.agents()).toEqual([young]);
    // What is told of the old one afterwards changes nothing.
    expect(roster.leave(old, 'it hung up')).toBe(false);
    expect(roster.statuses()).toMatchObject([{ connected: true }]);
  });
});

describe('one process, talked to in two ways', () => {
  test('at two addresses: the second is not wanted, and its status says why', () => {
    const roster = new Roster();
    roster.expect('unix:/a');
    roster.expect('10.0.0.1:7443');
    admit(roster, agent({ address: 'unix:/a' }));
    const refused = 'it is the agent at unix:/a, which is dialed already';
    expect(roster.admit(agent({ address: '10.0.0.1:7443' }))).toEqual({ refused });
    expect(roster.admit(agent({ address: '127.0.0.1:9', dialedIn: true }))).toEqual({ refused });
    expect(names(roster)).toEqual(['web-1']);
  });

  test('one that dialed in, and is dialed then, is talked to by dialing', () => {
    const roster = new Roster();
    const old = admit(roster, agent({ address: '127.0.0.1:9', dialedIn: true })).agent;
    const { agent: young, replaced } = admit(roster, agent({ address: 'unix:/a' }));
    expect(replaced).toBe(old);
    expect(young).toMatchObject({ host: 'web-1', identity: 'dialed unix:/a' });
    expect(roster.statuses()).toHaveLength(1);
  });
});

describe('agents that dial', () => {
  const dialing = (about: About = {}): AgentConversation =>
    agent({ address: '127.0.0.1:50000', dialedIn: true, ...about });

  test('the same process that comes again takes its place', () => {
    const roster = new Roster();
    const old = admit(roster, dialing()).agent;
    const { agent: young, replaced } = admit(roster, dialing({ address: '127.0.0.1:50001' }));
    expect(replaced).toBe(old);
    expect(young).toMatchObject({ host: 'web-1', identity: old.identity, address: '127.0.0.1:50001' });
  });

  test('two agents of one machine are two', () => {
    const roster = new Roster();
    admit(roster, dialing({ pid: 1 }));
    expect(admit(roster, dialing({ pid: 2 }))).toMatchObject({
      agent: { host: 'web-1#2' },
      replaced: undefined,
    });
    expect(names(roster)).toEqual(['web-1', 'web-1#2']);
  });

  test('one that was restarted takes the place of the one before when that is gone', () => {
    const roster = new Roster();
    const old = admit(roster, dialing({ pid: 1 })).agent;
    roster.leave(old, 'it hung up');
    expect(admit(roster, dialing({ pid: 2 })).agent).toMatchObject({ host: 'web-1', identity: old.identity });
    expect(roster.statuses()).toHaveLength(1);
  });

  test('by certificate: a machine that booted again takes the place of its old conversation, which nobody closed', () => {
    const roster = new Roster();
    const certificateName = 'agent-1';
    const old = admit(roster, dialing({ certificateName, pid: 1, bootId: 'one' })).agent;
    const { agent: young, replaced } = admit(roster, dialing({ certificateName, pid: 1, bootId: 'two' }));
    expect(replaced).toBe(old);
    expect(young).toMatchObject({ host: 'web-1', identity: old.identity });
  });

  test('a host that another certificate holds is not taken, whatever is claimed', () => {
    const roster = new Roster();
    const honest = admit(roster, dialing({ certificateName: 'agent-1' })).agent;
    const { agent: liar, replaced } = admit(roster, dialing({ certificateName: 'agent-2', bootId: 'mine' }));
    expect(replaced).toBeUndefined();
    expect([honest.host, liar.host]).toEqual(['web-1', 'web-1#2']);
  });

  test('one certificate for a whole fleet: hosts tell them apart', () => {
    const roster = new Roster();
    for (const host of ['a', 'b', 'c']) admit(roster, dialing({ certificateName: 'fleet', host }));
    expect(names(roster)).toEqual(['a', 'b', 'c']);
  });

  test('a host that was set up anew, in another namespace, takes over the name of the one that is gone', () => {
    const roster = new Roster();
    const old = admit(roster, dialing({ pidNamespace: 'pid:[1]' })).agent;
    roster.leave(old, 'gone');
    expect(admit(roster, dialing({ pidNamespace: 'pid:[2]' })).agent.host).toBe('web-1');
    expect(roster.statuses()).toHaveLength(1);
  });

  test('those that are gone are not remembered without end', () => {
    const roster = new Roster();
    for (let i = 0; i < 1100; i++) roster.leave(admit(roster, dialing({ host: `h${i}` })).agent, 'gone');
    expect(roster.statuses().length).toBe(1000);
  });
});
