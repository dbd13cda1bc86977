/** A controller over real agents: unix sockets, agents that dial in over TCP, processes that come, fork and go, agents killed with -9. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gatewayServerOptions, serveFleetGateway } from '../../controller/rpc/fleet-gateway.js';
import type { SnapOptions } from '../../controller/service/controller-api.js';
import { StillframeError } from '../../format/error.js';
import { compileC } from '../support/compile-c.js';
import { FleetPlace } from '../support/fleet-place.js';

let bench: FleetPlace;
let gateway: Server | undefined;
let agent: ChildProcess;

beforeEach(async () => {
  bench = new FleetPlace();
  agent = await bench.place.startAgent();
  bench.open();
  await bench.connected(1);
});
afterEach(async () => {
  gateway?.forceShutdown();
  gateway = undefined;
  await bench[Symbol.asyncDispose]();
});

const options = (part: Partial<SnapOptions> = {}): SnapOptions => ({
  target: `name:${bench.name}`,
  location: 'pass',
  captures: ['tick->number'],
  engine: '',
  bounds: {},
  hits: 1,
  minIntervalNs: 0n,
  everyProcess: false,
  waitMs: 100_000,
  detach: false,
  ...part,
});

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
    const path = bench.program();
    const why: string[] = [];
    const snapping = bench.controller.snap(options(), { progress: (line) => void why.push(line) });
    await expect.poll(() => why[0]).toMatch(/^no process fits name:tick\w+ at \S+ yet$/);
    const { pid } = await bench.start(path);
    const { snapshots, point } = await snapping;
    expect(point).toMatchObject({ state: 'ended', end: 'hits', delivered: 1 });
    const shown = await bench.controller.show({ name: snapshots[0]?.id ?? '' }, {});
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
    const path = join(bench.place.folder, bench.name);
    copyFileSync(compileC(source, { name: 'forker' }), path);
    const parent = await bench.start(path);
    const { id } = await bench.points.set(bench.spec({ location: 'work' }), { strict: true });
    expect(bench.document(id).processes.map(({ pid }) => pid)).toEqual([parent.pid]);
    process.kill(parent.pid, 'SIGUSR1');
    await bench.state(id, 'ended');
    const [snapshot] = bench.store.listSnapshots({ point: id });
    expect(snapshot?.pid).toBeGreaterThan(0);
    expect(snapshot?.pid).not.toBe(parent.pid);
    process.kill(snapshot?.pid ?? -1, 'SIGKILL');
  });

  test('another build of the program has a plan of its own', async () => {
    const one = await bench.start(bench.program());
    const { id } = await bench.points.set(bench.spec({ condition: 'tick->number < 0' }), { strict: true });
    const path = join(bench.place.folder, 'other', bench.name);
    const source = `
      #include <stdio.h>
      #include <unistd.h>
      struct tick { char padding[40]; long number; };
      static __attribute__((noinline)) long pass(struct tick *tick) { __asm__ volatile("" ::: "memory"); return tick->number; }
      int main(void) { struct tick tick = { "", -1 }; puts("ready"); fflush(stdout); for (;;) { pass(&tick); usleep(10000); } }`;
    mkdirSync(join(bench.place.folder, 'other'));
    copyFileSync(compileC(source, { name: 'other-ticker' }), path);
    const other = await bench.start(path);
    await bench.state(id, 'ended');
    const [snapshot] = bench.store.listSnapshots({ point: id });
    expect(snapshot?.pid).toBe(other.pid);
    expect(one.process.exitCode).toBeNull();
  });
});

describe('agents that go', () => {
  test(
    'killed with -9 while armed: the point is armed again by the next one, and fires',
    { timeout: 180_000 },
    async () => {
      await bench.start(bench.program());
      const { id } = await bench.points.set(bench.spec({ condition: 'tick->number < 0' }), { strict: true });
      const quiet = bench.document(id);
      expect(quiet.state).toBe('armed');
      const second = await bench.points.set(bench.spec({ maxHits: 2, minIntervalNs: 3_000_000_000n }), {
        strict: true,
      });
      await expect.poll(() => bench.document(second.id).delivered).toBeGreaterThan(0);
      const gone = new Promise((resolve) => agent.once('exit', resolve));
      agent.kill('SIGKILL');
      await gone;
      await expect.poll(() => bench.document(id).why).toMatch(/^agent \S+ is not connected: /);
      agent = await bench.place.startAgent();
      await bench.state(id, 'armed');
      await bench.state(second.id, 'ended');
      expect(bench.store.countSnapshots(second.id)).toEqual({ stored: 2, surplus: 0 });
      const removed = await bench.points.remove(id, 'removed');
      expect(removed.why).toMatch(/^removed/);
      expect(removed.hosts).toMatchObject([{ state: 'ended' }]);
    },
  );

  test('removed while the agent is away: it goes when the agent comes back', async () => {
    await bench.start(bench.program());
    const { id } = await bench.points.set(bench.spec({ condition: 'tick->number < 0' }), { strict: true });
    // Another controller holds on to the agent; this one loses it, and is told to remove the point.
    const [held] = bench.fleet.agents();
    await bench.close();
    bench.open([]);
    const removed = await bench.points.remove(id, 'removed');
    expect(removed.why).toMatch(
      /^removed.*; still armed at \S+, which is not connected: it goes there when \S+ comes back, or expires at /,
    );
    await bench.close();
    bench.open();
    await bench.connected(1);
    await expect.poll(() => bench.document(id).why).toMatch(/^removed[^;]*$/);
    const views = (await bench.fleet.agents()[0]?.client.points()) ?? [];
    expect(views.filter(({ phase }) => phase === 'armed')).toEqual([]);
    expect(held?.host).toBe(bench.fleet.agents()[0]?.host);
  });

  test('the controller goes without a word and comes back: what was caught meanwhile is stored, once', async () => {
    const path = bench.program();
    const { id } = await bench.points.set(bench.spec({ maxHits: 2 }));
    await bench.start(path);
    await expect.poll(() => bench.document(id).state).not.toBe('pending');
    // Its conversations break off; nothing else is done.
    const before = bench.store.countSnapshots(id).stored;
    await bench.drop();
    expect(before).toBeLessThanOrEqual(2);
    bench.open();
    await bench.state(id, 'ended');
    expect(bench.store.countSnapshots(id)).toEqual({ stored: 2, surplus: 0 });
  });
});

describe('several agents', () => {
  test('first hit wins over both; the surplus is counted and not kept; each command asks both', async () => {
    await bench.start(bench.program());
    const second = `unix:${join(bench.place.folder, 'second.sock')}`;
    await bench.place.startAgent({ listen: second, args: ['--spool', join(bench.place.folder, 'spool-2')] });
    await bench.close();
    bench.open([bench.socket, second]);
    await bench.connected(2);
    const hosts = bench.fleet.agents().map(({ host }) => host);
    expect(hosts[1]).toBe(`${hosts[0]}#2`);
    const { id } = await bench.points.set(bench.spec(), { strict: true });
    await bench.state(id, 'ended');
    const { stored, surplus } = bench.store.countSnapshots(id);
    expect(stored).toBe(1);
    // Both kernels' probes sit in the same process, so both fired, unless one was quicker than the other was armed.
    expect(surplus).toBeLessThanOrEqual(1);
    expect(bench.document(id).why).toContain('delivered its hit');
    await expect.poll(() => bench.document(id).hosts?.map((host) => host.state)).toEqual(['ended', 'ended']);

    const targets = await bench.controller.targets(`name:${bench.name}`);
    expect(targets.map(({ host }) => host)).toEqual(hosts);
    expect(await bench.controller.doctor()).toHaveLength(2);
    const twice = await rejected(
      bench.controller.now({ target: `name:${bench.name}`, tids: [], engine: '', bounds: {} }),
    );
    expect(twice).toMatchObject({
      code: 'ambiguous',
      candidates: [expect.stringMatching(`^${hosts[0]}: `), expect.anything()],
    });
    const taken = await bench.controller.now({
      target: `name:${bench.name}@${hosts[1]}`,
      tids: [],
      engine: '',
      bounds: {},
    });
    expect(bench.store.hasSnapshot(taken.id)).toBe(true);
    const explained = await bench.controller.explain(options({ target: `name:${bench.name}` }));
    expect(explained.targets.map(({ host }) => host)).toEqual(hosts);
    expect(explained.sites[0]).toMatchObject({ function: 'pass' });
  });

  test('an agent that dials in over TCP', async () => {
    await bench.close();
    bench.open([]);
    gateway = new Server(gatewayServerOptions);
    serveFleetGateway(gateway, bench.fleet);
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
      join(bench.place.folder, 'spool-3'),
    ];
    const dialing = await bench.place.startProgram(process.execPath, args, { ready: /ready, dialing/ });
    await bench.connected(1);
    const path = bench.program();
    const { id } = await bench.points.set(bench.spec({ maxHits: 3 }));
    await bench.start(path);
    await bench.state(id, 'ended');
    expect(bench.store.countSnapshots(id).stored).toBe(3);
    dialing.process.kill('SIGKILL');
    await bench.connected(0);
    expect(bench.fleet.statuses()).toMatchObject([{ connected: false }]);
  });
});

test('a command line by hand, on the same store and agent, leaves the points of the controller alone', async () => {
  await bench.close();
  bench.open([bench.socket], join(bench.place.folder, 'data', 'stillframe'));
  await bench.connected(1);
  await bench.start(bench.program());
  const { id } = await bench.points.set(bench.spec({ condition: 'tick->number < 0' }), { strict: true });
  await expect.poll(() => bench.store.getPoint(id)?.status.phase).toBe('armed');
  expect(await bench.place.json('points', id)).toMatchObject([
    { id, state: 'armed', target: `name:${bench.name}` },
  ]);
  const refused = await bench.place.run('rm', id);
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain(`cannot remove point ${id}: a controller that runs as a daemon keeps it`);
  const [own] = (await bench.place.json('snap', `name:${bench.name}`, 'pass')) as [{ point: string }];
  expect(bench.points.list().find((point) => point.id === own.point)).toMatchObject({ state: 'ended' });
  expect(await rejected(bench.points.remove('000000000000', 'removed'))).toMatchObject({ code: 'not-found' });
  expect(bench.document(id).state).toBe('armed');
  expect(await bench.points.remove(own.point, 'removed')).toMatchObject({ id: own.point, state: 'ended' });
});

describe('what is said', () => {
  test('counts rise without a snapshot', async () => {
    await bench.start(bench.program());
    const { id } = await bench.points.set(bench.spec({ kind: 'count', condition: 'tick->number % 2 == 0' }), {
      strict: true,
    });
    const seen: number[] = [];
    using _listening = bench.points.listen({ point: (point) => void seen.push(point.hits) });
    await expect.poll(() => seen.at(-1) ?? 0).toBeGreaterThan(100);
    const counted = bench.document(id);
    expect(counted).toMatchObject({ kind: 'count', state: 'armed', delivered: 0 });
    expect(counted.conditionFalse).toBeGreaterThan(20);
    expect(counted.conditionFalse).toBeLessThan(counted.hits);
    const { hits } = await bench.points.remove(id, 'removed');
    expect(hits).toBeGreaterThanOrEqual(counted.hits);
    expect(bench.store.listSnapshots({ point: id })).toEqual([]);
  });

  test('an expression and a location that do not fit are refused at once, and nothing is kept', async () => {
    await bench.start(bench.program());
    const location = await rejected(bench.controller.snap(options({ location: 'passs' }), {}));
    expect(location).toMatchObject({ code: 'not-found' });
    const expression = await rejected(bench.controller.snap(options({ condition: 'tock > 1' }), {}));
    expect(expression).toMatchObject({ code: 'bad-expression' });
    const nobody = await rejected(bench.controller.snap(options({ target: '999999999' }), {}));
    expect(nobody).toMatchObject({ code: 'not-found', message: 'there is no process 999999999' });
    expect(bench.points.list()).toEqual([]);
  });

  test('a wait that runs out, or that nobody waits for any more, leaves nothing armed', async () => {
    await bench.start(bench.program());
    const never = { condition: 'tick->number < 0' };
    const late = await rejected(bench.controller.snap(options({ ...never, waitMs: 5000 }), {}));
    expect(late.code).toBe('expired');
    expect(late.message).toMatch(
      /did not fire within 5 s: armed at 1 address in process \d+ at \S+ by uprobe: \d+ hits, condition false \d+ times/,
    );
    const abort = new AbortController();
    const armed = new Promise<void>((resolve) => {
      bench.controller
        .snap(options(never), { signal: abort.signal, armed: () => resolve() })
        .catch((error: unknown) => void interrupted.push(error));
    });
    const interrupted: unknown[] = [];
    await armed;
    abort.abort();
    await expect.poll(() => interrupted[0]).toMatchObject({ code: 'expired' });
    const views = (await bench.fleet.agents()[0]?.client.points()) ?? [];
    expect(views.filter(({ phase }) => phase === 'armed')).toEqual([]);
    expect(bench.points.list().map((point) => point.state)).toEqual(['ended', 'ended']);
  });

  test('watchers see all at once, then what changes', async () => {
    const path = bench.program();
    const { id } = await bench.points.set(bench.spec());
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = bench.controller.watchPoints(id.slice(0, 11), {
      points: (changed) => void seen.push(...changed.map((point) => point.state)),
      signal: stop.signal,
    });
    await expect.poll(() => seen[0]).toBe('pending');
    await bench.start(path);
    await expect.poll(() => seen.at(-1)).toBe('ended');
    stop.abort();
    await watching;
    await expect(bench.controller.rules()).rejects.toThrow(
      'this controller has no rules: start it with --rules FILE',
    );
    await expect(bench.controller.show({ name: '/etc/passwd' }, {})).rejects.toThrow(
      'a controller opens no files of its callers',
    );
  });
});
