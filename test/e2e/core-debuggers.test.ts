/** Cores of ours, opened by debuggers that others wrote, say what gcore's say: the same process, at rest, taken by both. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { SYS_pause, SYS_read, untilCalling } from '../support/at-rest.js';
import { compileC } from '../support/compile-c.js';
import { compileNative, go } from '../support/compile-native.js';

const nested = compileC(
  `#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static __attribute__((noinline)) void deep(int depth, const char *what) {
  char local[64];
  snprintf(local, sizeof local, "%s at depth %d", what, depth);
  if (depth > 0) deep(depth - 1, what);
  else if (strcmp(what, "main") == 0) { puts("ready"); fflush(stdout); for (;;) pause(); }
  else for (;;) pause();
  __asm__ volatile("" :: "r"(local) : "memory");
}
static void *worker(void *name) { deep(3, name); return 0; }
int main(void) {
  pthread_t thread;
  pthread_create(&thread, 0, worker, "one");
  pthread_create(&thread, 0, worker, "two");
  deep(5, "main");
}
`,
  { name: 'nested', flags: ['-g', '-O0'] },
);

const goSource = `package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

func deep(n int, pipe int) {
	if n > 0 {
		deep(n-1, pipe)
		return
	}
	buffer := make([]byte, 1)
	if pipe == 0 {
		fmt.Println("ready")
	}
	syscall.Read(pipe, buffer)
}

func main() {
	var ends [2]int
	syscall.Pipe(ends[:])
	go deep(3, ends[0])
	go deep(4, ends[0])
	for runtime.NumGoroutine() < 3 {
		runtime.Gosched()
	}
	if len(os.Args) > 1 {
		runtime.GC()
	}
	deep(5, 0)
}
`;
const goProgram = compileNative(goSource, 'nested-go', go());

let workplace: Workplace;
beforeAll(async () => {
  workplace = openWorkplace();
  await workplace.startAgent();
});
afterAll(async () => {
  await workplace[Symbol.asyncDispose]();
});

/** The same core by both, under the same name in two folders, so that it is named the same in what is said of it. */
async function takeBoth(target: StartedProgram): Promise<{ readonly ours: string; readonly gcores: string }> {
  const [ours = '', gcores = ''] = ['ours', 'gcores'].map((name) =>
    join(workplace.folder, `${name}-${target.pid}.core`),
  );
  expect(await workplace.run('core', String(target.pid), '--full', '-o', ours)).toMatchObject({ status: 0 });
  execFileSync('gcore', ['-o', join(workplace.folder, 'gcore'), String(target.pid)], { stdio: 'ignore' });
  renameSync(join(workplace.folder, `gcore.${target.pid}`), gcores);
  return { ours, gcores };
}

describe('a core of a program of C', () => {
  let ours: string;
  let gcores: string;
  beforeAll(async () => {
    const target = await workplace.startProgram(nested, [], { ready: /ready/ });
    await untilCalling(target.pid, SYS_pause, SYS_pause, SYS_pause);
    ({ ours, gcores } = await takeBoth(target));
  });

  test('has the same stacks to eu-stack', () => {
    const ask = (core: string): string[] =>
      spawnSync('eu-stack', [`--core=${core}`, '-e', nested], { encoding: 'utf8' })
        .stdout.split(/\n(?=TID )/)
        .toSorted();
    const said = ask(ours);
    expect(said.join('\n').match(/ deep$/gm)).toHaveLength(6 + 4 + 4);
    expect(said).toEqual(ask(gcores));
  });

  test('has the same stacks to lldb', () => {
    const ask = (core: string): string[] => {
      const args = ['--batch', '-o', 'thread backtrace all', '-c', core, nested];
      const { stdout } = spawnSync('lldb', args, { encoding: 'utf8' });
      // By their arguments, where lldb says how a thread came to stop, and what a pointer to no code leads to.
      return stdout
        .split('\n')
        .filter((line) => line.includes('frame #'))
        .map((line) => line.replace(/^[ *]+/, '').replaceAll(/init=[^,]*, /g, ''));
    };
    const said = ask(ours);
    expect(said.filter((line) => line.includes('`deep(depth='))).toHaveLength(6 + 4 + 4);
    expect(said).toEqual(ask(gcores));
  });
});

describe('a core of a program of Go', () => {
  test('has the same goroutines and threads to delve, and takes no more than one of the kernel', async () => {
    const target = await workplace.startProgram(goProgram, [], { ready: /ready/, stdin: true });
    await untilCalling(target.pid, SYS_read, SYS_read, SYS_read);
    const { ours, gcores } = await takeBoth(target);
    const ask = (core: string): string[] => {
      const args = ['core', goProgram, core, '--allow-non-terminal-interactive=true'];
      const { stdout } = spawnSync('dlv', args, {
        encoding: 'utf8',
        input: 'goroutines -t\nthreads\nexit\n',
      });
      // Threads come in the order of the file, and the first one is the current one.
      return stdout
        .replaceAll('(dlv) ', '')
        .split('\n')
        .map((line) => line.replace(/^[ *]+/, ''))
        .toSorted();
    };
    const said = ask(ours);
    expect(said.filter((line) => line.includes(' in main.deep')).length).toBe(6 + 4 + 5);
    const threads = readdirSync(`/proc/${target.pid}/task`).length;
    expect(said.filter((line) => line.startsWith('Thread '))).toHaveLength(threads);
    expect(said).toEqual(ask(gcores));

    const size = storedBytes(ours);
    target.process.kill('SIGKILL');
    expect(size).toBeLessThanOrEqual(1.2 * (await kernelCoreBytes()));
  });
});

const blockBytes = 512;
const storedBytes = (path: string): number => statSync(path).blocks * blockBytes;

/** What the kernel writes of the same program. */
async function kernelCoreBytes(): Promise<number> {
  const script =
    'cd "$0" && ulimit -c unlimited && echo 0x33 > /proc/$$/coredump_filter && GOTRACEBACK=crash exec "$1"';
  const target = await workplace.startProgram('sh', ['-c', script, workplace.folder, goProgram], {
    ready: /ready/,
    stdin: true,
  });
  expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim()).toBe('core');
  const ended = new Promise((resolve) => target.process.once('exit', resolve));
  process.kill(target.pid, 'SIGABRT');
  await ended;
  const core = readdirSync(workplace.folder).find((name) => name === 'core' || name.startsWith('core.'));
  return storedBytes(join(workplace.folder, core ?? 'core'));
}
