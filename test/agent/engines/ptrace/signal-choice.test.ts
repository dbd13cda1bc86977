/** Which signal announces breakpoints: what threads block for a moment does not count, however long the moment is on a busy machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { chooseSignal } from '../../../../agent/engines/ptrace/breakpoints.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';
import { threadTraces } from './target.js';

const SIGURG = 23;

/** A thread that blocks all signals: for a moment, in which the process is stopped, or for ever. */
const program = compileC(
  `#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int for_ever;
static void *block(void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  puts("blocked");
  fflush(stdout);
  if (for_ever) for (;;) pause();
  raise(SIGSTOP);
  pthread_sigmask(SIG_SETMASK, &before, 0);
  for (;;) pause();
  return argument;
}

int main(int argc, char **argv) {
  (void)argv;
  pthread_t thread;
  for_ever = argc > 1;
  pthread_create(&thread, 0, block, 0);
  for (;;) pause();
}
`,
  { name: 'blocking' },
);

test('a thread that has not run since it was seen blocking signals is waited for', async () => {
  await using target = startProgram(program);
  expect(await target.nextLine()).toBe('blocked');
  while (threadTraces(target.pid).some(({ state }) => state !== 'T')) await sleep(5);
  const waking = spawn('sh', ['-c', `sleep 0.5; kill -CONT ${target.pid}`]);
  const woken = once(waking, 'exit');
  expect(chooseSignal(target.pid)).toBe(SIGURG);
  await woken;
});

test('a thread that sleeps and blocks them blocks them for good', async () => {
  await using target = startProgram(program, ['for ever']);
  expect(await target.nextLine()).toBe('blocked');
  expect(() => chooseSignal(target.pid)).toThrow(
    `cannot set breakpoints in process ${target.pid}: no signal is free to announce them: SIGURG is blocked in a thread, SIGWINCH is blocked in a thread, SIGCHLD is blocked in a thread`,
  );
});
