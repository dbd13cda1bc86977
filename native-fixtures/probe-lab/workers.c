/*
 * Threads that call a probed function as often as told, each with an argument of its own. Each line on standard input is a number of calls for each of
 * the threads; when all are made the total so far is printed. "bye" ends the program.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct customer { const char *name; long tier; };
struct order { long id; long thread; struct customer *customer; };

static int threads;
static long calls;
static long total;
static pthread_barrier_t begin, end;

__attribute__((noinline)) long handle(struct order *order) {
  /* PROBE: handle */
  __asm__ volatile("" ::: "memory");
  return order->id + order->customer->tier;
}

static void *work(void *argument) {
  struct customer customer = {strdup("a customer of some thread"), (long)argument};
  struct order order = {0, (long)argument, &customer};
  for (;;) {
    pthread_barrier_wait(&begin);
    if (calls < 0) return 0;
    for (long i = 0; i < calls; i++) {
      order.id++;
      __atomic_fetch_add(&total, handle(&order) != 0 ? 1 : 1, __ATOMIC_RELAXED);
    }
    pthread_barrier_wait(&end);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  threads = atoi(argv[1]);
  pthread_barrier_init(&begin, 0, threads + 1);
  pthread_barrier_init(&end, 0, threads + 1);
  pthread_t thread;
  for (long i = 0; i < threads; i++) pthread_create(&thread, 0, work, (void *)i);
  puts("ready");
  fflush(stdout);
  char line[32];
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "bye\n") != 0) {
    calls = atol(line);
    pthread_barrier_wait(&begin);
    pthread_barrier_wait(&end);
    printf("%ld\n", total);
    fflush(stdout);
  }
  return 0;
}
