/** A program to trace: threads that call a function in a loop, and check that nothing about them was changed. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { TracerSupervisor, type SupervisorOptions } from '../../../../agent/tracer/supervisor.js';
import { ByteWriter } from '../../../../format/bytes.js';
import type { Plan, PlanRange } from '../../../../format/plan/plan.js';
import { compileC } from '../../../support/compile-c.js';

export const busyProgram: string = compileC(
  `#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

struct order { long id; const char *name; };
static volatile long calls, checksum, usr1, winch, short_lived;
static volatile int stop;

__attribute__((noinline, noipa)) long work(struct order *order) {
  calls++;
  return order->id * 3;
}

__attribute__((noinline, noipa)) long second(long x) { return x + 1; }
__attribute__((noinline, noipa)) long third(long x) { return x + 2; }
__attribute__((noinline, noipa)) long fourth(long x) { return second(x) + 3; }
__attribute__((noinline, noipa)) long fifth(long x) { return x == 0 ? 0 : x; }

static volatile long children, bad_children;
static void *forker(void *argument) {
  while (!stop) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
      struct order order = { 5, "child" };
      _exit(work(&order) == 15 && second(1) == 2 && third(1) == 3 && fourth(1) == 5 && fifth(1) == 1 ? 3 : 4);
    }
    if (waitpid(child, &status, 0) == child) {
      children++;
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 3) bad_children++;
    }
    if (system("exit 3") != 3 << 8) bad_children++;
    usleep(1000);
  }
  return argument;
}

static void *busy(void *argument) {
  struct order order = { 0, "abc" };
  (void)argument;
  while (!stop) {
    long id = order.id++;
    if (work(&order) != (id + 1) * 3 || second(id) != id + 1 ||
        third(id) != id + 2 || fourth(id) != id + 4 || fifth(id) != id) { puts("WRONG"); fflush(stdout); abort(); }
    __atomic_add_fetch(&checksum, 1, __ATOMIC_SEQ_CST);
    if (id % 16 == 0) usleep(100);
  }
  return 0;
}

static void *short_life(void *argument) {
  struct order order = { 7, "short" };
  work(&order);
  short_lived++;
  return argument;
}

static void *spawner(void *argument) {
  while (!stop) {
    pthread_t thread;
    if (pthread_create(&thread, 0, short_life, 0) == 0) pthread_join(thread, 0);
    usleep(2000);
  }
  return argument;
}

static volatile long epoll_errors;
static void *poller(void *argument) {
  int epoll = epoll_create1(0);
  sigset_t handled;
  sigemptyset(&handled);
  sigaddset(&handled, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &handled, 0);
  struct epoll_event event;
  while (!stop) if (epoll_wait(epoll, &event, 1, 100) < 0) epoll_errors++;
  return argument;
}

static void on_usr1(int signal) { (void)signal; usr1++; }
static void on_winch(int signal) { (void)signal; winch++; }

int main(int argc, char **argv) {
  pthread_t thread;
  int threads = argc > 1 ? atoi(argv[1]) : 2;
  signal(SIGUSR1, on_usr1);
  if (argc > 2 && strchr(argv[2], 'u')) signal(SIGURG, on_winch);
  if (argc > 2 && strchr(argv[2], 'w')) signal(SIGWINCH, on_winch);
  if (argc > 2 && strchr(argv[2], 'c')) signal(SIGCHLD, on_winch);
  for (int i = 0; i < threads; i++) pthread_create(&thread, 0, busy, 0);
  if (argc > 2 && strchr(argv[2], 's')) pthread_create(&thread, 0, spawner, 0);
  if (argc > 2 && strchr(argv[2], 'f')) pthread_create(&thread, 0, forker, 0);
  pthread_create(&thread, 0, poller, 0);
  puts("up");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    if (line[0] == 'q') break;
    if (line[0] == 'e') execl("/proc/self/exe", argv[0], "0", (char *)0);
    printf("%ld %ld %ld %ld %ld %ld %ld %ld\\n", calls, checksum, usr1, winch, short_lived, epoll_errors, children, bad_children);
    fflush(stdout);
  }
  stop = 1;
  return 7;
}
`,
  { name: 'busy', flags: ['-g', '-O1', '-fno-stack-protector'] },
);

export function symbolAddress(path: string, name: string): bigint {
  const line = execFileSync('nm', [path], { encoding: 'utf8' })
    .split('\n')
    .find((text) => text.endsWith(` T ${name}`));
  return BigInt(`0x${line?.split(' ')[0]}`);
}

export function buildIdOf(path: string): string {
  return /Build ID: ([0-9a-f]+)/.exec(execFileSync('readelf', ['-n', path], { encoding: 'utf8' }))?.[1] ?? '';
}

const DW_OP_deref = 0x06;
const DW_OP_const8u = 0x0e;
const DW_OP_and = 0x1a;
const DW_OP_eq = 0x29;
const DW_OP_breg5 = 0x75;
const DW_OP_lit0 = 0x30;

/** `order->id & mask == 0`: order is in rdi, DWARF register 5. */
export function idMasked(mask: bigint): Uint8Array {
  return new ByteWriter()
    .u8(DW_OP_breg5)
    .sleb(0)
    .u8(DW_OP_deref)
    .u8(DW_OP_const8u)
    .u64(mask)
    .u8(DW_OP_and)
    .u8(DW_OP_lit0)
    .u8(DW_OP_eq)
    .finish();
}

/** The order itself, and its name. */
const orderRange: PlanRange = {
  path: '*order',
  address: Uint8Array.of(DW_OP_breg5, 0),
  length: Uint8Array.of(DW_OP_lit0 + 16),
  maxBytes: 16,
  untilNul: false,
  secret: false,
  children: [],
};

/** A plan for the entries of functions of {@link busyProgram}; -no-pie is not used, so link addresses are file offsets. */
export function planFor(functions: readonly string[], condition?: Uint8Array): Plan {
  return {
    version: 1,
    module: { buildId: buildIdOf(busyProgram), path: busyProgram },
    sites: functions.map((name) => {
      const linkAddress = symbolAddress(busyProgram, name);
      return {
        linkAddress,
        fileOffset: Number(linkAddress),
        function: name,
        inlined: false,
        ...(condition === undefined ? {} : { condition }),
        ranges: name === 'work' || name === 'short_life' ? [orderRange] : [],
      };
    }),
    stackBytes: 1024,
    maxBytes: 8192,
    request: { location: functions.join(), captures: [] },
  };
}

/** A plan for places that bring nothing, all in one function. */
export function planOfPlaces(path: string, name: string, places: readonly string[]): Plan {
  return {
    version: 1,
    module: { buildId: buildIdOf(path), path },
    sites: places.map((place) => {
      const linkAddress = symbolAddress(path, place);
      return { linkAddress, fileOffset: Number(linkAddress), function: name, inlined: false, ranges: [] };
    }),
    stackBytes: 0,
    maxBytes: 1,
    request: { location: name, captures: [] },
  };
}

/** Arms by ptrace what is only counted. */
export const countingPoint = {
  pointId: 'p',
  engine: 'ptrace' as const,
  maxHits: 1,
  minIntervalNs: 0n,
  countOnly: true,
};

/** A tracer of which nobody wants to hear. */
export function startQuietTracer(options: SupervisorOptions): TracerSupervisor {
  const tracer = new TracerSupervisor(options);
  tracer.listen({
    hit: () => undefined,
    ended: () => undefined,
    passed: () => undefined,
    restarted: () => undefined,
  });
  return tracer;
}

/** How often the second thread of a process, which only rests, gave its processor away. */
export function switchesOfBystander(pid: number): number {
  const [, bystander = ''] = readdirSync(`/proc/${pid}/task`);
  const status = readFileSync(`/proc/${pid}/task/${bystander}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\t(\d+)$/m.exec(status)?.[1]);
}

export interface ThreadTrace {
  readonly tid: number;
  readonly tracer: number;
  readonly state: string;
}

/** Who traces each thread, and what it is doing. */
export function threadTraces(pid: number): ThreadTrace[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    try {
      const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
      return {
        tid: Number(tid),
        tracer: Number(/^TracerPid:\t(\d+)$/m.exec(status)?.[1]),
        state: /^State:\t(.)/m.exec(status)?.[1] ?? '',
      };
    } catch {
      return [];
    }
  });
}

/** Numbers that the program prints when a line comes in. */
export interface BusyCounts {
  readonly calls: number;
  readonly checksum: number;
  readonly usr1: number;
  readonly winch: number;
  readonly shortLived: number;
  readonly epollErrors: number;
  readonly children: number;
  readonly badChildren: number;
}

export async function askCounts(program: {
  readonly child: { readonly stdin: { write(text: string): unknown } };
  nextLine(): Promise<string>;
}): Promise<BusyCounts> {
  program.child.stdin.write('?\n');
  const [
    calls = 0,
    checksum = 0,
    usr1 = 0,
    winch = 0,
    shortLived = 0,
    epollErrors = 0,
    children = 0,
    badChildren = 0,
  ] = (await program.nextLine()).split(' ').map(Number);
  return { calls, checksum, usr1, winch, shortLived, epollErrors, children, badChildren };
}
