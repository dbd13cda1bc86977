/* Functions that return in many ways, and what they return and how long they took as the program itself sees it. A line of input is how many
 * rounds each of the threads runs; the answer is, for each function, its calls, the sum of what it returned, and the nanoseconds between its first
 * and last statement and around its calls. It ends with status 3 where its own arithmetic is wrong. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define noinline __attribute__((noinline, noclone))

struct total {
  long calls, sum, inside, outside;
};
enum { EARLY, TREE, LEAVE, PAIR, TRIPLE, SLEEPER, HALF, KINDS };
static struct total totals[KINDS];
static const char *const names[KINDS] = {"early", "tree", "leave", "pair", "triple", "sleeper", "half"};

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void add(int kind, long value, long inside, long outside) {
  struct total *total = &totals[kind];
  __atomic_add_fetch(&total->calls, 1, __ATOMIC_RELAXED);
  __atomic_add_fetch(&total->sum, value, __ATOMIC_RELAXED);
  __atomic_add_fetch(&total->inside, inside, __ATOMIC_RELAXED);
  __atomic_add_fetch(&total->outside, outside, __ATOMIC_RELAXED);
}

static __thread volatile long spun;
static noinline void spin(long rounds) {
  for (long i = 0; i < rounds; i++) spun += i;
}

noinline int early(int n) {
  if (n % 3 == 0) return -n;
  spin(n % 50);
  if (n % 5 == 0) return n * 2;
  for (int i = 0; i < 4; i++)
    if (n % 7 == i) return i;
  return 1000;
}

/* Called twice, so that no compiler makes a loop of it. */
noinline long tree(int depth, long weight) {
  long begin = now();
  if (depth == 0) {
    add(TREE, weight, now() - begin, 0);
    return weight;
  }
  long left = tree(depth - 1, weight * 2), right = tree(depth - 1, weight * 2 + 1);
  long sum = left + right;
  add(TREE, sum, now() - begin, 0);
  return sum;
}

/* With optimisation a jump to `early`, which returns in its stead. */
noinline int leave(int n) {
  if (n % 2 == 0) return 7;
  spin(n % 20);
  return early(n + 1);
}

struct pair {
  long first, second;
};
noinline struct pair pair(long n) {
  struct pair result = {n, -2 * n};
  spin(10);
  return result;
}

struct triple {
  long first, second, third;
};
noinline struct triple triple(long n) {
  struct triple result = {n, n + 1, n + 2};
  spin(10);
  return result;
}

noinline long sleeper(long us) {
  long begin = now();
  struct timespec time = {0, us * 1000};
  nanosleep(&time, 0);
  add(SLEEPER, us, now() - begin, 0);
  return us;
}

noinline double half(double n) {
  spin(5);
  return n / 2;
}

static pthread_barrier_t barrier;
static volatile long rounds;

static void check(int right) {
  if (!right) exit(3);
}

static void around(int kind, long value, long begin) { add(kind, value, 0, now() - begin); }

static void one_round(int n) {
  long begin = now();
  int got = early(n);
  around(EARLY, got, begin);
  check(n % 3 != 0 || got == -n);
  begin = now();
  long sum = tree(4, 1);
  __atomic_add_fetch(&totals[TREE].outside, now() - begin, __ATOMIC_RELAXED);
  check(sum == 376);
  begin = now();
  int left = leave(n);
  around(LEAVE, left, begin);
  check(n % 2 != 0 || left == 7);
  if (n % 2 != 0) add(EARLY, left, 0, 0);
  begin = now();
  struct pair both = pair(n);
  around(PAIR, both.second, begin);
  check(both.first == n && both.second == -2 * n);
  begin = now();
  struct triple three = triple(n);
  around(TRIPLE, three.third, begin);
  check(three.first == n && three.third == n + 2);
  if (n % 50 == 0) {
    begin = now();
    check(sleeper(300) == 300);
    __atomic_add_fetch(&totals[SLEEPER].outside, now() - begin, __ATOMIC_RELAXED);
  }
  begin = now();
  double fraction = half(n);
  around(HALF, (long)(fraction * 2), begin);
  check(fraction * 2 == n);
}

static void *work(void *argument) {
  (void)argument;
  for (;;) {
    pthread_barrier_wait(&barrier);
    for (long i = 1; i <= rounds; i++) one_round((int)i);
    pthread_barrier_wait(&barrier);
  }
  return 0;
}

/* Waits within for a line. */
noinline long ask(void) {
  long wanted;
  return scanf("%ld", &wanted) == 1 ? wanted : -1;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  pthread_barrier_init(&barrier, 0, threads + 1);
  for (int i = 0; i < threads; i++) {
    pthread_t thread;
    pthread_create(&thread, 0, work, 0);
  }
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  long wanted;
  while ((wanted = ask()) >= 0) {
    rounds = wanted;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    putchar('{');
    for (int i = 0; i < KINDS; i++)
      printf("%s\"%s\":[%ld,%ld,%ld,%ld]", i ? "," : "", names[i], totals[i].calls, totals[i].sum, totals[i].inside,
             totals[i].outside);
    puts("}");
  }
  return 0;
}
