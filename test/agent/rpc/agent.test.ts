import { execFileSync, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../../support/cli.js';
import type { SnapshotJson } from '../../support/documents.js';
import { repositoryRoot } from '../../support/paths.js';
import { startTicker } from '../../support/ticker.js';

/** The agent as it is shipped: processes, sockets, certificates, kills. */
let workplace: Workplace;
let ticker: StartedProgram;

beforeEach(async () => {
  workplace = openWorkplace();
  ticker = await startTicker(workplace);
});
afterEach(async () => {
  await workplace[Symbol.asyncDispose]();
});

const pid = (): string => String(ticker.pid);
const socket = (): string => join(workplace.folder, 'agent.sock');

async function snapOnce(...args: string[]): Promise<SnapshotJson> {
  const [snapshot] = (await workplace.json('snap', pid(), 'pass', ...args)) as [SnapshotJson];
  return snapshot;
}

function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode ?? child.signalCode);
    else child.once('exit', (status, signal) => resolve(status ?? signal));
  });
}

/** Processes whose parent is this one. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return (
          readFileSync(`/proc/${name}/stat`, 'utf8')
            .replace(/^.*\) /, '')
            .split(' ')[1] === String(parent)
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** What a program would have in its text if a breakpoint had been left there, and what a tracer would show. */
function isUntouched(): boolean {
  return /^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid()}/status`, 'utf8'));
}

describe('a unix socket', () => {
  test('is for its owner only, and goes with the agent', async () => {
    const agent = await workplace.startAgent();
    expect(statSync(socket()).mode & 0o777).toBe(0o600);
    expect((await snapOnce()).location.function).toBe('pass');
    agent.kill('SIGTERM');
    expect(await ended(agent)).toBe(0);
    expect(existsSync(socket())).toBe(false);
  });

  test('in use is refused; left over from a killed agent it is taken', async () => {
    const first = await workplace.startAgent();
    const second = workplace.startAgent();
    await expect(second).rejects.toThrow(`cannot listen on "${socket()}": another agent listens there`);
    first.kill('SIGKILL');
    await ended(first);
    expect(existsSync(socket())).toBe(true);
    await workplace.startAgent();
    expect((await snapOnce()).engine).toBe('uprobe');
  });

  test('a file that is no socket is left alone', async () => {
    writeFileSync(socket(), 'mine');
    await expect(workplace.startAgent()).rejects.toThrow('a file that is no socket lies there');
    expect(readFileSync(socket(), 'utf8')).toBe('mine');
  });
});

describe('TCP', () => {
  const port = 20_000 + (process.pid % 10_000);

  test('on this host: two commands at once on one agent', async () => {
    await workplace.startAgent({ listen: `127.0.0.1:${port}` });
    const agent = ['--agent', `127.0.0.1:${port}`];
    const [one, two] = await Promise.all([
      snapOnce(...agent),
      snapOnce('--if', 'tick->number % 2 == 0', ...agent),
    ]);
    expect(one.id).not.toBe(two.id);
    const stored = (await workplace.json('snapshots', ...agent)) as { id: string }[];
    expect(stored.map(({ id }) => id).toSorted()).toEqual([one.id, two.id].toSorted());
  });

  test('beyond this host is refused without TLS', async () => {
    await expect(workplace.startAgent({ listen: '0.0.0.0:0' })).rejects.toThrow(
      'cannot listen on 0.0.0.0 without TLS',
    );
  });

  test('with mutual TLS: with a certificate of the authority, and not without', async () => {
    const folder = makeCertificates(workplace.folder);
    const files = (name: string, authority = 'ca'): string[] => [
      '--tls-cert', join(folder, `${name}.pem`),
      '--tls-key', join(folder, `${name}.key`),
      '--tls-ca', join(folder, `${authority}.pem`),
    ]; // prettier-ignore
    await workplace.startAgent({ listen: `127.0.0.1:${port + 1}`, args: files('agent') });
    const agent = ['--agent', `127.0.0.1:${port + 1}`];
    expect((await snapOnce(...agent, ...files('controller'))).location.function).toBe('pass');

    const refused = [[], files('stranger'), files('stranger', 'other-ca')];
    for (const flags of refused) {
      const result = await workplace.run('snap', pid(), 'pass', ...agent, ...flags, '--json');
      expect(result.status, result.stdout).toBe(7);
      expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'unreachable' } });
    }
    const some = await workplace.run('targets', ...agent, '--tls-cert', join(folder, 'controller.pem'));
    expect(some).toMatchObject({
      status: 2,
      stderr:
        'error: --tls-cert, --tls-key and --tls-ca go together\nhint: TLS is mutual: a certificate, its key, and the authority that signed the other side\n',
    });
  });
});

function makeCertificates(parent: string): string {
  const folder = join(parent, 'tls');
  const run = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  };
  execFileSync('mkdir', ['-p', folder]);
  for (const authority of ['ca', 'other-ca']) {
    run('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', `/CN=${authority}`, '-keyout', `${authority}.key`, '-out', `${authority}.pem`); // prettier-ignore
  }
  writeFileSync(join(folder, 'san'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  for (const [name, authority] of [
    ['agent', 'ca'],
    ['controller', 'ca'],
    ['stranger', 'other-ca'],
  ] as const) {
    run('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
      '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`); // prettier-ignore
    run('x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`,
      '-CAcreateserial', '-days', '2', '-extfile', 'san', '-out', `${name}.pem`); // prettier-ignore
  }
  return folder;
}

describe('kill -9', () => {
  test('of the agent: the service runs on, and the next agent arms again for the command that waits', async () => {
    const first = await workplace.startAgent();
    const waiting = workplace.run(
      'snap',
      pid(),
      'pass',
      '--if',
      'tick->number < 0',
      '--wait',
      '110s',
      '--json',
    );
    await pointIs('armed');
    const [tracer] = childrenOf(first.pid ?? -1);
    first.kill('SIGKILL');
    await ended(first);
    await gone(tracer ?? -1);
    expect(ticker.process.exitCode).toBeNull();
    expect(isUntouched()).toBe(true);

    await workplace.startAgent();
    const point = await pointIs('armed');
    await workplace.json('rm', point.id);
    const result = await waiting;
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'expired' } });
    expect(result.status).toBe(4);
  });

  test('of the agent: the next one arms a detached point again, without any command', async () => {
    const first = await workplace.startAgent();
    const [armed] = (await workplace.json(
      'snap', pid(), 'pass', '--if', 'tick->number == -1', '--detach',
    )) as [{ id: string }]; // prettier-ignore
    first.kill('SIGKILL');
    await ended(first);
    await workplace.startAgent();
    expect(await passedAfter(0)).toMatchObject({ id: armed.id });
  });

  test('of the tracer: the point is armed again and fires', async () => {
    const agent = await workplace.startAgent();
    const [armed] = (await workplace.json(
      'snap',
      pid(),
      'pass',
      '--if',
      'tick->number == -1',
      '--detach',
    )) as [{ id: string }];
    const [tracer] = childrenOf(agent.pid ?? -1);
    process.kill(tracer ?? -1, 'SIGKILL');
    await gone(tracer ?? -1);
    const { hits } = await pointIs('armed');
    expect(await passedAfter(hits)).toMatchObject({ id: armed.id });
    expect((await snapOnce()).location.function).toBe('pass');
    expect(ticker.process.exitCode).toBeNull();
  });

  test('of the agent before anybody fetched: the snapshot waits in the spool for the next one', async () => {
    const first = await workplace.startAgent();
    await workplace.json('snap', pid(), 'pass', '--detach');
    const spool = join(workplace.folder, 'spool');
    await until(() => readdirSync(spool).some((file) => file.endsWith('.json')));
    first.kill('SIGKILL');
    await ended(first);
    expect(await workplace.run('snapshots', '--json')).toMatchObject({
      stdout: '',
      stderr: expect.stringContaining('showing what is stored: cannot reach the agent') as string,
    });
    await workplace.startAgent();
    const [snapshot] = (await workplace.json('show', 'last')) as [SnapshotJson];
    expect(snapshot.location.function).toBe('pass');
    await until(() => !readdirSync(spool).some((file) => file.endsWith('.core')));
    expect(await workplace.json('snapshots')).toHaveLength(1);
  });
});

test('two controllers on one agent: each brings in what is its own', async () => {
  await workplace.startAgent();
  const spooled = (): number =>
    readdirSync(join(workplace.folder, 'spool')).filter((file) => file.endsWith('.core')).length;
  const [point] = (await workplace.json('snap', pid(), 'pass', '--detach')) as [{ id: string }];
  await until(() => spooled() === 1);

  const mine = workplace.environment['XDG_DATA_HOME'];
  workplace.environment['XDG_DATA_HOME'] = join(workplace.folder, 'other');
  expect(await workplace.json('snapshots')).toEqual([]);
  const own = await snapOnce();
  expect((await workplace.json('show', 'last')) as [SnapshotJson]).toMatchObject([{ id: own.id }]);
  // It lists the point that another has armed, and leaves the snapshot where it is.
  expect(await workplace.json('points', point.id)).toMatchObject([{ state: 'ended' }]);
  expect(spooled()).toBe(1);

  workplace.environment['XDG_DATA_HOME'] = mine;
  const stored = (await workplace.json('snapshots')) as { point: string }[];
  expect(stored.map((snapshot) => snapshot.point)).toEqual([point.id]);
  expect(spooled()).toBe(0);
});

interface PointJson {
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly hits: number;
}

async function pointIs(state: string): Promise<PointJson> {
  for (let i = 0; i < 300; i++) {
    const result = await workplace.run('points', '--json');
    const points = result.stdout
      .split('\n')
      .filter((line) => line.startsWith('{"id"'))
      .map((line) => JSON.parse(line) as PointJson);
    const found = points.find((point) => point.state === state);
    if (found !== undefined) return found;
    await sleep(200);
  }
  throw new Error(`no point is ${state}`);
}

/** The one point, when it has been passed more often. It may have been armed only just now, or the tracer's end not be known yet. */
async function passedAfter(hits: number): Promise<PointJson> {
  for (;;) {
    const point = await pointIs('armed');
    if (point.hits > hits) return point;
    await sleep(100);
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1200 && !condition(); i++) await sleep(50);
  expect(condition()).toBe(true);
}

async function gone(process: number): Promise<void> {
  await until(() => !existsSync(`/proc/${process}`));
}

describe('ends', () => {
  test('SIGTERM while armed: disarmed, the socket gone, status 0', async () => {
    const agent = await workplace.startAgent();
    await workplace.json('snap', pid(), 'pass', '--if', 'tick->number < 0', '--detach');
    agent.kill('SIGTERM');
    expect(await ended(agent)).toBe(0);
    expect(isUntouched()).toBe(true);
    expect(ticker.process.exitCode).toBeNull();
  });

  test('the target exits while a command waits', async () => {
    await workplace.startAgent();
    const waiting = workplace.run('snap', pid(), 'pass', '--if', 'tick->number < 0', '--json');
    await pointIs('armed');
    ticker.process.kill('SIGKILL');
    const result = await waiting;
    expect(result.status).toBe(3);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'target-gone' } });
  });

  test('Ctrl-C removes the point', async () => {
    await workplace.startAgent();
    const program = join(repositoryRoot, 'bin', 'stillframe.js');
    const args = [program, 'snap', pid(), 'pass', '--if', 'tick->number < 0'];
    const command = await workplace.startProgram(process.execPath, args, { ready: 'started' });
    await pointIs('armed');
    command.process.kill('SIGINT');
    expect(await ended(command.process)).toBe(130);
    const [point] = (await workplace.json('points')) as PointJson[];
    expect(point).toMatchObject({ state: 'ended' });
    expect(point?.why).toMatch(/^removed/);
  });

  test('without an agent one is started for the command, and nothing of it stays', async () => {
    const environment: NodeJS.ProcessEnv = { ...workplace.environment, XDG_RUNTIME_DIR: workplace.folder };
    delete environment['STILLFRAME_AGENT'];
    const program = join(repositoryRoot, 'bin', 'stillframe.js');
    // Another agent may serve the default socket of root on this machine: then there is nothing to test.
    if (existsSync('/run/stillframe/agent.sock')) return;
    const run = spawnSync(process.execPath, [program, 'snap', pid(), 'pass', '--json'], {
      env: environment,
      encoding: 'utf8',
    });
    expect(run.stderr).toContain('no agent runs on this host: starting one for the length of this command');
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ location: { function: 'pass' } });
    const detached = spawnSync(process.execPath, [program, 'snap', pid(), 'pass', '--detach', '--json'], {
      env: environment,
      encoding: 'utf8',
    });
    expect(detached.status).toBe(7);
    expect(JSON.parse(detached.stdout)).toEqual({
      error: {
        code: 'unreachable',
        message: 'cannot detach: no agent runs that would keep the point',
        hint: 'start one with `stillframe agent`, or wait for the hit',
      },
    });
  });
});

test('a policy forbids by name', async () => {
  const policy = join(workplace.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ deny: ['*/ticker'] }));
  chmodSync(policy, 0o600);
  await workplace.startAgent({ args: ['--policy', policy] });
  for (const command of [
    ['snap', pid(), 'pass'],
    ['now', pid()],
  ]) {
    const result = await workplace.run(...command, '--json');
    expect(result.status).toBe(5);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'denied' } });
    expect(result.stdout).toContain(`(process ${pid()}; deny: \\"*/ticker\\")`);
  }
});
