/* As many threads as told, each asleep some way down its stack. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((noinline)) static int down(int depth) {
  volatile char frame[256];
  frame[0] = (char)depth;
  if (depth > 0) return down(depth - 1) + frame[0];
  for (;;) pause();
}

static void *sleeper(void *argument) {
  down(20);
  return argument;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  pthread_t thread;
  for (int i = atoi(argv[1]); i > 0; i--) pthread_create(&thread, 0, sleeper, 0);
  usleep(100000);
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
