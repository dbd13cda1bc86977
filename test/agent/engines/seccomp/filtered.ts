/** Starts a program under seccomp filters: `filtered FILTER... -- PROGRAM ARGUMENT...`. */
import { compileC } from '../../../support/compile-c.js';

/**
 * A FILTER is `container` (an allow-list like those of container runtimes: namespaces, modules, keys and their like answer EPERM, clone3
 * ENOSYS), or `CALL:ACTION[:WORD:VALUE]`: that call, where the word of `struct seccomp_data` has the value.
 */
export const filteredProgram: string = compileC(
  `#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *allowed =
  "read write readv writev pread64 pwrite64 lseek close openat open stat fstat lstat newfstatat statx access faccessat readlink getdents64 "
  "mmap munmap mprotect madvise brk mremap mlock rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack "
  "kill tkill tgkill exit exit_group execve fork vfork wait4 waitid getpid getppid gettid getuid geteuid getgid getegid setuid setgid "
  "futex set_robust_list get_robust_list set_tid_address rseq sched_yield sched_getaffinity sched_setaffinity membarrier arch_prctl prctl "
  "nanosleep clock_nanosleep clock_gettime gettimeofday time poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait "
  "epoll_pwait2 eventfd2 timerfd_create timerfd_settime pipe pipe2 dup dup2 dup3 fcntl ioctl bind listen accept accept4 connect "
  "sendto recvfrom sendmsg recvmsg setsockopt getsockopt getsockname getpeername shutdown socketpair pause restart_syscall prlimit64 "
  "getrlimit getrusage sysinfo uname umask getrandom memfd_create ftruncate fallocate fsync fdatasync unlink rename mkdir rmdir capget";

static int fail(const char *what) { perror(what); exit(1); }

static void container(void) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  seccomp_arch_add(filter, SCMP_ARCH_X86);
  seccomp_arch_add(filter, SCMP_ARCH_X32);
  char *names = strdup(allowed);
  for (char *name = strtok(names, " "); name; name = strtok(NULL, " "))
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(name), 0);
  seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, 40));
  seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1, SCMP_A0(SCMP_CMP_EQ, 0));
  seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0x7e020000, 0));
  seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  /* What is installed behind this one. */
  seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(seccomp), 0);
  if (seccomp_load(filter) != 0) fail("seccomp_load");
}

static unsigned action_of(const char *name) {
  if (!strcmp(name, "allow")) return SECCOMP_RET_ALLOW;
  if (!strcmp(name, "kill")) return SECCOMP_RET_KILL_PROCESS;
  if (!strcmp(name, "kill-thread")) return SECCOMP_RET_KILL_THREAD;
  if (!strcmp(name, "trap")) return SECCOMP_RET_TRAP;
  if (!strcmp(name, "trace")) return SECCOMP_RET_TRACE;
  if (!strcmp(name, "log")) return SECCOMP_RET_LOG;
  if (!strcmp(name, "notify")) return SECCOMP_RET_USER_NOTIF;
  return SECCOMP_RET_ERRNO | atoi(name);
}

static void simple(char *text) {
  char *name = strtok(text, ":"), *action = strtok(NULL, ":"), *word = strtok(NULL, ":"), *value = strtok(NULL, ":");
  unsigned nr = seccomp_syscall_resolve_name(name);
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, word ? 4 * atoi(word) : 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value ? strtoul(value, NULL, 0) : nr, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, action_of(action)),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof code / sizeof *code, code };
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) fail("seccomp");
}

int main(int argc, char **argv) {
  int i = 1;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("prctl");
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (!strcmp(argv[i], "container")) container();
    else simple(argv[i]);
  }
  execv(argv[i + 1], argv + i + 1);
  return fail("execv");
}
`,
  { name: 'filtered', flags: ['-g', '-O1', '-Wl,--no-as-needed', '-lseccomp'] },
);
