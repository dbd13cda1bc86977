// Threads that have touched some thread-local variables and not others: of the program, of libraries that were loaded with it, of
// libraries that were loaded later than the threads began. Then it aborts. usage: main LATE.so DESCRIPTOR.so
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__thread int own = 1;
__thread struct {
  long a;
  char b[40];
} block __attribute__((aligned(64))) = {7, "seven"};

long started_touch(int), fixed_touch(int);
static long (*late)(int);
static long (*descriptor)(int);
static pthread_barrier_t ready;

static void *work(void *arg) {
  long by = (long)arg;
  own += by;
  block.a += by;
  pthread_barrier_wait(&ready);
  if (by & 1) started_touch(by);
  if (by & 2) late(by);
  if (by & 4) {
    descriptor(by);
    fixed_touch(by);
  }
  pthread_barrier_wait(&ready);
  pause();
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  pthread_t threads[4];
  pthread_barrier_init(&ready, 0, 5);
  for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, (void *)(i * 2 + (i & 1)));
  void *first = dlopen(argv[1], RTLD_NOW);
  void *second = dlopen(argv[2], RTLD_NOW);
  if (first == 0 || second == 0) {
    puts(dlerror());
    return 1;
  }
  late = (long (*)(int))dlsym(first, "late_touch");
  descriptor = (long (*)(int))dlsym(second, "descriptor_touch");
  pthread_barrier_wait(&ready);
  pthread_barrier_wait(&ready);
  abort();
}
