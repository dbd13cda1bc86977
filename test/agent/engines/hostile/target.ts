/** Programs that make it hard for whoever traces them, and check themselves meanwhile. */
import { compileC } from '../../../support/compile-c.js';

export const hostileProgram: string = compileC(
  `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long rounds, wrong;
static volatile long sent, received, trapped, alarms;
static volatile int hold, held;

__attribute__((noinline, noipa)) long work(long from) {
  long sum = 0;
  for (long i = 0; i < 1000; i++) sum += (from + i) & 1023;
  return sum;
}

static void *busy(void *argument) {
  for (;;) {
    volatile double product = 1;
    for (int i = 0; i < 20; i++) product *= 1.5;
    if (work(0) != 499500 || product < 3325.2 || product > 3325.3) wrong++;
    __atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
    usleep(300);
  }
  return argument;
}

static void on_real_time(int signal) { (void)signal; __atomic_add_fetch(&received, 1, __ATOMIC_SEQ_CST); }
static void on_alarm(int signal) { (void)signal; alarms++; }
static void on_trap(int signal) { (void)signal; trapped++; }

/* Each of these signals is queued: none may be lost, none may come twice. */
static void *storm(void *argument) {
  for (;;) {
    while (hold) { held = 1; usleep(100); }
    held = 0;
    union sigval value = { 0 };
    if (sigqueue(getpid(), SIGRTMIN, value) == 0) sent++;
    if (sent - received > 64) usleep(50);
  }
  return argument;
}
static void *short_life(void *argument) {
  if (work((long)argument) <= 0) wrong++;
  return argument;
}
/* 200 a second. */
static void *spawner(void *argument) {
  for (;;) {
    pthread_t threads[10];
    for (long i = 0; i < 10; i++) if (pthread_create(&threads[i], 0, short_life, (void *)i) != 0) abort();
    for (long i = 0; i < 10; i++) {
      void *result;
      if (pthread_join(threads[i], &result) != 0 || result != (void *)i) wrong++;
    }
    usleep(50000);
  }
  return argument;
}
static void *vforker(void *argument) {
  for (;;) {
    int status = 0;
    pid_t child = vfork();
    if (child == 0) { execl("/bin/true", "true", (char *)0); _exit(1); }
    if (waitpid(child, &status, 0) != child || status != 0) wrong++;
    usleep(1000);
  }
  return argument;
}
static void *trapper(void *argument) {
  for (long i = 1;; i++) {
    raise(SIGTRAP);
    __asm__ volatile("int3");
    if (trapped != 2 * i) { wrong++; trapped = 2 * i; }
    usleep(500);
  }
  return argument;
}
/* Waits in vfork, uninterruptible, for a child that never ends. */
static void *vfork_parent(void *argument) {
  pid_t child = vfork();
  if (child == 0) { prctl(PR_SET_PDEATHSIG, SIGKILL); for (;;) pause(); }
  return argument;
}
/* Waits for a file system that does not answer, and must wait until it does or is gone. */
static const char *mute;
static volatile int waited;
static void *mute_opener(void *argument) {
  int fd = open(mute, O_RDONLY);
  waited = fd < 0 && (errno == ENOTCONN || errno == ECONNABORTED) ? 1 : -1;
  if (waited < 0) wrong++;
  for (;;) pause();
  return argument;
}
static long *memory, pages;
static volatile int filled;
static void *writer(void *argument) {
  for (long round = 1;; round++)
    for (long i = 0; i < pages; i++) {
      long *word = memory + i * 512;
      if (*word != (round - 1) * i) wrong++;
      *word = round * i;
      filled = round > 1;
    }
  return argument;
}

int main(int argc, char **argv) {
  pthread_t thread;
  const char *mode = argc > 1 ? argv[1] : "";
  void *(*extra)(void *) = 0;
  signal(SIGRTMIN, on_real_time);
  signal(SIGTRAP, on_trap);
  if (!strcmp(mode, "storm")) {
    extra = storm;
    signal(SIGALRM, on_alarm);
    struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
    setitimer(ITIMER_REAL, &often, 0);
  }
  if (!strcmp(mode, "threads")) extra = spawner;
  if (!strcmp(mode, "vfork")) extra = vforker;
  if (!strcmp(mode, "trap")) extra = trapper;
  if (!strcmp(mode, "mute")) { mute = argv[2]; extra = mute_opener; }
  if (!strcmp(mode, "vfork-parent")) extra = vfork_parent;
  if (!strcmp(mode, "undumpable")) prctl(PR_SET_DUMPABLE, 0);
  if (!strcmp(mode, "traced") && fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ptrace(PTRACE_SEIZE, getppid(), 0, 0);
    for (;;) pause();
  }
  if (!strcmp(mode, "memory")) {
    pages = atol(argv[2]) * 256;
    memory = calloc(pages, 4096);
    extra = writer;
  }
  for (int i = 0; i < 2; i++) pthread_create(&thread, 0, busy, 0);
  if (extra) pthread_create(&thread, 0, extra, 0);
  while (extra == writer && !filled) usleep(1000);
  puts("up");
  fflush(stdout);
  char line[64];
  for (;;) {
    if (!fgets(line, sizeof line, stdin)) { if (errno != EINTR) break; clearerr(stdin); continue; }
    if (extra == storm) {
      hold = 1;
      for (int i = 0; i < 50000 && !(held && sent == received); i++) usleep(100);
      if (sent != received) wrong++;
    }
    printf("%ld %ld\\n", rounds, wrong);
    fflush(stdout);
    hold = 0;
  }
  return 0;
}
`,
  { name: 'hostile', flags: ['-g', '-O1', '-fno-stack-protector'] },
);

/** Made without headers, which compilers for one architecture lack for the other. */
export const program32: string = compileC(
  `static long call(long number, long a, const char *b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
void _start(void) {
  char line[64];
  call(4, 1, "up\\n", 3);
  for (long rounds = 1; call(3, 0, line, 64) > 0; rounds++) {
    char answer[] = "0 0\\n";
    answer[0] += rounds;
    call(4, 1, answer, 4);
  }
  call(1, 0, 0, 0);
}
`,
  { name: 'hostile', flags: ['-m32', '-g', '-O1', '-nostdlib', '-static', '-fno-stack-protector'] },
);
