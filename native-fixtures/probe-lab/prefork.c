/*
 * A service with workers that it forks. Commands on standard input, each answered by a line:
 *   fork N    forks N workers; their pids
 *   call N    each worker calls the probed function N times; how many calls that were in all
 *   self N    so does this process
 *   end N     the N workers that were forked first call it once more and exit; their number
 *   storm N   forks N children one after another, each of which calls it once and exits; N
 *   exec      executes itself anew, without workers; "ready"
 *   leave     executes sleep(1), from which there is no way back
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef BUILD
#define BUILD 1
#endif

long handle(long number);
__asm__(".text\n.globl handle\n.type handle, @function\nhandle:\n"
        "  pushq %rbx\n  movq %rdi, %rbx\n  leaq 1(%rbx), %rax\n  popq %rbx\n  ret\n"
        ".size handle, .-handle\n");

struct worker { pid_t pid; int to, from; };
static struct worker workers[256];
static int count;
static volatile long build = BUILD;

static void call(long times) {
  for (long i = 0; i < times; i++) build += handle(i) & 0;
}

static void work(int in, int out) {
  long times;
  while (read(in, &times, sizeof times) == sizeof times && times >= 0) {
    call(times);
    if (write(out, &times, sizeof times) != sizeof times) break;
  }
  if (times < 0) call(1);
  _exit(0);
}

static void start(void) {
  int to[2], from[2];
  if (count == 256 || pipe(to) < 0 || pipe(from) < 0) exit(3);
  pid_t pid = fork();
  if (pid == 0) {
    for (int i = 0; i < count; i++) close(workers[i].to), close(workers[i].from);
    close(to[1]), close(from[0]);
    work(to[0], from[1]);
  }
  close(to[0]), close(from[1]);
  workers[count++] = (struct worker){pid, to[1], from[0]};
  printf("%d ", pid);
}

static void each(long times) {
  for (int i = 0; i < count; i++)
    if (write(workers[i].to, &times, sizeof times) != sizeof times) exit(4);
  for (int i = 0; i < count; i++) {
    long done;
    if (read(workers[i].from, &done, sizeof done) != sizeof done) exit(5);
  }
  printf("%ld\n", times * count);
}

static void end(int number) {
  long last = -1;
  for (int i = 0; i < number; i++) {
    if (write(workers[i].to, &last, sizeof last) != sizeof last) exit(6);
    waitpid(workers[i].pid, 0, 0);
    close(workers[i].to), close(workers[i].from);
  }
  count -= number;
  memmove(workers, workers + number, count * sizeof *workers);
  printf("%d\n", number);
}

static void storm(long number) {
  for (long i = 0; i < number; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      call(1);
      _exit(0);
    }
    waitpid(pid, 0, 0);
  }
  printf("%ld\n", number);
}

int main(int argc, char **argv) {
  if (argc < 1) return 2;
  puts("ready");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    char name[16] = "";
    long number = 0;
    sscanf(line, "%15s %ld", name, &number);
    if (strcmp(name, "fork") == 0) {
      fflush(stdout);
      for (long i = 0; i < number; i++) {
        start();
        fflush(stdout);
      }
      puts("");
    } else if (strcmp(name, "call") == 0) {
      each(number);
    } else if (strcmp(name, "self") == 0) {
      call(number);
      printf("%ld\n", number);
    } else if (strcmp(name, "end") == 0) {
      end((int)number);
    } else if (strcmp(name, "storm") == 0) {
      storm(number);
    } else if (strcmp(name, "exec") == 0) {
      execl("/proc/self/exe", argv[0], (char *)0);
    } else if (strcmp(name, "leave") == 0) {
      execl("/bin/sleep", "sleep", "1000", (char *)0);
    }
    fflush(stdout);
  }
  return 0;
}
