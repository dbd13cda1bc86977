/** Points with a selector over processes that are real: started later, forked, executing another program, gone. Counted hits are exact. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultPolicy } from '../../../agent/policy/policy.js';
import type { PointRequest, PointView } from '../../../agent/session/point.js';
import { Session } from '../../../agent/session/session.js';
import { Spool } from '../../../agent/session/spool.js';
import { TracerSupervisor } from '../../../agent/tracer/supervisor.js';
import type { Plan } from '../../../format/plan/plan.js';
import { breakpointsAt } from '../../support/code-bytes.js';
import { compileFixture } from '../../support/compile.js';
import { type RunningProgram, startProgram } from '../../support/running-program.js';
import { buildIdOf, symbolAddress } from '../engines/uprobe/lab.js';

const flags = ['-O1', '-pie', '-fPIE', '-Wl,--build-id=sha1'];
const program = compileFixture('probe-lab/prefork.c', { cc: 'gcc', flags });
/** The same name, another build. */
const rebuilt = compileFixture('probe-lab/prefork.c', { cc: 'gcc', flags: [...flags, '-DBUILD=2'] });

let folder: string;
let tracer: TracerSupervisor;
let session: Session;
let programs: RunningProgram[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-live-'));
  tracer = new TracerSupervisor();
  session = new Session({
    tracer,
    spool: new Spool({ folder, maxBytes: 16 * 1024 * 1024 }),
    policy: defaultPolicy(),
    host: 'here',
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  programs = [];
  await tracer.start();
});
afterEach(async () => {
  for (const running of programs) await running[Symbol.asyncDispose]();
  await session[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function start(path = program): Promise<RunningProgram> {
  const running = startProgram(path);
  programs.push(running);
  expect(await running.nextLine()).toBe('ready');
  return running;
}

async function say(running: RunningProgram, command: string): Promise<string> {
  running.child.stdin.write(`${command}\n`);
  return await running.nextLine();
}

const fork = async (running: RunningProgram, number: number): Promise<number[]> =>
  (await say(running, `fork ${number}`)).trim().split(' ').map(Number);

function planOf(path = program): Plan {
  const address = symbolAddress(path, 'handle');
  const site = {
    linkAddress: address,
    fileOffset: Number(address),
    function: 'handle',
    inlined: false,
    ranges: [],
  };
  return {
    version: 1,
    module: { buildId: buildIdOf(path), path },
    stackBytes: 256,
    maxBytes: 4096,
    request: { location: 'handle', captures: [] },
    sites: [site],
  };
}

const requestOf = (more: Partial<PointRequest> = {}): PointRequest => ({
  id: 'p1',
  pids: [],
  selector: 'name:prefork',
  plan: planOf(),
  countOnly: true,
  maxHits: 1,
  everyProcess: false,
  minIntervalNs: 0n,
  expiresMs: Date.now() + 3600_000,
  owner: '',
  note: '',
  ...more,
});

async function view(id = 'p1'): Promise<PointView> {
  const [state] = await session.points([id]);
  if (state === undefined) throw new Error('no such point');
  return state;
}

async function until(what: string, check: (view: PointView) => boolean): Promise<PointView> {
  for (let i = 0; i < 6000; i++) {
    const state = await view();
    if (check(state)) return state;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`it did not come to pass: ${what}; it is ${(await view()).why}`);
}

const inOrder = (pids: readonly number[]): number[] => pids.toSorted((a, b) => a - b);

const isArmedIn =
  (...pids: number[]) =>
  ({ processes }: PointView): boolean =>
    inOrder(pids).join() === inOrder(processes.map(({ pid }) => pid)).join();

describe('counting', () => {
  test('begins in a process that starts later within about a second, and loses none of its hits from then on', async () => {
    expect(await session.arm(requestOf())).toMatchObject({ phase: 'pending' });
    // Nothing is known of the machine's load: the best of a few is what it takes.
    const delays: number[] = [];
    let hits = 0;
    for (let i = 0; i < 5; i++) {
      const running = await start();
      const startedMs = performance.now();
      await until('armed', isArmedIn(running.pid));
      delays.push(performance.now() - startedMs);
      await say(running, 'self 1000');
      hits += 1000;
      expect((await view()).counters.hits).toBe(BigInt(hits));
      running.child.stdin.end();
      await running.ended;
      await until('waiting again', ({ phase }) => phase === 'pending');
    }
    expect(Math.min(...delays)).toBeLessThan(1000);
    expect((await view()).counters).toMatchObject({ hits: 5000n, delivered: 0n });
  });

  test('goes on in forked workers, each hit once, and what workers counted that ended stays', async () => {
    const parent = await start();
    await session.arm(requestOf({ pids: [parent.pid] }));
    const workers = await fork(parent, 4);
    const armed = await until('armed in all', isArmedIn(parent.pid, ...workers));
    expect(await say(parent, 'call 500')).toBe('2000');
    await say(parent, 'self 100');
    expect((await view()).counters.hits).toBe(2100n);
    // Their last hit comes right before they exit.
    await say(parent, 'end 2');
    const left = await until('two are gone', isArmedIn(parent.pid, ...workers.slice(2)));
    expect(left.counters.hits).toBe(2102n);
    expect(await say(parent, 'call 10')).toBe('20');
    const removed = await session.remove('p1');
    expect(removed.counters.hits).toBe(2122n);
    const [process] = armed.processes;
    expect(breakpointsAt(parent.pid, process?.addresses ?? [])).toBe(0);
    // Nothing is counted after that, nor does anything stand in the way.
    expect(await say(parent, 'call 10')).toBe('20');
    expect((await view()).counters.hits).toBe(2122n);
  });

  test('goes on in a process that executes its own program anew', async () => {
    const running = await start();
    await session.arm(requestOf({ pids: [running.pid] }));
    await say(running, 'self 10');
    expect(await say(running, 'exec')).toBe('ready');
    await say(running, 'self 10');
    // It waits for a moment, and begins anew in the same process.
    await until('counted', ({ counters, phase }) => counters.hits === 20n && phase === 'armed');
  });

  test('ends in a process that executes another program, and begins in one that executes into it', async () => {
    const running = await start();
    await session.arm(requestOf({ pids: [running.pid] }));
    await say(running, 'self 7');
    running.child.stdin.write('leave\n');
    const waiting = await until('waiting', ({ phase }) => phase === 'pending');
    expect(waiting.why).toBe(
      `waiting for a process that fits name:prefork: process ${running.pid} executed another program`,
    );
    expect(waiting.counters.hits).toBe(7n);
    const shell = startProgram('/bin/sh', ['-c', `read x; exec ${program}`]);
    programs.push(shell);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await say(shell, '')).toBe('ready');
    await until('armed', isArmedIn(shell.pid));
    await say(shell, 'self 5');
    expect((await view()).counters.hits).toBe(12n);
  });

  test('is not possible in another build: that is said, and forgotten with the process', async () => {
    const other = await start(rebuilt);
    await session.arm(requestOf());
    const refused = await until('refused', ({ refusals }) => refusals.length > 0);
    expect(refused.why).toMatch(/^no process that fits name:prefork can be armed: /);
    expect(refused.refusals.join()).toContain(`process ${other.pid}`);
    expect(refused.refusals.join()).toContain(buildIdOf(program));
    const running = await start();
    await until('armed', isArmedIn(running.pid));
    expect((await view()).refusals).toHaveLength(1);
    await other[Symbol.asyncDispose]();
    await until('forgotten', ({ refusals }) => refusals.length === 0);
  });
});

describe('snapshots', () => {
  const snapshots = { countOnly: false, minIntervalNs: 0n };

  test('of all workers together are as many as asked', async () => {
    const parent = await start();
    await session.arm(requestOf({ ...snapshots, maxHits: 3, pids: [parent.pid] }));
    const workers = await fork(parent, 6);
    await until('armed in all', isArmedIn(parent.pid, ...workers));
    await say(parent, 'call 50');
    const ended = await until('ended', ({ phase }) => phase === 'ended');
    expect(ended).toMatchObject({ end: 'hits', counters: { delivered: 3n } });
    expect(session.spool.list()).toHaveLength(3);
  });

  test('of each worker are as many as asked, also where they come later', async () => {
    const parent = await start();
    await session.arm(requestOf({ ...snapshots, maxHits: 2, everyProcess: true }));
    const first = await fork(parent, 2);
    await until('armed in all', isArmedIn(parent.pid, ...first));
    await say(parent, 'call 50');
    // Those that have delivered are disarmed, and stay so.
    await until('disarmed in the workers', isArmedIn(parent.pid));
    const second = await fork(parent, 2);
    await until('armed in the new ones', isArmedIn(parent.pid, ...second));
    await say(parent, 'call 50');
    await until('disarmed in the workers', isArmedIn(parent.pid));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await say(parent, 'call 50');
    const deliveries = session.spool.list().map(({ delivery }) => delivery?.pid ?? 0);
    expect(inOrder(deliveries)).toEqual(inOrder([...first, ...first, ...second, ...second]));
  });

  test('in a storm of forks are no more than asked, and the service does its work', async () => {
    const parent = await start();
    await session.arm(requestOf({ ...snapshots, maxHits: 3, everyProcess: true }));
    await until('armed', isArmedIn(parent.pid));
    for (let i = 0; i < 10; i++) expect(await say(parent, 'storm 200')).toBe('200');
    const byProcess = new Map<string, number>();
    for (const { delivery } of session.spool.list()) {
      const key = `${delivery?.pid} ${delivery?.startTicks}`;
      byProcess.set(key, (byProcess.get(key) ?? 0) + 1);
    }
    // Each child calls once.
    expect([...byProcess.values()].every((count) => count === 1)).toBe(true);
    await say(parent, 'self 10');
    await until(
      'the parent has delivered',
      () => session.spool.list().filter(({ delivery }) => delivery?.pid === parent.pid).length === 3,
    );
    // A snapshot is spooled before its process is told to be done with.
    const waiting = await until('waiting again', ({ phase }) => phase === 'pending');
    expect(waiting.refusals).toEqual([]);
  });
});
