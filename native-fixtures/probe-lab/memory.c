/* Holds so many megabytes, all written. Each line of input is answered by a line: "f": what a fork of its own takes, in microseconds; "g":
 * the longest time since the last "g" for which a thread that does nothing but look at the clock did not see it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile long longest_us;

static long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *watch(void *argument) {
  long before = now_us();
  for (;;) {
    usleep(50);
    long now = now_us();
    if (now - before > longest_us) longest_us = now - before;
    before = now;
  }
  return argument;
}

int main(int argc, char **argv) {
  size_t bytes = (size_t)(argc > 1 ? atol(argv[1]) : 64) << 20;
  long *memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < bytes / sizeof *memory; i++) memory[i] = (long)(i * 2654435761u);
  pthread_t thread;
  pthread_create(&thread, 0, watch, 0);
  puts("ready");
  fflush(stdout);
  char line[16];
  while (fgets(line, sizeof line, stdin)) {
    if (line[0] == 'f') {
      long before = now_us();
      pid_t child = fork();
      if (child == 0) _exit(0);
      printf("%ld\n", now_us() - before);
      waitpid(child, 0, 0);
    } else {
      printf("%ld\n", longest_us);
      longest_us = 0;
    }
    fflush(stdout);
  }
  return 0;
}
