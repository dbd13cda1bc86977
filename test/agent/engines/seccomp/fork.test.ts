/** Processes under seccomp filters: copied where the filters let all calls pass that it takes, else refused, and never harmed. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readStatus } from '../../../../agent/linux/proc.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram, type RunningProgram } from '../../../support/running-program.js';
import { askHealth, copiedProgram, relativesOf } from '../fork/target.js';
import { threadTraces } from '../ptrace/target.js';
import { filteredProgram } from './filtered.js';

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'stillframe-seccomp-'));
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const order = { maxBytes: 2 ** 32, snapshot: '0t3k00000000', host: 'here' };
const nothing = (): void => undefined;
const attempts = 3;

async function startFiltered(filters: readonly string[]): Promise<RunningProgram> {
  const target = startProgram(filteredProgram, [...filters, '--', copiedProgram, '2', '2']);
  expect(await target.nextLine()).toBe('up');
  expect(readStatus(target.pid).seccompMode).toBe(2);
  return target;
}

async function expectUnharmed(target: RunningProgram): Promise<void> {
  expect(relativesOf(target.pid)).toEqual([]);
  expect(threadTraces(target.pid).filter(({ tracer }) => tracer !== 0)).toEqual([]);
  const before = await askHealth(target);
  const health = { wrong: 0, childSignals: 0, endedEarly: 0, hasChild: 0 };
  expect(before).toMatchObject(health);
  let after = before;
  while (after.rounds === before.rounds || after.calls === before.calls) after = await askHealth(target);
  expect(after).toMatchObject(health);
  target.child.stdin.write('q\n');
  expect(await target.ended).toBe(7);
}

describe('fork, under seccomp', () => {
  const tracer = new TracerSupervisor();
  afterAll(() => tracer[Symbol.asyncDispose]());

  test.each([
    { what: 'the allow-list of a container', filters: ['container'] },
    { what: 'three filters, one upon another', filters: ['container', 'mount:kill', 'ptrace:1'] },
    { what: 'a filter that answers prctl with EPERM', filters: ['prctl:1'] },
    { what: 'a filter that kills for clone of a thread only', filters: ['clone:kill:4:0x003d0f00'] },
    { what: 'a filter that logs clone', filters: ['clone:log'] },
    // The kernel has a thread make this call for no more than a stop.
    { what: 'a filter that kills for restart_syscall', filters: ['restart_syscall:kill'] },
  ])('a process under $what is copied', async ({ filters }) => {
    using folder = new Folder();
    await using target = await startFiltered(filters);
    for (let i = 0; i < attempts; i++) {
      const file = join(folder.path, `${i}.core`);
      const made = await tracer.core({ ...order, pid: target.pid, file }, nothing);
      expect(made.size).toBe(statSync(file).size);
    }
    await expectUnharmed(target);
  });

  test.each([
    { filters: ['clone:kill'], reason: 'seccomp answers clone with SECCOMP_RET_KILL_PROCESS' },
    { filters: ['clone:kill-thread'], reason: 'seccomp answers clone with SECCOMP_RET_KILL_THREAD' },
    { filters: ['clone:trap'], reason: 'seccomp answers clone with SECCOMP_RET_TRAP' },
    { filters: ['clone:notify'], reason: 'seccomp answers clone with SECCOMP_RET_USER_NOTIF' },
    { filters: ['clone:trace'], reason: 'seccomp answers clone with SECCOMP_RET_TRACE' },
    { filters: ['clone:1'], reason: 'seccomp answers clone with SECCOMP_RET_ERRNO (EPERM)' },
    // CLONE_FILES alone: the second one.
    { filters: ['clone:1:4:0x400'], reason: 'seccomp answers clone with SECCOMP_RET_ERRNO (EPERM)' },
    { filters: ['wait4:10'], reason: 'seccomp answers wait4 with SECCOMP_RET_ERRNO (ECHILD)' },
    { filters: ['rt_sigreturn:kill'], reason: 'seccomp answers rt_sigreturn with SECCOMP_RET_KILL_PROCESS' },
    { filters: ['exit_group:1:4:0'], reason: 'seccomp answers exit_group with SECCOMP_RET_ERRNO (EPERM)' },
    {
      filters: ['wait4:1:4:77'],
      reason: 'what seccomp answers to wait4 depends on what is not known before',
    },
    {
      filters: ['clone:log', 'clone:1', 'clone:kill', 'clone:38'],
      reason: 'seccomp answers clone with SECCOMP_RET_KILL_PROCESS',
    },
  ])('$filters: refused, and not touched', async ({ filters, reason }) => {
    using folder = new Folder();
    await using target = await startFiltered(filters);
    const taken = tracer.core({ ...order, pid: target.pid, file: join(folder.path, 'x.core') }, nothing);
    await expect(taken).rejects.toMatchObject({
      code: 'unsupported',
      message: `cannot copy process ${target.pid}: ${reason}`,
      hint: 'an engine that makes no call in the process: --stacks with observe or ptrace',
    });
    // That it ends as it wants is another matter.
    if (!filters.some((filter) => filter.startsWith('exit_group'))) await expectUnharmed(target);
    else expect(await askHealth(target)).toMatchObject({ wrong: 0, endedEarly: 0 });
  });

  test('strict mode is refused', async () => {
    using folder = new Folder();
    await using target = startProgram(strictProgram);
    await target.nextLine();
    const taken = tracer.core({ ...order, pid: target.pid, file: join(folder.path, 'x.core') }, nothing);
    await expect(taken).rejects.toMatchObject({
      code: 'unsupported',
      message: `cannot copy process ${target.pid}: seccomp in strict mode kills it for clone`,
    });
    target.child.stdin.write('x');
    expect(await target.nextLine()).toBe('alive');
  });

  test('with a stop of ptrace, sleeps go on where restart_syscall would kill', async () => {
    await using target = await startFiltered(['restart_syscall:kill']);
    for (let i = 0; i < 10; i++) {
      const { capture } = await tracer.now({
        pid: target.pid,
        tids: [],
        stackBytes: 4096,
        maxBytes: 2 ** 20,
        engine: 'ptrace',
      });
      expect(capture.threads.length).toBe(9);
    }
    await expectUnharmed(target);
  });
});

const strictProgram = compileC(
  `#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void) {
  char byte;
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
  write(1, "up\\n", 3);
  read(0, &byte, 1);
  write(1, "alive\\n", 6);
  for (;;) read(0, &byte, 1);
}
`,
  { name: 'strict' },
);
