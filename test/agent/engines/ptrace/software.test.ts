import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { readProcBytes } from '../../../../agent/linux/proc.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import type { CapturedProcess, PointEnd } from '../../../../agent/tracer/client.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { askCounts, busyProgram, planFor, threadTraces } from './target.js';

const five = ['work', 'second', 'third', 'fourth', 'fifth'];
const arming = { pointId: 'p', engine: 'ptrace' as const, maxHits: 1, minIntervalNs: 0n };
const never = Uint8Array.of(0x30);

let journalFolder = '';
beforeEach(() => {
  journalFolder = mkdtempSync(join(tmpdir(), 'journal-'));
});
afterEach(() => {
  rmSync(journalFolder, { recursive: true });
});

/** The first bytes of the functions as the process has them, against the file. */
function patched(pid: number, addresses: readonly bigint[]): number {
  using memory = new ProcessMemory(pid);
  return addresses.filter((address) => {
    const read = memory.read(address, 1);
    return 'bytes' in read && read.bytes[0] === 0xcc;
  }).length;
}

async function expectUntouched(target: RunningProgram): Promise<void> {
  expect(
    threadTraces(target.pid).filter(({ tracer, state }) => tracer !== 0 || 'Tt'.includes(state)),
  ).toEqual([]);
  expect(readdirSync(journalFolder)).toEqual([]);
  const before = await askCounts(target);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const after = await askCounts(target);
  expect(after.checksum).toBeGreaterThan(before.checksum);
  expect(after.badChildren).toBe(0);
  // SIGCHLD, though ignored, can wake any thread of a traced process: see interrupted-call.ts.
  if (after.children === 0) expect(after.epollErrors).toBe(0);
  target.child.stdin.write('q\n');
  expect(await target.ended).toBe(7);
}

function listen(tracer: TracerSupervisor): { hits: CapturedProcess[]; ended: Promise<PointEnd> } {
  const hits: CapturedProcess[] = [];
  const ended = new Promise<PointEnd>((resolve) => {
    tracer.listen({
      hit: (_, captured) => hits.push(captured),
      ended: (_, __, reason) => resolve(reason),
      restarted: () => undefined,
    });
  });
  return { hits, ended };
}

describe('ptrace, software breakpoints', () => {
  test('take over where hardware breakpoints do not suffice', { timeout: 120_000 }, async () => {
    await using target = startProgram(busyProgram, ['3', 'sf']);
    await target.nextLine();
    await using tracer = new TracerSupervisor({ journalFolder });
    const heard = listen(tracer);
    const armed = await tracer.arm({ ...arming, pid: target.pid, plan: planFor(five), maxHits: 40 });
    expect(armed.refusals).toEqual([
      `ptrace: software breakpoints are used: cannot set breakpoints at 5 addresses of process ${target.pid}: the processor has 4`,
    ]);
    expect(await heard.ended).toEqual({ kind: 'hits', detail: '40 of 40 hits delivered' });
    expect(heard.hits).toHaveLength(40);
    // A thread that runs alone for a while passes three of them.
    expect(new Set(heard.hits.map(({ capture }) => capture.site)).size).toBeGreaterThan(2);
    for (const { capture } of heard.hits) {
      const registers = capture.threads[0]?.registers ?? new Uint8Array();
      expect(readUserRegister(registers, 'rip')).toBe(armed.addresses[capture.site ?? 0]);
      const order = capture.ranges.find((range) => range.path === '*order');
      expect(order?.address).toBe(capture.site === 0 ? readUserRegister(registers, 'rdi') : undefined);
    }
    expect(patched(target.pid, armed.addresses)).toBe(0);
    await expectUntouched(target);
  });

  test('take over where no signal is free to announce hardware breakpoints', async () => {
    await using target = startProgram(busyProgram, ['1', 'uwc']);
    await target.nextLine();
    await using tracer = new TracerSupervisor({ journalFolder });
    const heard = listen(tracer);
    const armed = await tracer.arm({ ...arming, pid: target.pid, plan: planFor(['work']), maxHits: 20 });
    expect(armed.refusals).toEqual([
      `ptrace: software breakpoints are used: cannot set breakpoints in process ${target.pid}: no signal is free to announce them: SIGURG has a handler, SIGWINCH has a handler, SIGCHLD has a handler`,
    ]);
    expect((await heard.ended).kind).toBe('hits');
    await expectUntouched(target);
  });

  test(
    'every passing is stepped over and counted, and children run whole',
    { timeout: 120_000 },
    async () => {
      await using target = startProgram(busyProgram, ['2', 'f']);
      await target.nextLine();
      await using tracer = new TracerSupervisor({ journalFolder });
      listen(tracer);
      const armed = await tracer.arm({ ...arming, pid: target.pid, plan: planFor(five, never) });
      expect(readdirSync(journalFolder)).toHaveLength(1);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const request = { pid: target.pid, tids: [], stackBytes: 256, maxBytes: 65_536 };
      for (let i = 0; i < 3; i++) {
        // On a busy machine no thread may have had a processor to stop on in time.
        const isAnyThere = async (): Promise<boolean> => {
          const { capture } = await tracer.now({ ...request, engine: 'ptrace' });
          return capture.threads.some((thread) => thread.registers !== undefined);
        };
        await expect.poll(isAnyThere).toBe(true);
      }
      const counters = await tracer.disarm('p', target.pid);
      expect(counters?.hits).toBeGreaterThan(10n);
      expect(counters).toMatchObject({
        conditionFalse: counters?.hits,
        delivered: 0n,
        dropped: 0n,
        faults: 0n,
      });
      expect(patched(target.pid, armed.addresses)).toBe(0);
      expect((await askCounts(target)).children).toBeGreaterThan(0);
      await expectUntouched(target);
    },
  );

  test('signals reach their handlers between breakpoints', { timeout: 120_000 }, async () => {
    await using target = startProgram(busyProgram, ['2']);
    await target.nextLine();
    await using tracer = new TracerSupervisor({ journalFolder });
    listen(tracer);
    await tracer.arm({ ...arming, pid: target.pid, plan: planFor(five, never) });
    let sent = 0;
    const until = Date.now() + 1000;
    while (Date.now() < until) {
      const before = (await askCounts(target)).usr1;
      target.child.kill('SIGUSR1');
      sent++;
      while ((await askCounts(target)).usr1 === before)
        await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect((await askCounts(target)).usr1).toBe(sent);
    await tracer.disarm('p', target.pid);
    await expectUntouched(target);
  });

  test('are put back by the front when the tracer is killed', { timeout: 120_000 }, async () => {
    // Idle at the addresses: a thread that reaches one before they are put back would die, as the documentation says.
    await using target = startProgram(busyProgram, ['0']);
    await target.nextLine();
    for (let round = 0; round < 5; round++) {
      const logged: string[] = [];
      await using tracer = new TracerSupervisor({
        journalFolder,
        restartDelayMs: 60_000,
        log: (_, text) => logged.push(text),
      });
      listen(tracer);
      const armed = await tracer.arm({ ...arming, pid: target.pid, plan: planFor(five) });
      expect(patched(target.pid, armed.addresses)).toBe(5);
      process.kill(await tracer.start(), 'SIGKILL');
      const deadline = Date.now() + 5000;
      while (readdirSync(journalFolder).length > 0 && Date.now() < deadline)
        await new Promise((r) => setTimeout(r, 1));
      expect(patched(target.pid, armed.addresses)).toBe(0);
      expect(logged[0]).toBe(`put back 5 of 5 bytes in process ${target.pid}`);
    }
    expect(threadTraces(target.pid).every(({ tracer }) => tracer === 0)).toBe(true);
    expect(readProcBytes(target.pid, 'comm').toString()).toBe('busy\n');
    expect(readFileSync(`/proc/${target.pid}/status`, 'utf8')).toContain('State:\tS');
  });
});
