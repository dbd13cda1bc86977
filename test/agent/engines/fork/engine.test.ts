import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCore } from '../../../../format/core/read.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { FileSource } from '../../../../agent/linux/file-source.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';
import { threadTraces } from '../ptrace/target.js';
import { askHealth, copiedProgram, relativesOf } from './target.js';

const order = { maxBytes: 2 ** 32, snapshot: '0t3k00000000', host: 'here' };

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'stillframe-fork-'));
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const nothing = (): void => undefined;

describe('fork', () => {
  test('can be had on this host, and says so', async () => {
    await using tracer = new TracerSupervisor();
    const reports = await tracer.probeEngines();
    expect(reports.find(({ engine }) => engine === 'fork')).toMatchObject({
      support: { supported: 'yes', detail: expect.stringContaining('a process of its own was copied') },
    });
  });

  test('copies a process that works 20 times; it notices nothing', async () => {
    using folder = new Folder();
    await using target = startProgram(copiedProgram, ['3', '16']);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const pid = await tracer.start();
    const before = await askHealth(target);
    let descriptors = 0;
    for (let i = 0; i < 20; i++) {
      const file = join(folder.path, `${i}.core`);
      const made = await tracer.core({ ...order, pid: target.pid, file }, nothing);
      expect(made.engine).toBe('fork');
      expect(made.size).toBe(statSync(file).size);
      expect(made.size).toBeGreaterThan(16 << 20);
      using source = new FileSource(file);
      const core = openCore(source);
      expect(core.threads.length).toBe(3 + 7);
      expect(core.note).toMatchObject({ engine: 'fork', pid: target.pid });
      rmSync(file);
      expect(relativesOf(target.pid)).toEqual([]);
      const open = readdirSync(`/proc/${pid}/fd`).length;
      if (i === 4) descriptors = open;
      if (i > 4) expect(open).toBeLessThanOrEqual(descriptors + 1);
    }
    const after = await askHealth(target);
    expect(after).toMatchObject({ wrong: 0, childSignals: 0, endedEarly: 0, interrupted: 0, hasChild: 0 });
    expect(after.rounds).toBeGreaterThan(before.rounds);
    expect(after.calls).toBeGreaterThan(before.calls);
    expect(threadTraces(target.pid).filter(({ tracer: by }) => by !== 0)).toEqual([]);
    target.child.stdin.write('q\n');
    expect(await target.ended).toBe(7);
  });

  test('a stopped process is copied, and stays stopped', async () => {
    using folder = new Folder();
    await using target = startProgram(copiedProgram, ['1']);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    target.child.kill('SIGSTOP');
    while (threadTraces(target.pid).some(({ state }) => state !== 'T'))
      await new Promise((r) => setTimeout(r, 5));
    const file = join(folder.path, 'stopped.core');
    await tracer.core({ ...order, pid: target.pid, file }, nothing);
    using source = new FileSource(file);
    expect(openCore(source).note?.threads.every(({ state }) => state === 'T')).toBe(true);
    expect(threadTraces(target.pid).every(({ state, tracer: by }) => state === 'T' && by === 0)).toBe(true);
    target.child.kill('SIGCONT');
    expect(await askHealth(target)).toMatchObject({ wrong: 0, childSignals: 0, hasChild: 0 });
  });

  test('a process that forbids dumps (PR_SET_DUMPABLE 0) is copied by root, and stays so', async () => {
    using folder = new Folder();
    await using target = startProgram(guarded('prctl(PR_SET_DUMPABLE, 0);'));
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const file = join(folder.path, 'guarded.core');
    await tracer.core({ ...order, pid: target.pid, file }, nothing);
    expect(statSync(file).size).toBeGreaterThan(0);
    target.child.stdin.write('\n');
    expect(await target.nextLine()).toBe('dumpable 0');
  });

  test.each([
    {
      what: 'that is traced already',
      setUp: 'if (fork() == 0) { ptrace(PTRACE_SEIZE, getppid(), 0, 0); for (;;) pause(); }',
      code: 'denied',
      message: /^cannot copy process \d+: process \d+ traces it already$/,
    },
  ])('a process $what is refused and not touched', async ({ setUp, code, message }) => {
    using folder = new Folder();
    await using target = startProgram(guarded(setUp));
    await target.nextLine();
    while (threadTraces(target.pid).every(({ tracer: by }) => by === 0))
      await new Promise((r) => setTimeout(r, 5));
    await using tracer = new TracerSupervisor();
    const file = join(folder.path, 'refused.core');
    const taken = tracer.core({ ...order, pid: target.pid, file }, nothing);
    await expect(taken).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(readdirSync(folder.path)).toEqual([]);
    for (const relative of relativesOf(target.pid)) process.kill(Number(relative.split(' ')[0]), 'SIGKILL');
  });

  test('the first process of a pid namespace is refused', async () => {
    using folder = new Folder();
    const shell = spawn('unshare', ['--pid', '--fork', '--kill-child', copiedProgram, '1'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve) => shell.stdout.once('data', resolve));
      const children = readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, 'utf8');
      await using tracer = new TracerSupervisor();
      const file = join(folder.path, 'init.core');
      await expect(tracer.core({ ...order, pid: Number(children), file }, nothing)).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('it is the first process of its pid namespace'),
      });
    } finally {
      shell.kill('SIGKILL');
    }
  });

  test('a tracer killed while it writes takes the copy with it', async () => {
    using folder = new Folder();
    await using target = startProgram(copiedProgram, ['1', '256']);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const pid = await tracer.start();
    const file = join(folder.path, 'cut.core');
    const taken = tracer.core({ ...order, pid: target.pid, file }, nothing);
    taken.catch(nothing);
    while (!existsSync(file)) await new Promise((r) => setTimeout(r, 1));
    expect(relativesOf(target.pid).length).toBe(1);
    process.kill(pid, 'SIGKILL');
    await expect(taken).rejects.toMatchObject({ code: 'unreachable' });
    for (let i = 0; i < 12_000 && relativesOf(target.pid).length > 0; i++)
      await new Promise((r) => setTimeout(r, 5));
    expect(relativesOf(target.pid)).toEqual([]);
    expect(await askHealth(target)).toMatchObject({ wrong: 0, childSignals: 0, endedEarly: 0, hasChild: 0 });
  });

  test.each([
    { what: 'full', options: 'size=4m', errno: 'ENOSPC', hint: /^the disk is full: / },
    { what: 'read-only', options: 'ro', errno: 'EROFS', hint: /^the disk is read-only: / },
  ])('on a $what disk neither the copy nor a part of the core stays', async ({ options, errno, hint }) => {
    using folder = new Folder();
    await using target = startProgram(copiedProgram, ['1', '16']);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder.path]);
    try {
      const file = join(folder.path, 'x.core');
      await expect(tracer.core({ ...order, pid: target.pid, file }, nothing)).rejects.toMatchObject({
        code: 'system',
        message: `cannot write the core "${file}": ${errno}`,
        hint: expect.stringMatching(hint),
      });
      expect(readdirSync(folder.path)).toEqual([]);
    } finally {
      execFileSync('umount', [folder.path]);
    }
    expect(relativesOf(target.pid)).toEqual([]);
    expect(await askHealth(target)).toMatchObject({ wrong: 0, childSignals: 0, hasChild: 0 });
  });
});

/** Sets itself up, says so, and tells at the end whether it may be dumped. */
function guarded(setUp: string): string {
  return compileC(
    `#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(void) {
  ${setUp}
  puts("up"); fflush(stdout);
  getchar();
  printf("dumpable %d\\n", prctl(PR_GET_DUMPABLE)); fflush(stdout);
  for (;;) pause();
}
`,
    { name: 'guarded' },
  );
}
