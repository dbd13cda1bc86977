/* What a breakpoint whose condition is false takes in C: `false-hits PID ADDRESS signal|int3`. It says "armed", and ends by SIGTERM. The address is that of `handle` of loop.c, whose first
 * instruction pushes rbx; the condition is `order->total > 10000`. By a perf event that sends SIGURG, or by an int3 whose instruction is done for the thread. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t over;
static void on_term(int signal) { (void)signal; over = 1; }

static int open_event(pid_t tid, unsigned long address) {
  struct perf_event_attr attribute = {
    .type = PERF_TYPE_BREAKPOINT, .size = sizeof attribute, .bp_type = HW_BREAKPOINT_X, .bp_addr = address,
    .bp_len = sizeof(long), .sample_period = 1, .wakeup_events = 1, .exclude_kernel = 1, .exclude_hv = 1,
  };
  int fd = syscall(SYS_perf_event_open, &attribute, tid, -1, -1, 0);
  struct f_owner_ex owner = { F_OWNER_TID, tid };
  if (fd < 0 || fcntl(fd, F_SETOWN_EX, &owner) || fcntl(fd, F_SETSIG, SIGURG) || fcntl(fd, F_SETFL, O_ASYNC)) return -1;
  return fd;
}

/* Gives 0 where the condition holds. */
static int is_false(pid_t tid, const struct user_regs_struct *registers) {
  long total = 0;
  struct iovec local = { &total, sizeof total }, remote = { (void *)(registers->rdi + 8), sizeof total };
  return process_vm_readv(tid, &local, 1, &remote, 1, 0) == sizeof total && total <= 10000;
}

static int push_rbx(pid_t tid, struct user_regs_struct *registers) {
  registers->rsp -= 8;
  struct iovec local = { &registers->rbx, 8 }, remote = { (void *)registers->rsp, 8 };
  return process_vm_writev(tid, &local, 1, &remote, 1, 0) == 8;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  pid_t pid = atoi(argv[1]);
  unsigned long address = strtoul(argv[2], NULL, 16);
  int patches = strcmp(argv[3], "int3") == 0;
  struct sigaction action = { .sa_handler = on_term };
  sigaction(SIGTERM, &action, NULL);
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) return 1;
  unsigned char original = 0, int3 = 0xcc;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int memory = open(path, O_RDWR);
  if (memory < 0 || pread(memory, &original, 1, address) != 1) return 1;
  if (patches ? pwrite(memory, &int3, 1, address) != 1 : open_event(pid, address) < 0) return 1;
  puts("armed");
  fflush(stdout);
  int failed = 0;
  while (!over && !failed) {
    int status;
    pid_t tid = waitpid(-1, &status, __WALL);
    if (tid < 0) break;
    if (!WIFSTOPPED(status)) return 0;
    siginfo_t info;
    struct user_regs_struct registers;
    struct iovec general = { &registers, sizeof registers };
    int signal = WSTOPSIG(status);
    if (signal == (patches ? SIGTRAP : SIGURG) && ptrace(PTRACE_GETSIGINFO, tid, 0, &info) == 0 &&
        info.si_code == (patches ? SI_KERNEL : POLL_IN)) {
      ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &general);
      failed = !is_false(tid, &registers);
      if (patches) {
        registers.rip = address + 1;
        failed |= !push_rbx(tid, &registers);
        ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &general);
      }
      signal = 0;
    }
    ptrace(PTRACE_CONT, tid, 0, signal);
  }
  if (patches && pwrite(memory, &original, 1, address) != 1) return 1;
  return failed;
}
