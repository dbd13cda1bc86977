import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openFleet, type AgentFleet } from '../../../controller/fleet/agent-fleet.js';
import { gatewayServerOptions, serveFleetGateway } from '../../../controller/rpc/fleet-gateway.js';
import { openStore } from '../../../controller/store/sqlite.js';
import type { Store } from '../../../controller/store/store.js';
import { toLong } from '../../../proto/long.js';
import { makeCertificates } from '../../support/tls.js';
import { readTestNote, snapshotBytes } from '../store/snapshot-bytes.js';
import { DialingAgent, ListeningAgent } from './scripted-agent.js';

let folder: string;
let store: Store;
let fleet: AgentFleet | undefined;
let told: string[];
const servers: Server[] = [];
const agents: (ListeningAgent | DialingAgent)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-fleet-'));
  store = openStore({ folder, readNote: readTestNote });
  told = [];
});
afterEach(async () => {
  await fleet?.[Symbol.asyncDispose]();
  fleet = undefined;
  for (const server of servers.splice(0)) server.forceShutdown();
  for (const agent of agents.splice(0)) {
    if (agent instanceof DialingAgent) agent[Symbol.dispose]();
    else await agent[Symbol.asyncDispose]();
  }
  store[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function open(...addresses: string[]): AgentFleet {
  const say = (facts: object, message: string): void => void told.push(`${message} ${JSON.stringify(facts)}`);
  fleet = openFleet({
    agents: addresses,
    tls: undefined,
    store,
    log: { info: () => undefined, warn: say, error: say },
  });
  fleet.listen({
    connected: ({ host }) => void told.push(`+${host}`),
    disconnected: ({ host }, reason) => void told.push(`-${host}: ${reason}`),
  });
  return fleet;
}

async function listening(part: object = {}): Promise<ListeningAgent> {
  const agent = await new ListeningAgent(part).listen();
  agents.push(agent);
  return agent;
}

async function gateway(credentials: ServerCredentials = ServerCredentials.createInsecure()): Promise<string> {
  const server = new Server(gatewayServerOptions);
  servers.push(server);
  serveFleetGateway(server, fleet ?? open());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return `127.0.0.1:${port}`;
}

function dialing(
  address: string,
  part: object = {},
  tls?: ConstructorParameters<typeof DialingAgent>[2],
): DialingAgent {
  const agent = new DialingAgent(address, part, tls);
  agents.push(agent);
  return agent;
}

const hosts = (): string[] => (fleet?.agents() ?? []).map(({ host }) => host);

describe('dialing', () => {
  test('agents are greeted and named; one that is not there is said to be, and taken up when it comes', async () => {
    const first = await listening();
    const away = await new ListeningAgent({ host: 'web-9' }).listen();
    away.stop();
    open(first.address, away.address);
    await vi.waitFor(() => expect(hosts()).toEqual(['web-1']));
    expect(fleet?.statuses()).toMatchObject([
      { host: 'web-1', connected: true },
      { host: away.address, connected: false, error: `connect ECONNREFUSED ${away.address}` },
    ]);
    expect(told.filter((line) => line.includes('cannot be reached'))).toHaveLength(1);
    agents.push(await away.listen(away.address));
    await vi.waitFor(() => expect(hosts()).toEqual(['web-1', 'web-9']));
  });

  test('two that say the same host are named by the order of their addresses', async () => {
    const made = [await listening({ pid: 1 }), await listening({ pid: 2 }), await listening({ pid: 3 })];
    const sorted = made.map(({ address }) => address).toSorted();
    open(...sorted.toReversed());
    await vi.waitFor(() => expect(hosts()).toHaveLength(3));
    const named = new Map(fleet?.agents().map(({ host, address }) => [address, host]));
    expect(sorted.map((address) => named.get(address))).toEqual(['web-1', 'web-1#2', 'web-1#3']);
  });

  test('one that hangs up is dialed again, and asked again what is watched', async () => {
    const agent = await listening();
    const watched = open(agent.address);
    const seen: string[] = [];
    watched.watchTargets('name:shop', {
      appeared: ({ host }, targets) => void seen.push(`${host} ${targets.map(({ pid }) => pid).join(',')}`),
      left: () => undefined,
    });
    const asked = (): number => agent.commands.filter(({ body }) => body === 'watchTargets').length;
    await vi.waitFor(() => expect(asked()).toBe(1));
    const id = agent.commands.find(({ body }) => body === 'watchTargets')?.watchTargets?.watchId ?? '';
    agent.streams[0]?.write({ targetsChanged: { watchId: id, appeared: [{ pid: 4 }] } });
    await vi.waitFor(() => expect(seen).toEqual(['web-1 4']));
    agent.streams[0]?.end();
    await vi.waitFor(() => expect(asked()).toBe(2));
    expect(told).toEqual(expect.arrayContaining(['+web-1', '-web-1: it hung up', '+web-1']));
  });

  test('one that claims nonsense is not let in, and dialed again', async () => {
    const agent = await listening({ host: 'a b' });
    open(agent.address);
    await vi.waitFor(() => expect(agent.streams.length).toBeGreaterThan(1));
    expect(hosts()).toEqual([]);
    expect(fleet?.statuses()[0]?.error).toContain('which is no host name');
  });
});

describe('agents that dial', () => {
  test('hold the same conversation', async () => {
    const address = await gateway();
    const agent = dialing(address, { host: 'edge-1' });
    await vi.waitFor(() => expect(hosts()).toEqual(['edge-1']));
    expect(await fleet?.agents()[0]?.client.listTargets('name:shop')).toMatchObject([
      { pid: 4, comm: 'shop' },
    ]);
    expect(agent.commands[0]?.greeting?.controller).toBe(`controller ${process.pid}`);
    agent.stream.cancel();
    await vi.waitFor(() => expect(hosts()).toEqual([]));
    expect(fleet?.statuses()).toMatchObject([{ host: 'edge-1', connected: false, error: 'it hung up' }]);
  });

  test('the same one that comes again takes the place of its old conversation', async () => {
    const address = await gateway();
    const old = dialing(address);
    await vi.waitFor(() => expect(hosts()).toEqual(['web-1']));
    dialing(address);
    await vi.waitFor(() => expect(old.ended).toBe('end'));
    expect(hosts()).toEqual(['web-1']);
    expect(told).toContain('-web-1: the same agent began another conversation');
  });

  test('one that does not say hello first is sent away', async () => {
    const address = await gateway();
    const rude = dialing(address, { host: '' });
    await vi.waitFor(() => expect(rude.ended).toBeDefined());
    expect(hosts()).toEqual([]);
    expect(told.join()).toContain('an agent that dialed was refused');
  });

  test('with TLS it is known by its certificate', async () => {
    const certificates = makeCertificates(folder);
    const { cert, key, ca } = certificates.server;
    const pair = { private_key: readFileSync(key), cert_chain: readFileSync(cert) };
    const address = await gateway(ServerCredentials.createSsl(readFileSync(ca), [pair], true));
    const stranger = dialing(address, {}, certificates.stranger);
    await vi.waitFor(() => expect(stranger.ended).toBeDefined());
    dialing(address, {}, certificates.client);
    await vi.waitFor(() => expect(hosts()).toEqual(['web-1']));
    expect(fleet?.agents()[0]?.identity).toBe('certificate client web-1');
  });

  test('two hundred at once', async () => {
    const address = await gateway();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 200; i++) dialing(address, { host: `edge-${i}`, bootId: `b${i}` });
    await vi.waitFor(() => expect(hosts()).toHaveLength(200));
    expect(new Set(hosts()).size).toBe(200);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024);
  });
});

describe('snapshots', () => {
  const id = '0t3k9fx7q2ab';

  function send(agent: DialingAgent, point: string, part: object = {}): void {
    const bytes = snapshotBytes({ snapshot: id, point });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    agent.stream.write({
      snapshotBegin: { snapshotId: id, pointId: point, size: toLong(bytes.length), sha256, ...part },
    });
    agent.stream.write({ snapshotChunk: { snapshotId: id, data: bytes } });
    agent.stream.write({ snapshotEnd: { snapshotId: id } });
  }

  const acknowledged = (agent: DialingAgent): boolean =>
    agent.commands.some(({ body }) => body === 'acknowledgeSnapshot');

  test.each([
    ['of a point that this controller does not keep', '000000000001-aabbccdd'],
    ['of a "now" that nobody asked for', ''],
  ])('%s are not taken', async (_, point) => {
    const address = await gateway();
    const agent = dialing(address);
    await vi.waitFor(() => expect(hosts()).toHaveLength(1));
    send(agent, point);
    await vi.waitFor(() => expect(told.join()).toContain(`cannot store snapshot ${id}: nobody asked for it`));
    expect(acknowledged(agent)).toBe(false);
    expect(store.listSnapshots()).toEqual([]);
  });

  test('of a point that it keeps are stored under the name of the point, and acknowledged', async () => {
    store.putPoint({
      id: '000000000001', createdMs: 1, target: 'name:x', location: 'f', captures: [], engine: '', maxHits: 1, minIntervalNs: 0n,
      expiresMs: 9e12, agent: '', pids: [], modulePath: '', buildId: '', plan: new Uint8Array(),
      status: { phase: 'armed', why: '' }, kind: 'snapshot', everyProcess: false, bounds: {}, owner: '', note: '',
    }); // prettier-ignore
    const address = await gateway();
    const agent = dialing(address);
    await vi.waitFor(() => expect(hosts()).toHaveLength(1));
    send(agent, '000000000001-aabbccdd');
    await vi.waitFor(() => expect(acknowledged(agent)).toBe(true));
    expect(store.listSnapshots({ point: '000000000001' }).map((record) => record.id)).toEqual([id]);
  });
});

test('an address that is none is refused at once', () => {
  expect(() => open('nowhere')).toThrow('cannot parse address "nowhere"');
});
