/** A process to copy: threads that compute and check what they compute, threads in system calls that a stop must not end, and what it has heard of children. */
import { readFileSync, readdirSync } from 'node:fs';
import { compileC } from '../../../support/compile-c.js';
import type { RunningProgram } from '../../../support/running-program.js';

export const copiedProgram: string = compileC(
  `#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile long rounds, wrong, child_signals, ended_early, calls, epoll_interrupted;
static volatile int stop;
static int never[2];

static void on_child(int signal) { (void)signal; child_signals++; }

static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whole numbers and vectors, with what must come out known. */
static void *busy(void *argument) {
  volatile double sums[8];
  while (!stop) {
    unsigned long state = 88172645463325252ul, folded = 0;
    for (int i = 0; i < 8; i++) sums[i] = 0;
    for (int i = 0; i < 20000; i++) {
      state ^= state << 13; state ^= state >> 7; state ^= state << 17;
      folded += state;
      sums[i & 7] += 0.5 * i;
    }
    double sum = 0;
    for (int i = 0; i < 8; i++) sum += sums[i];
    if (folded != 0xFOLDEDul || sum != 99995000.0) wrong++;
    __atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
    if (argument) usleep(500);
  }
  return 0;
}

/* Each call has to last as long as it was told to, and to end as it would alone. */
static void lasted(long began, long wanted, int ok) {
  calls++;
  if (!ok || now_ms() - began < wanted) { ended_early++; }
}
static void *sleeper(void *argument) {
  while (!stop) {
    struct timespec t = { 0, 60000000 };
    long began = now_ms();
    lasted(began, 60, nanosleep(&t, 0) == 0);
  }
  return argument;
}
static void *poller(void *argument) {
  while (!stop) {
    struct pollfd fd = { never[0], POLLIN, 0 };
    long began = now_ms();
    lasted(began, 50, poll(&fd, 1, 50) == 0);
  }
  return argument;
}
static void *epoller(void *argument) {
  int epoll = epoll_create1(0);
  struct epoll_event event;
  while (!stop) {
    long began = now_ms();
    int got = epoll_wait(epoll, &event, 1, 55);
    /* The kernel ends it for any stop: only a living tracer can have it made again. */
    if (got == -1 && errno == EINTR) epoll_interrupted++;
    else lasted(began, 55, got == 0);
  }
  return argument;
}
static void *masked_poller(void *argument) {
  sigset_t all;
  sigfillset(&all);
  while (!stop) {
    struct timespec t = { 0, 45000000 };
    struct pollfd fd = { never[0], POLLIN, 0 };
    long began = now_ms();
    lasted(began, 45, ppoll(&fd, 1, &t, &all) == 0);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, 0, &mask);
    if (sigismember(&mask, SIGUSR2)) ended_early++;
  }
  return argument;
}
static void *reader(void *argument) {
  char byte;
  if (read(never[0], &byte, 1) != 1 || byte != 'x') ended_early++;
  return argument;
}
static int word = 7;
static void *waiter(void *argument) {
  while (!stop) {
    struct timespec t = { 0, 65000000 };
    long began = now_ms();
    long r = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 7, &t, 0, 0);
    lasted(began, 65, r == -1 && errno == ETIMEDOUT);
  }
  return argument;
}

int main(int argc, char **argv) {
  pthread_t thread;
  int threads = argc > 1 ? atoi(argv[1]) : 2;
  long megabytes = argc > 2 ? atol(argv[2]) : 0;
  signal(SIGCHLD, on_child);
  signal(SIGUSR2, on_child);
  if (pipe(never) != 0) return 1;
  if (megabytes > 0) {
    long *memory = malloc(megabytes << 20);
    for (long i = 0; i < (megabytes << 20) / 8; i++) memory[i] = i * 2654435761;
  }
  for (int i = 0; i < threads; i++) pthread_create(&thread, 0, busy, (void *)1);
  if (argc <= 3) {
    void *(*others[])(void *) = { sleeper, poller, epoller, masked_poller, reader, waiter };
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) pthread_create(&thread, 0, others[i], 0);
  }
  puts("up");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    if (line[0] == 'q') break;
    /* Anybody's child, of whatever kind: there is none. */
    int status, none = waitpid(-1, &status, WNOHANG | __WALL) == -1 && errno == ECHILD;
    printf("%ld %ld %ld %ld %ld %ld %d\\n", rounds, wrong, child_signals, ended_early, calls, epoll_interrupted, !none);
    fflush(stdout);
  }
  stop = 1;
  return 7;
}
`.replace('FOLDED', folded()),
  { name: 'copied', flags: ['-g', '-O1'] },
);

function folded(): string {
  const mask = (1n << 64n) - 1n;
  let state = 88172645463325252n;
  let sum = 0n;
  for (let i = 0; i < 20000; i++) {
    state ^= (state << 13n) & mask;
    state ^= state >> 7n;
    state ^= (state << 17n) & mask;
    sum = (sum + state) & mask;
  }
  return sum.toString(16);
}

export interface Health {
  readonly rounds: number;
  readonly wrong: number;
  readonly childSignals: number;
  readonly endedEarly: number;
  readonly calls: number;
  /** EINTR of epoll_wait. */
  readonly interrupted: number;
  readonly hasChild: number;
}

export async function askHealth(target: RunningProgram): Promise<Health> {
  target.child.stdin.write('c\n');
  const line = await target.nextLine();
  const [rounds = 0, wrong = 0, childSignals = 0, endedEarly = 0, calls = 0, interrupted = 0, hasChild = 0] =
    line.split(' ').map(Number);
  return { rounds, wrong, childSignals, endedEarly, calls, interrupted, hasChild };
}

/** Processes that say they are the program, or a child of it: copies that were left. */
export function relativesOf(pid: number): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && entry !== String(pid))
    .flatMap((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const isChild = fields[1] === String(pid);
        const isCopy = stat.includes('(copied)') && argumentsOf(entry) === argumentsOf(String(pid));
        return isChild || isCopy ? [`${entry} ${fields[0]} ${fields[1]}`] : [];
      } catch {
        return [];
      }
    });
}

const argumentsOf = (pid: string): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8');
