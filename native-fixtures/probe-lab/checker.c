/*
 * A service that checks itself: threads pass a place, compare what it computed with what it should be, and measure how long it took. A line of
 * input is answered by one line: passes, wrong results, signals that came, the median and the 99th percentile of a pass in nanoseconds. It ends with its input.
 * With a second argument it leaves one signal as it is, which breakpoints of the processor need.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct work {
  int64_t number, result;
  int kind;
  const char *name;
};

/* Written at each pass: what a watch looks at. */
int64_t latest;

static atomic_ullong passes, wrong, signals, times[64];
static const char *const names[3] = {"red", "green", "blue"};

__attribute__((noinline, noipa)) void step(struct work *work) {
  __asm__ volatile("nop" : : "r"(work) : "memory"); /* PROBE: step */
  work->result = work->number * 3 + work->kind;
  latest = work->result; /* PROBE: latest */
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *run(void *argument) {
  int64_t number = (int64_t)(intptr_t)argument << 40;
  for (;;) {
    for (int i = 0; i < 16; i++, number++) {
      struct work work = {.number = number, .kind = (int)(number % 3)};
      work.name = names[work.kind];
      uint64_t start = now();
      step(&work);
      uint64_t took = now() - start;
      if (work.result != number * 3 + number % 3 || work.number != number || work.name != names[number % 3])
        atomic_fetch_add(&wrong, 1);
      atomic_fetch_add(&times[63 - __builtin_clzll(took | 1)], 1);
      atomic_fetch_add(&passes, 1);
    }
    usleep(2000);
  }
}

static void count(int signal) {
  (void)signal;
  atomic_fetch_add(&signals, 1);
}

/* The upper end of the bucket that has the share of all times. */
static unsigned long long share(double part) {
  uint64_t all = 0, seen = 0;
  for (int i = 0; i < 64; i++) all += times[i];
  for (int i = 0; i < 63; i++)
    if ((seen += times[i]) >= part * (double)all) return 2ull << i;
  return 0;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 2;
  for (int signal = 1; signal < 32; signal++)
    if ((signal != SIGWINCH || argc < 3) && signal != SIGKILL && signal != SIGSTOP && signal != SIGSEGV && signal != SIGINT && signal != SIGTERM)
      sigaction(signal, &(struct sigaction){.sa_handler = count, .sa_flags = SA_RESTART}, NULL);
  for (int i = 0; i < threads; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, run, (void *)(intptr_t)(i + 1));
  }
  puts("ready");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    printf("%llu %llu %llu %llu %llu\n", (unsigned long long)passes, (unsigned long long)wrong,
           (unsigned long long)signals, share(0.5), share(0.99));
    fflush(stdout);
  }
  return 0;
}
