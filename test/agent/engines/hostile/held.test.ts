/**
 * Targets with threads that cannot be stopped: who wants to stop them says so within its bound, leaves them and all others as they were, and takes what can be had
 * without.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readThreadSyscall, readTids } from '../../../../agent/linux/proc.js';
import { toStillframeError, type StillframeError } from '../../../../format/error.js';
import type { Capture } from '../../../../format/capture.js';
import { requireFeature } from '../../../support/require-feature.js';
import { startProgram, type RunningProgram } from '../../../support/running-program.js';
import { threadTraces } from '../ptrace/target.js';
import { armAndCount } from './count.js';
import { expectUnharmed } from './harm.js';
import { mountMute } from './mute-file-system.js';
import { hostileProgram } from './target.js';
import { startTracer } from './tracer.js';

const { tracer, folder } = startTracer();

/** A stop takes ten milliseconds at most; the rest is a machine with other work. What would wait for the thread waits for ever. */
const boundMs = 20_000;

async function within<T>(work: Promise<T>): Promise<T> {
  const beganMs = performance.now();
  const result = await work;
  expect(performance.now() - beganMs).toBeLessThan(boundMs);
  return result;
}

const now = async (engine: 'ptrace' | 'observe' | 'mem', pid: number): Promise<Capture> =>
  (await within(tracer.now({ pid, tids: [], stackBytes: 4096, maxBytes: 1 << 20, engine }))).capture;

async function copy(pid: number): Promise<StillframeError | undefined> {
  const file = join(folder, `${pid}.core`);
  const order = { pid, file, maxBytes: 2 ** 32, snapshot: '0t3k00000000', host: 'here' };
  const error = await within(
    tracer.core({ ...order, engine: 'fork' }, () => undefined).then(() => undefined, toStillframeError),
  );
  expect(existsSync(file)).toBe(error === undefined);
  rmSync(file, { force: true });
  return error;
}

const isThere = ({ registers }: Capture['threads'][number]): boolean => registers !== undefined;

const whyAbsent = /^it is in an uninterruptible system call and did not stop within 10 ms/;

const untraced = ({ pid }: RunningProgram): void =>
  expect(threadTraces(pid).filter(({ tracer: by, state }) => by !== 0 || 'Tt'.includes(state))).toEqual([]);

test('all threads, in a control group that is frozen', async (context) => {
  const freezer = '/sys/fs/cgroup/freezer';
  requireFeature(
    context,
    'a freezer',
    existsSync(freezer) ? undefined : 'there are no control groups of version 1',
  );
  const group = join(freezer, `stillframe-test-${process.pid}`);
  mkdirSync(group);
  const set = async (state: 'FROZEN' | 'THAWED'): Promise<void> => {
    writeFileSync(join(group, 'freezer.state'), state);
    while (readFileSync(join(group, 'freezer.state'), 'utf8').trim() !== state) await sleep(5);
  };
  try {
    await using target = startProgram(hostileProgram);
    await target.nextLine();
    writeFileSync(join(group, 'cgroup.procs'), String(target.pid));
    await set('FROZEN');
    try {
      const stopped = await now('ptrace', target.pid);
      expect(stopped.threads.length).toBe(3);
      for (const { absent, state } of stopped.threads) {
        expect(state).toBe('D');
        expect(absent).toMatchObject({ reason: 'limit', detail: expect.stringMatching(whyAbsent) as string });
      }
      untraced(target);
      for (const engine of ['observe', 'mem'] as const) {
        const seen = await now(engine, target.pid);
        expect(seen.threads.filter(({ registers }) => registers !== undefined).length).toBeGreaterThan(0);
      }
      expect(await copy(target.pid)).toMatchObject({
        code: 'limit',
        message: `cannot copy process ${target.pid}: all of its threads are in uninterruptible system calls, or frozen, and did not stop`,
      });
      untraced(target);
      for (const engine of ['uprobe', 'ptrace'] as const)
        expect(await within(armAndCount(tracer, target.pid, engine, 0n))).toMatchObject({ hits: 0n });
      untraced(target);
    } finally {
      await set('THAWED');
    }
    await expectUnharmed(target, {});
  } finally {
    while (readFileSync(join(group, 'cgroup.procs'), 'utf8') !== '') await sleep(5);
    rmdirSync(group);
  }
});

test('one thread, in a file system that does not answer', async (context) => {
  requireFeature(context, 'FUSE', existsSync('/dev/fuse') ? undefined : 'there is no /dev/fuse');
  const mute = await mountMute();
  await using target = startProgram(hostileProgram, ['mute', mute.file]);
  try {
    await target.nextLine();
    const waiting = await untilOpening(target.pid);
    const stopped = await now('ptrace', target.pid);
    const held = stopped.threads.find(({ tid }) => tid === waiting);
    // From the first stop on that failed, nothing wakes it.
    expect(held?.absent).toMatchObject({ reason: 'limit' });
    expect(threadTraces(target.pid).find(({ tid }) => tid === waiting)?.state).toBe('D');
    let again = await now('ptrace', target.pid);
    // On a busy machine a thread may get no processor to stop on within the bound.
    for (let i = 0; i < 100 && !again.threads.some(isThere); i++) again = await now('ptrace', target.pid);
    expect(again.threads.find(({ tid }) => tid === waiting)?.absent?.detail).toMatch(whyAbsent);
    expect(again.threads.some(isThere)).toBe(true);
    untraced(target);
    const seen = await now('observe', target.pid);
    expect(seen.threads.find(({ tid }) => tid === waiting)?.registers).toHaveLength(216);
    // Others can be led through the making of a copy.
    let error = await copy(target.pid);
    for (let i = 0; i < 20 && error?.code === 'limit'; i++) error = await copy(target.pid);
    expect(error).toBeUndefined();
    untraced(target);
    for (const engine of ['uprobe', 'ptrace'] as const)
      expect((await within(armAndCount(tracer, target.pid, engine))).hits).toBeGreaterThan(0n);
    untraced(target);
  } finally {
    await mute[Symbol.asyncDispose]();
  }
  // The call ended as it would have without us: with the file system, and not before.
  await expectUnharmed(target, {});
});

const SYS_openat = 257;

async function untilOpening(pid: number): Promise<number> {
  for (;;) {
    for (const tid of readTids(pid)) {
      const call = readThreadSyscall(pid, tid);
      if (!call.running && call.number === SYS_openat) return tid;
    }
    await sleep(5);
  }
}
