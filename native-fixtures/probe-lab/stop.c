/* What a stop of all threads of a process takes in C, with registers and stacks: `stop PID ROUNDS STACK_BYTES`, a line of nanoseconds each round, from the first
 * interrupt to the last release. What can be prepared is prepared before, as an engine would. */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { most = 256 };
static pid_t threads[most];
static struct user_regs_struct registers[most];
static char extended[most][4096];

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000l + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  pid_t pid = atoi(argv[1]);
  long bytes = atol(argv[3]);
  char *stacks = malloc(bytes * most + 1);
  memset(stacks, 1, bytes * most + 1);
  memset(extended, 1, sizeof extended);
  for (int rounds = atoi(argv[2]); rounds > 0; rounds--) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = opendir(path);
    if (!folder) return 1;
    for (struct dirent *entry; (entry = readdir(folder)) && count < most;)
      if (entry->d_name[0] != '.') threads[count++] = atoi(entry->d_name);
    closedir(folder);
    for (int i = 0; i < count; i++)
      if (ptrace(PTRACE_SEIZE, threads[i], 0, 0) != 0) return 1;
    struct iovec local[most], remote[most];
    long began = now();
    for (int i = 0; i < count; i++) ptrace(PTRACE_INTERRUPT, threads[i], 0, 0);
    for (int i = 0; i < count; i++) {
      int status;
      waitpid(threads[i], &status, __WALL);
      struct iovec general = { &registers[i], sizeof registers[i] };
      struct iovec more = { extended[i], sizeof extended[i] };
      ptrace(PTRACE_GETREGSET, threads[i], NT_PRSTATUS, &general);
      ptrace(PTRACE_GETREGSET, threads[i], NT_X86_XSTATE, &more);
      local[i] = (struct iovec){ stacks + i * bytes, bytes };
      remote[i] = (struct iovec){ (void *)(registers[i].rsp - 128), bytes };
    }
    if (bytes > 0) process_vm_readv(pid, local, count, remote, count, 0);
    for (int i = 0; i < count; i++) ptrace(PTRACE_DETACH, threads[i], 0, 0);
    printf("%ld\n", now() - began);
    usleep(2000);
  }
  return 0;
}
