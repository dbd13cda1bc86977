import { describe, expect, test } from 'vitest';
import type { AgentConversation } from '../../../controller/rpc/agent-client.js';
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

const names = (roster: Roster): string[] => roster.agents().map(({ host }) => host);

describe('dialed agents', () => {
  test('are known by their address until they greet, and by their host from then on', () => {
    const roster = new Roster();
    roster.expect('10.0.0.1:7443');
    roster.failed('10.0.0.1:7443', 'connect ECONNREFUSED');
    expect(roster.statuses()).toMatchObject([
      { host: '10.0.0.1:7443', address: '10.0.0.1:7443', connected: false, error: 'connect ECONNREFUSED' },
    ]);
    const { agent: admitted } = roster.admit(agent({ address: '10.0.0.1:7443' }));
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
    const first = roster.admit(agent({ address: 'a:1' })).agent;
    const second = roster.admit(agent({ address: 'b:1' })).agent;
    expect([first.host, second.host]).toEqual(['web-1', 'web-1#2']);
    roster.leave(first, 'gone');
    roster.leave(second, 'gone');
    expect(roster.admit(agent({ address: 'b:1' })).agent.host).toBe('web-1#2');
    expect(roster.admit(agent({ address: 'a:1' })).agent.host).toBe('web-1');
  });

  test('another host behind the address has another name', () => {
    const roster = new Roster();
    roster.leave(roster.admit(agent({ address: 'a:1' })).agent, 'gone');
    expect(roster.admit(agent({ address: 'a:1', host: 'web-9' })).agent).toMatchObject({
      host: 'web-9',
      identity: 'dialed a:1',
    });
  });

  test('the newest conversation takes the place of the one before', () => {
    const roster = new Roster();
    const old = roster.admit(agent({})).agent;
    const { agent: young, replaced } = roster.admit(agent({}));
    expect(replaced).toBe(old);
    expect(roster.agents()).toEqual([young]);
    // What is told of the old one afterwards changes nothing.
    expect(roster.leave(old, 'it hung up')).toBe(false);
    expect(roster.statuses()).toMatchObject([{ connected: true }]);
  });
});

describe('agents that dial', () => {
  const dialing = (about: About = {}): AgentConversation =>
    agent({ address: '127.0.0.1:50000', dialedIn: true, ...about });

  test('the same process that comes again takes its place', () => {
    const roster = new Roster();
    const old = roster.admit(dialing()).agent;
    const { agent: young, replaced } = roster.admit(dialing({ address: '127.0.0.1:50001' }));
    expect(replaced).toBe(old);
    expect(young).toMatchObject({ host: 'web-1', identity: old.identity, address: '127.0.0.1:50001' });
  });

  test('two agents of one machine are two', () => {
    const roster = new Roster();
    roster.admit(dialing({ pid: 1 }));
    expect(roster.admit(dialing({ pid: 2 }))).toMatchObject({
      agent: { host: 'web-1#2' },
      replaced: undefined,
    });
    expect(names(roster)).toEqual(['web-1', 'web-1#2']);
  });

  test('one that was restarted takes the place of the one before when that is gone', () => {
    const roster = new Roster();
    const old = roster.admit(dialing({ pid: 1 })).agent;
    roster.leave(old, 'it hung up');
    expect(roster.admit(dialing({ pid: 2 })).agent).toMatchObject({ host: 'web-1', identity: old.identity });
    expect(roster.statuses()).toHaveLength(1);
  });

  test('by certificate: a machine that booted again takes the place of its old conversation, which nobody closed', () => {
    const roster = new Roster();
    const certificateName = 'agent-1';
    const old = roster.admit(dialing({ certificateName, pid: 1, bootId: 'one' })).agent;
    const { agent: young, replaced } = roster.admit(dialing({ certificateName, pid: 1, bootId: 'two' }));
    expect(replaced).toBe(old);
    expect(young).toMatchObject({ host: 'web-1', identity: old.identity });
  });

  test('a host that another certificate holds is not taken, whatever is claimed', () => {
    const roster = new Roster();
    const honest = roster.admit(dialing({ certificateName: 'agent-1' })).agent;
    const { agent: liar, replaced } = roster.admit(dialing({ certificateName: 'agent-2' }));
    expect(replaced).toBeUndefined();
    expect([honest.host, liar.host]).toEqual(['web-1', 'web-1#2']);
  });

  test('one certificate for a whole fleet: hosts tell them apart', () => {
    const roster = new Roster();
    for (const host of ['a', 'b', 'c']) roster.admit(dialing({ certificateName: 'fleet', host }));
    expect(names(roster)).toEqual(['a', 'b', 'c']);
  });

  test('a host that was set up anew, in another namespace, takes over the name of the one that is gone', () => {
    const roster = new Roster();
    const old = roster.admit(dialing({ pidNamespace: 'pid:[1]' })).agent;
    roster.leave(old, 'gone');
    expect(roster.admit(dialing({ pidNamespace: 'pid:[2]' })).agent.host).toBe('web-1');
    expect(roster.statuses()).toHaveLength(1);
  });

  test('those that are gone are not remembered without end', () => {
    const roster = new Roster();
    for (let i = 0; i < 1100; i++) roster.leave(roster.admit(dialing({ host: `h${i}` })).agent, 'gone');
    expect(roster.statuses().length).toBe(1000);
  });
});
