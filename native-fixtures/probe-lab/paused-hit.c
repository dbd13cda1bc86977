/*
 * Two threads on one CPU pass a probed function; the first has a pointer to a page that is not there yet, so that a probe which reads it sleeps,
 * and the page comes only after the second has passed. Each line on standard input is one such round, answered by "done". Where
 * page faults cannot be handled (userfaultfd(2)) the first line says why instead of "ready".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

long handle(long *pointer, long number);
__asm__(".text\n.globl handle\n.type handle, @function\nhandle:\n"
        "  pushq %rbx\n  movq %rsi, %rax\n  popq %rbx\n  ret\n"
        ".size handle, .-handle\n");

static long *page;
static long present = 0x100;
static volatile int passed;

static void *first(void *unused) {
  (void)unused;
  handle(page, 0x1000);
  passed = 1;
  return 0;
}

static void *second(void *unused) {
  (void)unused;
  handle(&present, 0x50000);
  return 0;
}

static int round_of(int faults) {
  page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register wanted = {.range = {(unsigned long)page, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  if (page == MAP_FAILED || ioctl(faults, UFFDIO_REGISTER, &wanted) != 0) return 1;
  passed = 0;
  pthread_t one, other;
  pthread_create(&one, 0, first, 0);
  struct pollfd fault = {faults, POLLIN, 0};
  /* Without a probe that reads the page there is no fault. */
  while (poll(&fault, 1, 10) == 0 && !passed) continue;
  pthread_create(&other, 0, second, 0);
  pthread_join(other, 0);
  struct uffd_msg message;
  if (read(faults, &message, sizeof message) == sizeof message) {
    static char content[PAGE] __attribute__((aligned(PAGE)));
    long value = 0x200;
    memcpy(content, &value, sizeof value);
    struct uffdio_copy copy = {.dst = (unsigned long)page, .src = (unsigned long)content, .len = PAGE};
    if (ioctl(faults, UFFDIO_COPY, &copy) != 0) return 1;
  }
  pthread_join(one, 0);
  return munmap(page, PAGE);
}

int main(void) {
  cpu_set_t cpu;
  CPU_ZERO(&cpu);
  CPU_SET(sched_getcpu(), &cpu);
  if (sched_setaffinity(0, sizeof cpu, &cpu) != 0) return 1;
  int faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  struct uffdio_api api = {.api = UFFD_API};
  if (faults < 0 || ioctl(faults, UFFDIO_API, &api) != 0) {
    printf("%s\n", strerror(errno));
    return 0;
  }
  puts("ready");
  fflush(stdout);
  char line[32];
  while (fgets(line, sizeof line, stdin) != NULL) {
    puts(round_of(faults) == 0 ? "done" : strerror(errno));
    fflush(stdout);
  }
  return 0;
}
