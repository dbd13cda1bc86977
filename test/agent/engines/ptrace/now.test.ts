import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { readThreadSyscall } from '../../../../agent/linux/proc.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { startProgram } from '../../../support/running-program.js';
import { askCounts, busyProgram, threadTraces } from './target.js';

const request = { tids: [], stackBytes: 2048, maxBytes: 1 << 20, engine: 'ptrace' as const };

describe('ptrace, all threads now', () => {
  test('reads registers and stacks of every thread, and leaves no trace', async () => {
    await using target = startProgram(busyProgram, ['3', 's']);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    await tracer.start();
    let seen = 0;
    for (let i = 0; i < 10; i++) {
      const { capture } = await tracer.now({ ...request, pid: target.pid });
      expect(capture).toMatchObject({ engine: 'ptrace', pid: target.pid, tid: target.pid });
      expect(capture.cost.stoppedNs).toBeGreaterThan(0);
      const whole = capture.threads.filter((thread) => thread.absent === undefined);
      // On a machine with other work, a thread may not be had within the bound; then it says so.
      for (const thread of capture.threads) {
        if (thread.absent !== undefined) expect(thread.absent.reason).toBe('limit');
      }
      seen += whole.length;
      for (const thread of whole) {
        expect(thread).toMatchObject({ provenance: 'stopped', unknownRegisters: [] });
        expect(thread.registers).toHaveLength(216);
        expect(thread.fpRegisters).toHaveLength(512);
        expect(thread.xstate?.length).toBeGreaterThanOrEqual(576);
        expect(thread.stoppedNs).toBeGreaterThan(0);
        expect(thread.stoppedNs).toBeLessThanOrEqual(capture.cost.stoppedNs);
        const sp = readUserRegister(thread.registers ?? new Uint8Array(), 'rsp');
        const stack = capture.ranges.find((range) => range.path === `stack of ${thread.tid}`);
        expect(stack).toMatchObject({ address: sp - 128n, provenance: 'stopped' });
      }
      // What the main thread is blocked in is known from elsewhere.
      const main = whole.find((thread) => thread.tid === target.pid);
      if (main?.registers === undefined) continue;
      expect(readThreadSyscall(target.pid, target.pid)).toMatchObject({
        sp: readUserRegister(main.registers, 'rsp'),
        pc: readUserRegister(main.registers, 'rip'),
      });
    }
    expect(seen).toBeGreaterThan(10);
    expect(
      threadTraces(target.pid).filter(({ tracer: pid, state }) => pid !== 0 || 'Tt'.includes(state)),
    ).toEqual([]);
    const counts = await askCounts(target);
    expect(counts.epollErrors).toBe(0);
    target.child.stdin.write('q\n');
    expect(await target.ended).toBe(7);
  });

  test('only the threads that are asked for', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const { capture } = await tracer.now({ ...request, pid: target.pid, tids: [target.pid] });
    expect(capture.threads.map((thread) => thread.tid)).toEqual([target.pid]);
    await expect(tracer.now({ ...request, pid: target.pid, tids: [1] })).rejects.toThrow(
      `process ${target.pid} has no such thread`,
    );
  });

  test('passes signals on that come meanwhile', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    await tracer.start();
    let sent = 0;
    const captures = { done: false };
    const sender = (async () => {
      while (!captures.done) {
        // One at a time: signals of the same number that wait are merged.
        const before = (await askCounts(target)).usr1;
        target.child.kill('SIGUSR1');
        sent++;
        while ((await askCounts(target)).usr1 === before)
          await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    for (let i = 0; i < 20; i++) await tracer.now({ ...request, pid: target.pid });
    captures.done = true;
    await sender;
    expect((await askCounts(target)).usr1).toBe(sent);
    expect(sent).toBeGreaterThan(5);
  });

  test('a stopped process stays stopped', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    target.child.kill('SIGSTOP');
    while (threadTraces(target.pid).some(({ state }) => state !== 'T'))
      await new Promise((r) => setTimeout(r, 5));
    const { capture } = await tracer.now({ ...request, pid: target.pid });
    expect(capture.threads.every((thread) => thread.state === 'T')).toBe(true);
    // A thread that is let go while its process is stopped stops anew, for which it needs a processor.
    while (threadTraces(target.pid).some(({ state, tracer: pid }) => state !== 'T' || pid !== 0))
      await new Promise((r) => setTimeout(r, 5));
    target.child.kill('SIGCONT');
    // It may have been stopped before it did any work: what counts is that it goes on.
    while ((await askCounts(target)).checksum === 0) await new Promise((r) => setTimeout(r, 5));
  });

  test('says who traces a process already', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using strace = startProgram('/usr/bin/gdb', [
      '-q',
      '-p',
      String(target.pid),
      '-ex',
      'echo attached\\n',
    ]);
    while (threadTraces(target.pid).some(({ tracer }) => tracer === 0))
      await new Promise((r) => setTimeout(r, 20));
    await using tracer = new TracerSupervisor();
    await expect(tracer.now({ ...request, pid: target.pid })).rejects.toMatchObject({
      code: 'denied',
      message: `cannot trace process ${target.pid}: ptrace(PTRACE_SEIZE): EPERM: process ${strace.pid} traces it already`,
    });
  });

  test('holds nothing afterwards', async () => {
    await using target = startProgram(busyProgram);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const pid = await tracer.start();
    await tracer.now({ ...request, pid: target.pid });
    const before = readdirSync(`/proc/${pid}/fd`).length;
    const threads = readdirSync(`/proc/${pid}/task`).length;
    for (let i = 0; i < 5; i++) await tracer.now({ ...request, pid: target.pid });
    expect(readdirSync(`/proc/${pid}/fd`).length).toBeLessThanOrEqual(before);
    expect(readdirSync(`/proc/${pid}/task`).length).toBeLessThanOrEqual(threads);
    expect(readFileSync(`/proc/${target.pid}/status`, 'utf8')).toContain('TracerPid:\t0');
  });
});
