/* Stacks to look into, by mode: abort, deep, inline, signal, altstack, null, sleep, threads, values. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define noinline __attribute__((noinline))
#define always_inline inline __attribute__((always_inline))

enum tier { BRONZE = 1, SILVER = 2, GOLD = 40 };

struct point {
  short x;
  long y;
};

struct customer {
  const char *name;
  enum tier tier;
  unsigned flags : 3;
  int signed_bits : 5;
  bool active;
  double score;
};

struct order {
  uint64_t id;
  struct customer *customer;
  struct point points[3];
  union {
    int as_int;
    float as_float;
  };
  char code[8];
};

static volatile int sink;
int global_counter = 17;
static struct customer alice = {"alice", GOLD, 5, -3, true, 0.1};
static __thread int per_thread = 5;

static noinline void stop(void) {
  sink++;
  abort();
}

static noinline int deep(int level, struct order *order) {
  int local = level * 3;
  if (level == 0) stop();
  int below = deep(level - 1, order);
  sink += local;
  return below + local + (int)order->id;
}

static always_inline int twice(int value) {
  int doubled = value * 2;
  if (doubled > 100) stop();
  sink += doubled;
  return doubled + 1;
}

static always_inline int thrice(int base, const char *label) {
  int inner = base + 1;
  int result = twice(inner) + twice(inner * 40);
  sink += result + label[0];
  return result;
}

static noinline int inlined(int seed, char **argv) {
  long kept = seed * 7L;
  int result = thrice(seed, argv[0]);
  sink += (int)kept;
  return result + (int)kept;
}

static noinline void handler(int number, siginfo_t *info, void *context) {
  int received = number;
  (void)context;
  sink += received + info->si_signo;
  stop();
}

static noinline int interrupted(int seed) {
  volatile int on_stack = seed + 1;
  raise(SIGUSR1);
  return on_stack;
}

static noinline int faulting(volatile int *address) {
  int before = 12;
  sink = before;
  return *address + before;
}

static noinline int through_null(int (*function)(int), int argument) {
  int result = function(argument);
  sink += result;
  return result + argument;
}

static noinline double values(struct order *order, unsigned char byte, float ratio, long double wide) {
  int numbers[4] = {1, -2, 3, INT32_MIN};
  struct point here = {-7, 1L << 40};
  enum tier tier = order->customer->tier;
  char text[16] = "hello \x01 world";
  double sum = ratio + (double)wide;
  bool yes = byte > 3;
  uint8_t small = 200;
  int8_t negative = -100;
  uint64_t big = UINT64_MAX;
  unsigned __int128 huge = ((unsigned __int128)1 << 100) + 5;
  const struct point *pointer = &here;
  int (*function)(int, struct order *) = deep;
  char letter = 'q';
  int matrix[2][3] = {{1, 2, 3}, {4, 5, 6}};
  {
    int shadow = 1;
    {
      int shadow = 2;
      sink += shadow + numbers[byte & 3] + text[0] + small + negative + (int)big + (int)(huge >> 90) + letter +
              matrix[1][1] + (int)pointer->y + (function != NULL) + tier + yes;
      if (sink != 0x7eadbeef) stop();
    }
    sink += shadow;
  }
  return sum + here.x;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t ready;

static noinline void *wait_for(void *argument) {
  int index = (int)(intptr_t)argument;
  per_thread = index * 100;
  pthread_mutex_lock(&mutex);
  sem_post(&ready);
  while (sink != -1) pthread_cond_wait(&condition, &mutex);
  pthread_mutex_unlock(&mutex);
  sink += index;
  return NULL;
}

static noinline void *read_pipe(void *argument) {
  int *ends = argument;
  char buffer[32] = "empty";
  sem_post(&ready);
  ssize_t got = read(ends[0], buffer, sizeof buffer);
  sink += (int)got + buffer[0];
  return NULL;
}

static noinline void *spin(void *argument) {
  volatile long turns = 0;
  sem_post(&ready);
  while (sink != -1) turns++;
  (void)argument;
  return NULL;
}

static noinline void start_threads(void) {
  static int ends[2];
  pthread_t threads[5];
  sem_init(&ready, 0, 0);
  if (pipe(ends) != 0) exit(1);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, wait_for, (void *)(intptr_t)(i + 1));
  pthread_create(&threads[3], NULL, read_pipe, ends);
  pthread_create(&threads[4], NULL, spin, NULL);
  for (int i = 0; i < 5; i++) sem_wait(&ready);
  usleep(20000);
}

static noinline int nap(int seconds) {
  struct timespec how_long = {seconds, 5};
  puts("ready");
  fflush(stdout);
  nanosleep(&how_long, NULL);
  return (int)how_long.tv_nsec;
}

static noinline void on_altstack(void) {
  static char stack[1 << 16];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "abort";
  struct order order = {.id = 77, .customer = &alice, .points = {{1, 2}, {3, 4}, {5, 6}}, .as_int = 1, .code = "abc-123"};
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  if (strcmp(mode, "altstack") == 0) on_altstack();
  sigaction(SIGUSR1, &action, NULL);
  if (strcmp(mode, "abort") == 0) stop();
  if (strcmp(mode, "deep") == 0) return deep(60, &order);
  if (strcmp(mode, "inline") == 0) return inlined(argc, argv);
  if (strcmp(mode, "signal") == 0 || strcmp(mode, "altstack") == 0) return interrupted(argc);
  if (strcmp(mode, "fault") == 0) return faulting((int *)(intptr_t)(argc * 8));
  if (strcmp(mode, "null") == 0) return through_null(sink == 0 ? NULL : (int (*)(int))abs, argc);
  if (strcmp(mode, "values") == 0) return (int)values(&order, 200, 1.5F, 2.25L);
  if (strcmp(mode, "threads") == 0) {
    start_threads();
    return nap(1000);
  }
  if (strcmp(mode, "crash-threads") == 0) {
    start_threads();
    stop();
  }
  return nap(1000);
}
