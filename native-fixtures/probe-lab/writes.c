/*
 * Writes memory as it is told, for watches. A line of input "COMMAND TIMES" is answered by a line when it is done. It ends with its input.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum mode { IDLE, BUSY, GONE };
struct node {
  int32_t id;
  enum mode mode;
  int64_t count;
  unsigned flags : 3;
};

int64_t value;
static int16_t small;
unsigned char bytes[16];
struct node *head;
__thread int64_t own;

static void up(void) {
  value = value + 1; /* PROBE: up */
}

static void *many(void *argument) {
  for (long i = (long)argument; i > 0; i--) up();
  return NULL;
}

int main(int argc, char **argv) {
  head = calloc(1, sizeof *head);
  int pipes[2];
  if (pipe(pipes) != 0) return 1;
  puts(argc > 1 ? "again" : "ready");
  fflush(stdout);
  char line[64], command[32];
  while (fgets(line, sizeof line, stdin) != NULL) {
    long times = 0;
    if (sscanf(line, "%31s %ld", command, &times) < 1) continue;
    if (strcmp(command, "up") == 0) many((void *)times);
    if (strcmp(command, "same") == 0)
      for (long i = 0; i < times; i++) *(volatile int64_t *)&value = value;
    if (strcmp(command, "thread") == 0) {
      pthread_t thread;
      pthread_create(&thread, NULL, many, (void *)times);
      pthread_join(thread, NULL);
    }
    if (strcmp(command, "fork") == 0) {
      pid_t child = fork();
      if (child == 0) {
        many((void *)times);
        _exit(0);
      }
      waitpid(child, NULL, 0);
    }
    if (strcmp(command, "kernel") == 0) {
      int64_t filled = times;
      if (write(pipes[1], &filled, sizeof filled) != sizeof filled) return 1;
      if (read(pipes[0], &value, sizeof value) != sizeof value) return 1;
    }
    if (strcmp(command, "fill") == 0) {
      long count = sizeof bytes;
      void *to = bytes;
      __asm__ volatile("rep stosb" : "+c"(count), "+D"(to) : "a"(times) : "memory"); /* PROBE: fill */
    }
    if (strcmp(command, "small") == 0)
      for (long i = 0; i < times; i++) small = (int16_t)(small - 1);
    if (strcmp(command, "head") == 0)
      for (long i = 0; i < times; i++) head->mode = head->mode == GONE ? IDLE : head->mode + 1; /* PROBE: head */
    if (strcmp(command, "exec") == 0) execl(argv[0], argv[0], "again", NULL);
    own++, head->flags++;
    puts("done");
    fflush(stdout);
  }
  return 0;
}
