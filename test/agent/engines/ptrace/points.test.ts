import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import type { CapturedProcess, PointEnd, TracerClient } from '../../../../agent/tracer/client.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { startProgram } from '../../../support/running-program.js';
import { askCounts, busyProgram, idMasked, planFor, threadTraces } from './target.js';

const arming = { pointId: 'p', engine: 'ptrace' as const, maxHits: 1, minIntervalNs: 0n };

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Collects what a tracer reports. */
function listen(tracer: TracerClient): {
  readonly hits: CapturedProcess[];
  readonly ended: Promise<PointEnd>;
  readonly restarted: Promise<string>;
} {
  const hits: CapturedProcess[] = [];
  const end = withResolvers<PointEnd>();
  const restart = withResolvers<string>();
  tracer.listen({
    hit: (_, captured) => hits.push(captured),
    ended: (_, __, reason) => end.resolve(reason),
    restarted: restart.resolve,
  });
  return { hits, ended: end.promise, restarted: restart.promise };
}

/** Names what ended a program: its code or its signal says more than that its threads cannot be listed. */
async function expectRunning(target: { ended: Promise<unknown> }): Promise<void> {
  expect(await Promise.race([target.ended, Promise.resolve('running')])).toBe('running');
}

async function expectUntouched(target: {
  pid: number;
  child: { stdin: { write(text: string): unknown } };
  nextLine(): Promise<string>;
  ended: Promise<unknown>;
}): Promise<void> {
  await expectRunning(target);
  expect(
    threadTraces(target.pid).filter(({ tracer, state }) => tracer !== 0 || 'Tt'.includes(state)),
  ).toEqual([]);
  const before = await askCounts(target);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const after = await askCounts(target);
  expect(after.checksum).toBeGreaterThan(before.checksum);
  expect(after.epollErrors).toBe(0);
  target.child.stdin.write('q\n');
  expect(await target.ended).toBe(7);
}

describe('ptrace, points', () => {
  test('takes one hit whose condition holds, and is gone', async () => {
    await using target = startProgram(busyProgram, ['2', 's']);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    const armed = await tracer.arm({ ...arming, pid: target.pid, plan: planFor(['work'], idMasked(0x3fn)) });
    expect(armed).toMatchObject({ engine: 'ptrace', refusals: [] });
    expect(await heard.ended).toEqual({ kind: 'hits', detail: '1 of 1 hits delivered' });
    expect(heard.hits).toHaveLength(1);
    const capture = heard.hits[0]?.capture;
    const [thread] = capture?.threads ?? [];
    expect(capture).toMatchObject({ engine: 'ptrace', pid: target.pid, site: 0, missing: [] });
    expect(thread).toMatchObject({
      tid: capture?.tid,
      comm: 'busy',
      provenance: 'at-hit',
      unknownRegisters: [],
    });
    const registers = thread?.registers ?? new Uint8Array();
    expect(readUserRegister(registers, 'rip')).toBe(armed.addresses[0]);
    const order = capture?.ranges.find((range) => range.path === '*order');
    expect(order?.address).toBe(readUserRegister(registers, 'rdi'));
    expect(Buffer.from(order?.bytes ?? []).readBigInt64LE(0) & 0x3fn).toBe(0n);
    const stack = capture?.ranges.find((range) => range.path === `stack of ${capture.tid}`);
    expect(stack).toMatchObject({ address: readUserRegister(registers, 'rsp') - 128n, provenance: 'at-hit' });
    expect(stack?.bytes).toHaveLength(1024);
    expect(Math.abs(Number((capture?.timeNs ?? 0n) / 1_000_000n) - Date.now())).toBeLessThan(20_000);
    expect(capture?.cost.stoppedNs).toBeGreaterThan(0);
    expect(capture?.cost.hits).toBe((capture?.cost.conditionFalse ?? 0) + 1);
    expect(await tracer.counters(['p'])).toEqual([]);
    await expectUntouched(target);
  });

  test('hits in threads that were made later, at several addresses', async () => {
    await using target = startProgram(busyProgram, ['1', 's']);
    await target.nextLine();
    const known = new Set(threadTraces(target.pid).map(({ tid }) => tid));
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    await tracer.arm({ ...arming, pid: target.pid, plan: planFor(['work', 'second']), maxHits: 300 });
    expect((await heard.ended).kind).toBe('hits');
    expect(heard.hits).toHaveLength(300);
    expect(heard.hits.some(({ capture }) => !known.has(capture.tid))).toBe(true);
    expect(new Set(heard.hits.map(({ capture }) => capture.site))).toEqual(new Set([0, 1]));
    // Every hit stands at its own address, and has the registers of that moment.
    for (const { capture } of heard.hits) {
      const order = capture.ranges.find((range) => range.path === '*order');
      expect(order !== undefined).toBe(capture.site === 0);
    }
    await expectUntouched(target);
  });

  test('counts, keeps the interval, and disarms', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    const pid = await tracer.start();
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    await tracer.arm({
      ...arming,
      pid: target.pid,
      plan: planFor(['work']),
      maxHits: 100,
      minIntervalNs: 10n ** 15n,
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const counters = await tracer.disarm('p', target.pid);
    expect(counters?.delivered).toBe(1n);
    expect(counters?.hits).toBeGreaterThan(10n);
    expect(counters?.dropped).toBe(0n);
    expect(heard.hits).toHaveLength(1);
    expect(await tracer.disarm('p', target.pid)).toBeUndefined();
    expect(readdirSync(`/proc/${pid}/fd`).length).toBeLessThanOrEqual(descriptors + 2);
    await expectUntouched(target);
  });

  test('two points and "now" share a process', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    const never = idMasked(-1n);
    await tracer.arm({ ...arming, pointId: 'a', pid: target.pid, plan: planFor(['work'], never) });
    await tracer.arm({ ...arming, pointId: 'b', pid: target.pid, plan: planFor(['work', 'second'], never) });
    // On a busy machine the bound on the stop comes before the last thread: then that is said of it, and nothing else.
    let whole = 0;
    for (let tries = 0; whole < 5 && tries < 100; tries++) {
      const { capture } = await tracer.now({
        pid: target.pid,
        tids: [],
        stackBytes: 512,
        maxBytes: 65_536,
        engine: 'ptrace',
      });
      const without = capture.threads.filter((thread) => thread.registers === undefined);
      for (const { absent } of without) expect(absent).toMatchObject({ reason: 'limit' });
      if (without.length === 0) whole += 1;
    }
    expect(whole).toBe(5);
    expect((await tracer.disarm('a', target.pid))?.hits).toBeGreaterThan(0n);
    const [before] = await tracer.counters(['b']);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const after = await tracer.disarm('b', target.pid);
    expect(after?.hits).toBeGreaterThan(before?.counters.hits ?? 0n);
    expect(heard.hits.every(({ capture }) => capture.ranges.length > 0)).toBe(true);
    await expectUntouched(target);
  });

  test.each([
    ['u', '23'],
    ['uw', '28'],
  ])('takes another signal when the process handles %s', async (handled) => {
    await using target = startProgram(busyProgram, ['1', handled]);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    await tracer.arm({ ...arming, pid: target.pid, plan: planFor(['work']), maxHits: 20 });
    expect((await heard.ended).kind).toBe('hits');
    expect((await askCounts(target)).winch).toBe(0);
    await expectUntouched(target);
  });

  test('a process that ends, or executes another program, ends the point', async () => {
    for (const [line, detail] of [
      ['q\n', 'is gone'],
      ['e\n', 'executed another program'],
    ] as const) {
      await using target = startProgram(busyProgram);
      await target.nextLine();
      await using tracer = new TracerSupervisor();
      const heard = listen(tracer);
      await tracer.arm({ ...arming, pid: target.pid, plan: planFor(['work'], idMasked(-1n)) });
      target.child.stdin.write(line);
      expect(await heard.ended).toEqual({ kind: 'target-gone', detail: `process ${target.pid} ${detail}` });
      if (line === 'e\n') expect(await target.nextLine()).toBe('up');
      if (line === 'e\n') expect(threadTraces(target.pid).every(({ tracer: pid }) => pid === 0)).toBe(true);
    }
  });

  test('the tracer may be killed at any instant, under load', { timeout: 120_000 }, async () => {
    await using target = startProgram(busyProgram, ['4', 's']);
    await target.nextLine();
    for (let round = 0; round < 8; round++) {
      await using tracer = new TracerSupervisor({ restartDelayMs: 60_000 });
      const pid = await tracer.start();
      await tracer.arm({
        ...arming,
        pid: target.pid,
        plan: planFor(['work', 'second'], idMasked(-1n)),
        maxHits: 1000,
      });
      await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 30));
      process.kill(pid, 'SIGKILL');
      do {
        await new Promise((resolve) => setTimeout(resolve, 1));
        await expectRunning(target);
      } while (threadTraces(target.pid).some(({ tracer: by }) => by !== 0));
    }
    await expectUntouched(target);
  });

  test('a tracer that is killed is replaced, and the point can be armed again', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using tracer = new TracerSupervisor({ restartDelayMs: 10 });
    const heard = listen(tracer);
    const request = { ...arming, pid: target.pid, plan: planFor(['work'], idMasked(-1n)), maxHits: 1000 };
    await tracer.arm(request);
    process.kill(await tracer.start(), 'SIGKILL');
    await heard.restarted;
    await tracer.arm({ ...request, plan: planFor(['work']), maxHits: 1 });
    expect((await heard.ended).kind).toBe('hits');
    await expectUntouched(target);
  });
});
