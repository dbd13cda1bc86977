/** A program that passes one function a hundred times a second, checks itself, and lives in whatever world it is started in. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readStatus } from '../../../agent/linux/proc.js';
import { compileC } from '../../support/compile-c.js';
import type { StartedProgram, Workplace } from '../../support/cli.js';
import { repositoryRoot } from '../../support/paths.js';

const source = `
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
struct tick { long number; const char *label; };
static volatile long passed, wrong, child_signals;
__attribute__((noinline)) long pass(struct tick *tick) {
  long doubled = tick->number * 2;
  __asm__ volatile("" ::: "memory");
  return doubled + (long)strlen(tick->label); /* PROBE: pass */
}
static void tick(const char *label, long number) {
  struct tick tick = { number, label };
  if (pass(&tick) != number * 2 + (long)strlen(label)) wrong++;
  passed++;
}
static void *worker(void *argument) {
  for (long i = 1;; i++) { tick("worker", i); usleep(10000); }
  return argument;
}
static void *forker(void *argument) {
  for (long i = 1;; i++) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) { tick("child", i); _exit(wrong ? 1 : 3); }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 3) wrong++;
    usleep(20000);
  }
  return argument;
}
static void on_child(int signal) { (void)signal; child_signals++; }
int main(int argc, char **argv) {
  pthread_t thread;
  char line[256];
  void *library = 0;
  const char *mode = argc > 2 ? argv[2] : "";
  if (strcmp(mode, "fork") == 0) pthread_create(&thread, 0, forker, 0);
  else signal(SIGCHLD, on_child);
  if (strcmp(mode, "quiet") != 0) pthread_create(&thread, 0, worker, 0);
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\\n")] = 0;
    if (line[0] == 'e') execl(line + 1, argv[0], "-", (char *)0);
    if (line[0] == 'd') {
      if (!library) library = dlopen(line + 1, RTLD_NOW);
      void (*call)(long (*)(struct tick *)) = dlsym(library, "call_back");
      if (call) call(pass);
    }
    if (line[0] == 'u' && library) { dlclose(library); library = 0; }
    printf("passed %ld wrong %ld heard %ld\\n", passed, wrong, child_signals); fflush(stdout);
  }
  for (;;) pause();
}
`;

export const crew: string = compileC(source, { name: 'crew', flags: ['-g', '-O1'] });
export const staticCrew: string = compileC(source, { name: 'crew', flags: ['-g', '-O1', '-static', '-w'] });

/** A library that calls the program back. */
export const library: string = compileC(
  `struct tick { long number; const char *label; };
static volatile long sum;
void call_back(long (*pass)(struct tick *)) {
  struct tick tick = { 4242, "from the library" };
  sum = pass(&tick); /* PROBE: calls */
}
`,
  { name: 'libcrew.so', flags: ['-g', '-O1', '-shared', '-fPIC'] },
);

/** The process, as the host numbers it, whose arguments have the word and whose name is the program's; not those that it has forked already, which have the same. */
export function pidOf(word: string): number {
  const found = readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const isCrew = readFileSync(`/proc/${entry}/comm`, 'utf8') === 'crew\n';
      if (!isCrew || !readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0').includes(word)) return [];
      const pid = Number(entry);
      return [{ pid, parent: readStatus(pid).parentPid }];
    } catch {
      return [];
    }
  });
  const first = found.filter(({ parent }) => found.every(({ pid }) => pid !== parent));
  expect(first).toHaveLength(1);
  return first[0]?.pid ?? 0;
}

export interface Member {
  readonly started: StartedProgram;
  readonly pid: number;
}

/** Runs a shell script that ends in the program with `$WORD` as its first argument. */
export async function startIn(
  workplace: Workplace,
  wrapper: readonly string[],
  script: string,
): Promise<Member> {
  const word = `w${Math.random().toString(36).slice(2)}`;
  const [command, ...rest] = [...wrapper, 'sh', '-c', script];
  const started = await workplace.startProgram('env', [`WORD=${word}`, command, ...rest], {
    ready: /^ready$/,
    stdin: true,
  });
  return { started, pid: pidOf(word) };
}

/** Sends a line and gives what the program says of itself. */
export async function say({ started }: Member, line: string): Promise<string> {
  const before = started.lines.length;
  started.process.stdin?.write(`${line}\n`);
  for (let i = 0; i < 6000; i++) {
    const answer = started.lines[before];
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no answer to "${line}"`);
}

export interface WaitingSnap {
  readonly ended: Promise<{
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }>;
}

/** Starts `stillframe snap`, and comes back when its point is armed. The workplace's end ends it, too. */
export async function startSnap(workplace: Workplace, ...args: readonly string[]): Promise<WaitingSnap> {
  const child = spawn(
    process.execPath,
    [join(repositoryRoot, 'bin', 'stillframe.js'), 'snap', ...args, '--json'],
    {
      env: workplace.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  const ended = once(child, 'close').then(([status]: (number | null)[]) => ({
    status: status ?? null,
    stdout,
    stderr,
  }));
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (text: Buffer) => {
      stderr += text.toString();
      if (/armed (?:at \d|in the library)/.test(stderr)) resolve();
    });
    child.once('close', () => reject(new Error(`the point was not armed: ${stderr}`)));
  });
  return { ended };
}

const traced = /^TracerPid:\t[1-9]/m;

/** It works, what it calculates is right, it has heard of no child, and nobody traces it. */
export async function expectWell(member: Member): Promise<void> {
  const passed = async (): Promise<number> => {
    const said = await say(member, 'c');
    expect(said).toMatch(/^passed \d+ wrong 0 heard 0$/);
    return Number(said.split(' ')[1]);
  };
  const before = await passed();
  for (let i = 0; i < 500 && (await passed()) === before; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await passed()).toBeGreaterThan(before);
  for (const tid of readdirSync(`/proc/${member.pid}/task`))
    expect(readFileSync(`/proc/${member.pid}/task/${tid}/status`, 'utf8')).not.toMatch(traced);
  expect(readFileSync(`/proc/${member.pid}/task/${member.pid}/children`, 'utf8')).toBe('');
}
