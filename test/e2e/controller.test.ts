import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openWorkplace, type CliResult, type StartedProgram, type Workplace } from '../support/cli.js';
import { repositoryRoot } from '../support/paths.js';
import type { SnapshotJson } from '../support/documents.js';
import { buildTicker, startNamedTicker, uniqueName } from '../support/ticker.js';

// Several commands, each a process, and restarts of daemons.
vi.setConfig({ testTimeout: 300_000 });

/** A real agent, a real service, a controller as it is shipped, and the command line on it. */
let place: Workplace;
let service: string;
let agent: ChildProcess;
let controller: StartedProgram;

beforeEach(async () => {
  place = openWorkplace();
  service = uniqueName();
  agent = await place.startAgent();
  controller = await place.startController();
  await expect.poll(async () => (await place.run('doctor')).status).toBe(0);
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

interface PointJson {
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly hits: number;
  readonly owner?: string;
  readonly note?: string;
}

async function points(...args: string[]): Promise<PointJson[]> {
  return (await place.json('points', ...args)) as PointJson[];
}

function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode ?? child.signalCode);
    else child.once('exit', (status, signal) => resolve(status ?? signal));
  });
}

async function detached(...args: string[]): Promise<PointJson> {
  const [point] = (await place.json('snap', ...args, '--detach')) as [PointJson];
  return point;
}

/** A command that can be looked at while it runs. */
function startWaiting(...args: string[]): { stderr: () => string; result: Promise<CliResult> } {
  const program = join(repositoryRoot, 'bin', 'stillframe.js');
  const child = spawn(process.execPath, [program, ...args], { env: place.environment });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const result = new Promise<CliResult>((resolve) =>
    child.once('close', (status) => resolve({ status, stdout, stderr })),
  );
  return { stderr: () => stderr, result };
}

const never = ['--if', 'tick->number == -1'];

describe('the commands', () => {
  test('snap, show, eval, diff, export, points, rm', async () => {
    const { pid } = await startNamedTicker(place, service);
    const [snapshot] = (await place.json(
      'snap',
      `name:${service}`,
      'pass',
      '--capture',
      'tick->number * 2',
    )) as [SnapshotJson];
    expect(snapshot).toMatchObject({ pid, engine: 'uprobe', location: { function: 'pass' } });
    const [stored] = (await place.json('snapshots')) as [{ id: string }];
    expect(stored.id).toBe(snapshot.id);
    const [value] = (await place.json('eval', 'last', 'tick->label->weight')) as [{ value: string }];
    expect(value.value).toBe('7');
    expect((await place.run('diff', snapshot.id, 'last')).status).toBe(0);
    const wrong = await place.run('eval', snapshot.id, 'tick->nmber', '--json');
    expect(wrong.status).toBe(6);
    expect(JSON.parse(wrong.stdout)).toMatchObject({ error: { code: 'bad-expression' } });
    const file = join(place.folder, 'out.core');
    await place.json('export', snapshot.id, '-o', file);
    expect(statSync(file).size).toBeGreaterThan(1000);
    const gdb = spawnSync('gdb', ['-batch', '-ex', 'bt 1', buildTicker(), file], { encoding: 'utf8' });
    expect(gdb.stdout).toContain('pass (');
    // The exported file is a core like any other, and read here.
    const here = await place.run('show', file, '--source');
    expect(here.stdout).toMatch(/→ +\d+ │/);

    const point = await detached(`name:${service}`, 'pass', ...never, '--note', 'TICKET-7');
    await expect.poll(async () => (await points(point.id))[0]?.hits).toBeGreaterThan(0);
    const [armed] = await points(point.id.slice(0, 10));
    expect(armed).toMatchObject({
      state: 'armed',
      note: 'TICKET-7',
      owner: expect.stringMatching(/^.+@.+$/) as string,
    });
    const [removed] = (await place.json('rm', point.id)) as [PointJson];
    expect(removed).toMatchObject({ id: point.id, state: 'ended' });
  });

  test('errors reach the command line: of a location, of an expression, of a wait', async () => {
    await startNamedTicker(place, service);
    const errorOf = async (
      ...args: string[]
    ): Promise<{ status: number | null; error: { code: string; candidates?: string[] } }> => {
      const { status, stdout } = await place.run(...args, '--json');
      return { status, ...(JSON.parse(stdout) as { error: { code: string; candidates?: string[] } }) };
    };
    expect(await errorOf('explain', `name:${service}`, 'passs')).toMatchObject({
      status: 3,
      error: { code: 'not-found' },
    });
    expect(await errorOf('snap', `name:${service}`, 'pass', '--if', 'tock > 1')).toMatchObject({
      status: 6,
      error: { code: 'bad-expression' },
    });
    expect(await errorOf('snap', `name:${service}`, 'pass', ...never, '--wait', '2s')).toMatchObject({
      status: 4,
      error: { code: 'expired' },
    });
    // Nothing is left of a wait that ran out.
    await expect.poll(async () => (await points()).filter(({ state }) => state === 'armed')).toEqual([]);
  });

  test('a point on a process that does not exist yet fires in it when it starts', async () => {
    const waiting = place.run('snap', `name:${service}`, 'pass', '--wait', '110s', '--json');
    await expect.poll(async () => (await points())[0]?.state).toBe('pending');
    const [pending] = await points();
    expect(pending?.why).toMatch(/no (such )?process/);
    const { pid } = await startNamedTicker(place, service);
    const { status, stdout } = await waiting;
    expect(status, stdout).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pid, location: { function: 'pass' } });
  });

  test('points --watch tells of hits as they come, and of the removal', async () => {
    await startNamedTicker(place, service);
    const point = await detached(`name:${service}`, 'pass', ...never);
    const watching = await place.startProgram(process.execPath, [
      'bin/stillframe.js', 'points', point.id, '--watch', '--json',
    ]); // prettier-ignore
    await place.json('rm', point.id);
    const last = (): PointJson => JSON.parse(watching.lines.at(-1) ?? '{}') as PointJson;
    await expect.poll(() => last().state).toBe('ended');
    expect(JSON.parse(watching.lines[0] ?? '') as PointJson).toMatchObject({ id: point.id, state: 'armed' });
    watching.process.kill('SIGINT');
    expect(await ended(watching.process)).toBe(0);
  });
});

describe('the controller goes and comes back', () => {
  test('kill -9: the points are there, the same ones, and fire; what was caught meanwhile is stored', async () => {
    await startNamedTicker(place, service);
    const quiet = await detached(`name:${service}`, 'pass', ...never);
    const future = await detached('name:nobody', 'pass');
    controller.process.kill('SIGKILL');
    await ended(controller.process);
    expect((await place.run('points')).status).toBe(7);
    controller = await place.startController();
    await expect.poll(async () => (await points(quiet.id))[0]?.state).toBe('armed');
    const all = await points();
    expect(all.map(({ id }) => id).toSorted()).toEqual([quiet.id, future.id].toSorted());
    expect(all.find(({ id }) => id === future.id)?.state).toBe('pending');
    await place.json('rm', quiet.id, future.id);
  });

  test('kill -9 while a command waits: it goes on waiting, and gets its snapshot', async () => {
    const waiting = startWaiting('snap', `name:${service}`, 'pass', '--wait', '110s', '--json');
    await expect.poll(waiting.stderr).toMatch(/^point \S+ /);
    controller.process.kill('SIGKILL');
    await ended(controller.process);
    await sleep(1500);
    controller = await place.startController();
    const { pid } = await startNamedTicker(place, service);
    const { status, stdout, stderr } = await waiting.result;
    expect(status, stdout + stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pid, location: { function: 'pass' } });
    expect(await place.json('snapshots')).toHaveLength(1);
  });

  test('SIGTERM: it ends with 0, the point stays at the agent, and its hit is stored by the next one', async () => {
    const point = await detached(`name:${service}`, 'pass');
    controller.process.kill('SIGTERM');
    expect(await ended(controller.process)).toBe(0);
    controller = await place.startController();
    await startNamedTicker(place, service);
    await expect.poll(async () => (await place.json('snapshots')).length).toBe(1);
    await expect.poll(async () => (await points(point.id))[0]?.state).toBe('ended');
  });

  test('the agent goes and comes back', async () => {
    await startNamedTicker(place, service);
    const point = await detached(`name:${service}`, 'pass', ...never);
    agent.kill('SIGKILL');
    await ended(agent);
    await expect.poll(async () => (await points(point.id))[0]?.why).toMatch(/connect|reach|away/);
    agent = await place.startAgent();
    await expect.poll(async () => (await points(point.id))[0]?.state).toBe('armed');
    await place.json('rm', point.id);
  });
});

test('two agents: each is asked, and a point names both', async () => {
  await startNamedTicker(place, service);
  const listen = `unix:${join(place.folder, 'second.sock')}`;
  controller.process.kill('SIGTERM');
  await ended(controller.process);
  const spool = join(place.folder, 'spool-2');
  await place.startAgent({ listen, args: ['--spool', spool] });
  controller = await place.startController({ agents: [place.environment['STILLFRAME_AGENT'] ?? '', listen] });
  await expect.poll(async () => (await place.json('doctor')).length).toBe(2);
  const hosts = ((await place.json('targets', `name:${service}`)) as { host: string }[]).map(
    ({ host }) => host,
  );
  expect(new Set(hosts).size).toBe(2);
  const [snapshot] = (await place.json('snap', `name:${service}@${hosts[1]}`, 'pass')) as [SnapshotJson];
  expect(snapshot.location.function).toBe('pass');
  await expect.poll(() => readdirSync(spool).filter((name) => name.endsWith('.core'))).toEqual([]);
});

test('an agent that dials in, on the port that commands use', async () => {
  await startNamedTicker(place, service);
  controller.process.kill('SIGTERM');
  await ended(controller.process);
  controller = await place.startController({ agents: [], listen: '127.0.0.1:0' });
  expect((await place.run('doctor')).status).toBe(7);
  const listen = `unix:${join(place.folder, 'dialing.sock')}`;
  const address = place.environment['STILLFRAME_CONTROLLER'] ?? '';
  const args = ['--dial', address, '--spool', join(place.folder, 'spool-2')];
  await place.startAgent({ listen, args });
  await expect.poll(async () => (await place.run('doctor')).status).toBe(0);
  const [snapshot] = (await place.json('snap', `name:${service}`, 'pass')) as [SnapshotJson];
  expect(snapshot.location.function).toBe('pass');
});
