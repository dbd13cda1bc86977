/**
 * A controller over real agents, in this process so that its parts can be looked at: unix sockets, agents that dial in over TCP, processes that
 * come, fork and go, agents killed with -9. Programs have names and paths of their own: other tests run on the same machine.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFleet, type AgentFleet } from '../../controller/fleet/agent-fleet.js';
import { PointKeeper } from '../../controller/fleet/point-keeper.js';
import type { PointSpec } from '../../controller/fleet/points.js';
import { gatewayServerOptions, serveFleetGateway } from '../../controller/rpc/fleet-gateway.js';
import { openEmbeddedStore } from '../../controller/service/embedded-store.js';
import { FleetController } from '../../controller/service/fleet-controller.js';
import type { SnapOptions } from '../../controller/service/controller-api.js';
import type { PointDocument } from '../../controller/service/documents.js';
import { openSymbols } from '../../controller/service/symbols.js';
import type { Store } from '../../controller/store/store.js';
import { StillframeError } from '../../format/error.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { compileC } from '../support/compile-c.js';
import { buildTicker } from '../support/ticker.js';

let place: Workplace;
let store: Store;
let fleet: AgentFleet;
let points: PointKeeper;
let controller: FleetController;
let gateway: Server | undefined;
let agent: ChildProcess;
let name: string;
let names = 0;

const socket = (): string => place.environment['STILLFRAME_AGENT'] ?? '';

function open(agents: readonly string[] = [socket()], folder = join(place.folder, 'controller')): void {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  store = openEmbeddedStore(folder);
  fleet = openFleet({ agents, tls: undefined, store, log });
  points = new PointKeeper({ store, fleet, openSymbols, log });
  controller = new FleetController({ fleet, points, store, openSymbols });
}

async function close(): Promise<void> {
  await points[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
  store[Symbol.dispose]();
}

beforeEach(async () => {
  place = openWorkplace();
  agent = await place.startAgent();
  open();
  await connected(1);
  name = `tick${process.pid}x${++names}`;
});
afterEach(async () => {
  await close();
  gateway?.forceShutdown();
  gateway = undefined;
  await place[Symbol.asyncDispose]();
});

const connected = (count: number): Promise<void> =>
  expect.poll(() => fleet.agents().length, { timeout: 60_000 }).toBe(count);

/** The ticker under a name of this test. */
function program(): string {
  const path = join(place.folder, name);
  copyFileSync(buildTicker(), path);
  return path;
}

const start = (path: string): Promise<StartedProgram> => place.startProgram(path, [], { ready: /^ready$/ });

const spec = (part: Partial<PointSpec> = {}): PointSpec => ({
  kind: 'snapshot',
  target: `name:${name}`,
  location: 'pass',
  captures: [],
  engine: '',
  bounds: {},
  maxHits: 1,
  everyProcess: false,
  minIntervalNs: 0n,
  expiresMs: Date.now() + 600_000,
  owner: 'test',
  note: '',
  ...part,
});

const options = (part: Partial<SnapOptions> = {}): SnapOptions => ({
  target: `name:${name}`,
  location: 'pass',
  captures: ['tick->number'],
  engine: '',
  bounds: {},
  hits: 1,
  minIntervalNs: 0n,
  everyProcess: false,
  waitMs: 30_000,
  detach: false,
  ...part,
});

function document(id: string): PointDocument {
  const found = points.list().find((point) => point.id === id);
  if (found === undefined) throw new Error(`no point ${id}`);
  return found;
}

const state = (id: string, wanted: string): Promise<void> =>
  expect.poll(() => document(id), { timeout: 60_000 }).toMatchObject({ state: wanted });

async function rejected(promise: Promise<unknown>): Promise<StillframeError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StillframeError) return error;
    throw error;
  }
  throw new Error('it was not rejected');
}

describe('processes that come', () => {
  test('a point set before its process exists fires in it', async () => {
    const path = program();
    const why: string[] = [];
    const snapping = controller.snap(options(), { progress: (line) => void why.push(line) });
    await expect.poll(() => why[0], { timeout: 10_000 }).toMatch(/^no process fits name:tick\w+ at \S+ yet$/);
    const { pid } = await start(path);
    const { snapshots, point } = await snapping;
    expect(point).toMatchObject({ state: 'ended', end: 'hits', delivered: 1 });
    const shown = await controller.show({ name: snapshots[0]?.id ?? '' }, {});
    expect(shown).toMatchObject({ pid, point: point.id, location: { function: 'pass' } });
    expect(shown.captures[0]).toMatchObject({ expression: 'tick->number', kind: 'int' });
  });

  test('a worker that is forked after the point was set', async () => {
    const source = `
      #include <signal.h>
      #include <stdio.h>
      #include <unistd.h>
      static volatile sig_atomic_t wanted;
      static void want(int signal) { (void)signal; wanted = 1; }
      static __attribute__((noinline)) int work(int job) { __asm__ volatile("" ::: "memory"); return job + 1; }
      int main(void) {
        signal(SIGUSR1, want);
        puts("ready"); fflush(stdout);
        while (!wanted) usleep(1000);
        int job = 0;
        if (fork() == 0) for (;;) { job = work(job); usleep(10000); }
        for (;;) pause();
      }`;
    const path = join(place.folder, name);
    copyFileSync(compileC(source, { name: 'forker' }), path);
    const parent = await start(path);
    const { id } = await points.set(spec({ location: 'work' }), { strict: true });
    expect(document(id).processes.map(({ pid }) => pid)).toEqual([parent.pid]);
    process.kill(parent.pid, 'SIGUSR1');
    await state(id, 'ended');
    const [snapshot] = store.listSnapshots({ point: id });
    expect(snapshot?.pid).toBeGreaterThan(0);
    expect(snapshot?.pid).not.toBe(parent.pid);
    process.kill(snapshot?.pid ?? -1, 'SIGKILL');
  });

  test('another build of the program has a plan of its own', async () => {
    const one = await start(program());
    const { id } = await points.set(spec({ condition: 'tick->number < 0' }), { strict: true });
    const path = join(place.folder, 'other', name);
    const source = `
      #include <stdio.h>
      #include <unistd.h>
      struct tick { char padding[40]; long number; };
      static __attribute__((noinline)) long pass(struct tick *tick) { __asm__ volatile("" ::: "memory"); return tick->number; }
      int main(void) { struct tick tick = { "", -1 }; puts("ready"); fflush(stdout); for (;;) { pass(&tick); usleep(10000); } }`;
    const { mkdirSync } = await import('node:fs');
    mkdirSync(join(place.folder, 'other'));
    copyFileSync(compileC(source, { name: 'other-ticker' }), path);
    const other = await start(path);
    await state(id, 'ended');
    const [snapshot] = store.listSnapshots({ point: id });
    expect(snapshot?.pid).toBe(other.pid);
    expect(one.process.exitCode).toBeNull();
  });
});

describe('agents that go', () => {
  test(
    'killed with -9 while armed: the point is armed again by the next one, and fires',
    { timeout: 180_000 },
    async () => {
      await start(program());
      const { id } = await points.set(spec({ condition: 'tick->number < 0' }), { strict: true });
      const quiet = document(id);
      expect(quiet.state).toBe('armed');
      const second = await points.set(spec({ maxHits: 2, minIntervalNs: 3_000_000_000n }), { strict: true });
      await expect.poll(() => document(second.id).delivered, { timeout: 20_000 }).toBe(1);
      const gone = new Promise((resolve) => agent.once('exit', resolve));
      agent.kill('SIGKILL');
      await gone;
      await expect.poll(() => document(id).why).toMatch(/^agent \S+ is not connected: /);
      agent = await place.startAgent();
      await state(id, 'armed');
      await state(second.id, 'ended');
      expect(store.countSnapshots(second.id)).toEqual({ stored: 2, surplus: 0 });
      const removed = await points.remove(id, 'removed');
      expect(removed.why).toMatch(/^removed/);
      expect(removed.hosts).toMatchObject([{ state: 'ended' }]);
    },
  );

  test('removed while the agent is away: it goes when the agent comes back', async () => {
    await start(program());
    const { id } = await points.set(spec({ condition: 'tick->number < 0' }), { strict: true });
    // Another controller holds on to the agent; this one loses it, and is told to remove the point.
    const [held] = fleet.agents();
    await close();
    open([]);
    const removed = await points.remove(id, 'removed');
    expect(removed.why).toMatch(
      /^removed.*; still armed at \S+, which is not connected: it goes there when \S+ comes back, or expires at /,
    );
    await close();
    open();
    await connected(1);
    await expect.poll(() => document(id).why, { timeout: 20_000 }).toMatch(/^removed[^;]*$/);
    const views = (await fleet.agents()[0]?.client.points()) ?? [];
    expect(views.filter(({ phase }) => phase === 'armed')).toEqual([]);
    expect(held?.host).toBe(fleet.agents()[0]?.host);
  });

  test('the controller goes without a word and comes back: what was caught meanwhile is stored, once', async () => {
    const path = program();
    const { id } = await points.set(spec({ maxHits: 2 }));
    await start(path);
    await state(id, 'armed').catch(() => undefined);
    // Its conversations break off; nothing else is done.
    const before = store.countSnapshots(id).stored;
    await fleet[Symbol.asyncDispose]();
    store[Symbol.dispose]();
    await points[Symbol.asyncDispose]().catch(() => undefined);
    expect(before).toBeLessThanOrEqual(2);
    open();
    await state(id, 'ended');
    expect(store.countSnapshots(id)).toEqual({ stored: 2, surplus: 0 });
  });
});

describe('several agents', () => {
  test('first hit wins over both; the surplus is counted and not kept; each command asks both', async () => {
    await start(program());
    const second = `unix:${join(place.folder, 'second.sock')}`;
    await place.startAgent({ listen: second, args: ['--spool', join(place.folder, 'spool-2')] });
    await close();
    open([socket(), second]);
    await connected(2);
    const hosts = fleet.agents().map(({ host }) => host);
    expect(hosts[1]).toBe(`${hosts[0]}#2`);
    const { id } = await points.set(spec(), { strict: true });
    await state(id, 'ended');
    const { stored, surplus } = store.countSnapshots(id);
    expect(stored).toBe(1);
    // Both kernels' probes sit in the same process, so both fired, unless one was quicker than the other was armed.
    expect(surplus).toBeLessThanOrEqual(1);
    expect(document(id).why).toContain('delivered its hit');
    await expect.poll(() => document(id).hosts?.map((host) => host.state)).toEqual(['ended', 'ended']);

    const targets = await controller.targets(`name:${name}`);
    expect(targets.map(({ host }) => host)).toEqual(hosts);
    expect(await controller.doctor()).toHaveLength(2);
    const twice = await rejected(
      controller.now({ target: `name:${name}`, tids: [], engine: '', bounds: {} }),
    );
    expect(twice).toMatchObject({
      code: 'ambiguous',
      candidates: [expect.stringMatching(`^${hosts[0]}: `), expect.anything()],
    });
    const taken = await controller.now({
      target: `name:${name}@${hosts[1]}`,
      tids: [],
      engine: '',
      bounds: {},
    });
    expect(store.hasSnapshot(taken.id)).toBe(true);
    const explained = await controller.explain(options({ target: `name:${name}` }));
    expect(explained.targets.map(({ host }) => host)).toEqual(hosts);
    expect(explained.sites[0]).toMatchObject({ function: 'pass' });
  });

  test('an agent that dials in over TCP', async () => {
    await close();
    open([]);
    gateway = new Server(gatewayServerOptions);
    serveFleetGateway(gateway, fleet);
    const port = await new Promise<number>((resolve, reject) => {
      gateway?.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const args = [
      'bin/stillframe.js',
      'agent',
      '--dial',
      `127.0.0.1:${port}`,
      '--spool',
      join(place.folder, 'spool-3'),
    ];
    const dialing = await place.startProgram(process.execPath, args, { ready: /ready, dialing/ });
    await connected(1);
    const path = program();
    const { id } = await points.set(spec({ maxHits: 3 }));
    await start(path);
    await state(id, 'ended');
    expect(store.countSnapshots(id).stored).toBe(3);
    dialing.process.kill('SIGKILL');
    await connected(0);
    expect(fleet.statuses()).toMatchObject([{ connected: false }]);
  });
});

test('a command line by hand, on the same store and agent, leaves the points of the controller alone', async () => {
  await close();
  open([socket()], join(place.folder, 'data', 'stillframe'));
  await connected(1);
  await start(program());
  const { id } = await points.set(spec({ condition: 'tick->number < 0' }), { strict: true });
  await expect.poll(() => store.getPoint(id)?.status.phase).toBe('armed');
  expect(await place.json('points', id)).toMatchObject([{ id, state: 'armed', target: `name:${name}` }]);
  const refused = await place.run('rm', id);
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain(`cannot remove point ${id}: a controller that runs as a daemon keeps it`);
  const [own] = (await place.json('snap', `name:${name}`, 'pass')) as [{ point: string }];
  expect(points.list().find((point) => point.id === own.point)).toMatchObject({ state: 'ended' });
  expect(await rejected(points.remove('000000000000', 'removed'))).toMatchObject({ code: 'not-found' });
  expect(document(id).state).toBe('armed');
  expect(await points.remove(own.point, 'removed')).toMatchObject({ id: own.point, state: 'ended' });
});

describe('what is said', () => {
  test('counts rise without a snapshot', async () => {
    await start(program());
    const { id } = await points.set(spec({ kind: 'count', condition: 'tick->number % 2 == 0' }), {
      strict: true,
    });
    const seen: number[] = [];
    using _listening = points.listen({ point: (point) => void seen.push(point.hits) });
    await expect.poll(() => seen.at(-1) ?? 0, { timeout: 20_000 }).toBeGreaterThan(100);
    const counted = document(id);
    expect(counted).toMatchObject({ kind: 'count', state: 'armed', delivered: 0 });
    expect(counted.conditionFalse).toBeGreaterThan(20);
    expect(counted.conditionFalse).toBeLessThan(counted.hits);
    const { hits } = await points.remove(id, 'removed');
    expect(hits).toBeGreaterThanOrEqual(counted.hits);
    expect(store.listSnapshots({ point: id })).toEqual([]);
  });

  test('an expression and a location that do not fit are refused at once, and nothing is kept', async () => {
    await start(program());
    const location = await rejected(controller.snap(options({ location: 'passs' }), {}));
    expect(location).toMatchObject({ code: 'not-found' });
    const expression = await rejected(controller.snap(options({ condition: 'tock > 1' }), {}));
    expect(expression).toMatchObject({ code: 'bad-expression' });
    const nobody = await rejected(controller.snap(options({ target: '999999999' }), {}));
    expect(nobody).toMatchObject({ code: 'not-found', message: 'there is no process 999999999' });
    expect(points.list()).toEqual([]);
  });

  test('a wait that runs out, or that nobody waits for any more, leaves nothing armed', async () => {
    await start(program());
    const never = { condition: 'tick->number < 0' };
    const late = await rejected(controller.snap(options({ ...never, waitMs: 1500 }), {}));
    expect(late.code).toBe('expired');
    expect(late.message).toMatch(
      /did not fire within 1.5 s: armed at 1 address in process \d+ at \S+ by uprobe: \d+ hits, condition false \d+ times/,
    );
    const abort = new AbortController();
    const armed = new Promise<void>((resolve) => {
      controller
        .snap(options(never), { signal: abort.signal, armed: () => resolve() })
        .catch((error: unknown) => void interrupted.push(error));
    });
    const interrupted: unknown[] = [];
    await armed;
    abort.abort();
    await expect.poll(() => interrupted[0], { timeout: 10_000 }).toMatchObject({ code: 'expired' });
    const views = (await fleet.agents()[0]?.client.points()) ?? [];
    expect(views.filter(({ phase }) => phase === 'armed')).toEqual([]);
    expect(points.list().map((point) => point.state)).toEqual(['ended', 'ended']);
  });

  test('watchers see all at once, then what changes', async () => {
    const path = program();
    const { id } = await points.set(spec());
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = controller.watchPoints(id.slice(0, 11), {
      points: (changed) => void seen.push(...changed.map((point) => point.state)),
      signal: stop.signal,
    });
    await expect.poll(() => seen[0], { timeout: 10_000 }).toBe('pending');
    await start(path);
    await expect.poll(() => seen.at(-1), { timeout: 20_000 }).toBe('ended');
    stop.abort();
    await watching;
    await expect(controller.rules()).rejects.toThrow(
      'this controller has no rules: start it with --rules FILE',
    );
    await expect(controller.show({ name: '/etc/passwd' }, {})).rejects.toThrow(
      'a controller opens no files of its callers',
    );
  });
});
