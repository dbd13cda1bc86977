import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { fromWireError, toWireError } from '../../../agent/engines/wire-error.js';
import { TracerSupervisor } from '../../../agent/tracer/supervisor.js';
import { SYS_pause, SYS_read, untilCalling } from '../../support/at-rest.js';
import { compileC } from '../../support/compile-c.js';
import { startProgram } from '../../support/running-program.js';

const program = compileC(
  `#include <stdio.h>
   #include <pthread.h>
   #include <unistd.h>
   static void *spin(void *x) { for (;;) (*(volatile long *)x)++; }
   static void *block(void *x) { pause(); return x; }
   int main(void) {
     static long n;
     pthread_t a, b;
     pthread_create(&a, 0, spin, &n);
     pthread_create(&b, 0, block, 0);
     puts("up");
     fflush(stdout);
     getchar();
     return 0;
   }`,
  { name: 'threads' },
);

test('errors pass the channel whole', () => {
  const error = new StillframeError('mismatch', 'a: b', {
    hint: 'do x',
    detail: { pid: 3, address: 5n },
    candidates: ['c'],
  });
  const passed = fromWireError(structuredClone(toWireError(error)));
  expect(passed).toMatchObject({
    code: 'mismatch',
    message: 'a: b',
    hint: 'do x',
    detail: { pid: 3, address: 5n },
    candidates: ['c'],
  });
  expect(toWireError(new TypeError('bug'))).toMatchObject({ code: 'internal', message: 'bug' });
});

describe('the tracer', () => {
  test('lists processes, their facts and the engines of this host', async () => {
    await using target = startProgram(program, ['x y'], { OTEL_SERVICE_NAME: 'svc' });
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const tracerPid = await tracer.start();
    const targets = await tracer.listTargets();
    expect(targets.find((found) => found.pid === target.pid)).toMatchObject({
      comm: 'threads',
      args: [program, 'x y'],
      executable: program,
      service: 'svc',
    });
    expect(targets.some((found) => found.pid === tracerPid || found.pid === process.pid)).toBe(false);
    expect((await tracer.listTargets('service:svc')).map((found) => found.pid)).toEqual([target.pid]);
    await expect(tracer.listTargets('nonsense')).rejects.toThrow(
      'cannot parse target "nonsense": it has no known kind',
    );
    const facts = await tracer.processFacts(target.pid);
    expect(facts.modules.some((module) => module.path === program)).toBe(true);
    expect(facts.parentPid).toBe(process.pid);
    const engines = await tracer.probeEngines();
    expect(engines.find((report) => report.engine === 'mem')?.support.supported).toBe('yes');
    await expect(tracer.processFacts(0x7fffffff)).rejects.toThrow(
      'cannot read /proc/2147483647/stat: process 2147483647 does not exist',
    );
  });

  test('reads all threads by memory alone', async () => {
    await using target = startProgram(program);
    await target.nextLine();
    await untilCalling(target.pid, SYS_read, SYS_pause);
    await using tracer = new TracerSupervisor();
    const { capture, facts } = await tracer.now({
      pid: target.pid,
      tids: [],
      stackBytes: 4096,
      maxBytes: 65_536,
      engine: 'mem',
    });
    expect(facts.pid).toBe(target.pid);
    expect(capture).toMatchObject({ engine: 'mem', pid: target.pid, tid: target.pid, missing: [] });
    expect(capture.threads.map((thread) => thread.tid)).toEqual(
      readdirSync(`/proc/${target.pid}/task`).map(Number),
    );
    const [main, spinning, blocked] = capture.threads;
    expect(spinning?.absent).toEqual({
      reason: 'unreadable',
      detail: 'it was running, and the registers of a running thread cannot be read without stopping it',
    });
    for (const thread of [main, blocked]) {
      const sp = readUserRegister(thread?.registers ?? new Uint8Array(), 'rsp');
      const stack = capture.ranges.find((range) => range.path === `stack of ${thread?.tid}`);
      expect(stack?.address).toBe(sp - 128n);
      expect(stack?.provenance).toBe('racy');
      expect(thread?.unknownRegisters).toContain('rbp');
      expect(thread?.unknownRegisters).not.toContain('rip');
    }
    // read(0, ...) and pause().
    expect(readUserRegister(main?.registers ?? new Uint8Array(), 'orig_rax')).toBe(0n);
    expect(readUserRegister(main?.registers ?? new Uint8Array(), 'rdi')).toBe(0n);
    expect(readUserRegister(blocked?.registers ?? new Uint8Array(), 'orig_rax')).toBe(34n);
  });

  test('is started again when it is killed, and says so', async () => {
    const logged: string[] = [];
    await using tracer = new TracerSupervisor({
      restartDelayMs: 10,
      log: (_, message) => logged.push(message),
    });
    const restarted = new Promise<string>((resolve) => {
      tracer.listen({ hit: () => undefined, ended: () => undefined, restarted: resolve });
    });
    const first = await tracer.start();
    process.kill(first, 'SIGSTOP');
    const lost = tracer.listTargets();
    process.kill(first, 'SIGKILL');
    const reason = `the tracer (process ${first}) ended with SIGKILL`;
    await expect(lost).rejects.toThrow(reason);
    expect(await restarted).toBe(reason);
    expect(logged).toEqual([reason]);
    expect((await tracer.listTargets()).length).toBeGreaterThan(0);
    expect(await tracer.start()).not.toBe(first);
  });

  test('ends with its front', async () => {
    const tracer = new TracerSupervisor();
    const pid = await tracer.start();
    await tracer[Symbol.asyncDispose]();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await expect(tracer.listTargets()).rejects.toThrow('the tracer was shut down');
  });

  test('names what it cannot do', async () => {
    await using tracer = new TracerSupervisor();
    await expect(
      tracer.now({ pid: process.pid, tids: [], stackBytes: 0, maxBytes: 0, engine: 'fork' }),
    ).rejects.toThrow(
      'no engine can read all threads now: fork: it copies whole processes, for `stillframe core`',
    );
  });
});
