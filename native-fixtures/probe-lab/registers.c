/*
 * Puts registers into given states and executes a probed nop in each. Arguments: a file of states (sixteen 64-bit registers each, in
 * DWARF order) and a file of bytes for the memory region. Each line on standard input is a number: so many states are run, then "ok" is printed.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Four pages, then a hole of two, then two pages. */
#define REGION ((char *)0x100000000000)
#define PAGE 4096

/* With room around it, so that what plans read by an address in the module does not change. */
uint64_t global_numbers[1024] __attribute__((aligned(4096))) = {0x1122334455667788, 42, UINT64_MAX, 7};
/* In the middle of it is what changes while states are run: far from all that plans read. */
uint64_t apart[32768];
/* The write before the probed instruction: who watches it finds the same state. */
extern uint64_t written;
__asm__(".globl written\n.set written, apart + 131072\n.set saved_stack, apart + 131088\n");

void run_state(const uint64_t *registers);
__asm__(".text\n"
        ".globl run_state\n"
        ".type run_state, @function\n"
        "run_state:\n"
        "  pushq %rbx\n  pushq %rbp\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, saved_stack(%rip)\n"
        "  pushq $0x202\n  popfq\n"
        "  movq 0(%rdi), %rax\n  movq 8(%rdi), %rdx\n  movq 16(%rdi), %rcx\n  movq 24(%rdi), %rbx\n"
        "  movq 32(%rdi), %rsi\n  movq 48(%rdi), %rbp\n  movq 56(%rdi), %rsp\n"
        "  movq 64(%rdi), %r8\n  movq 72(%rdi), %r9\n  movq 80(%rdi), %r10\n  movq 88(%rdi), %r11\n"
        "  movq 96(%rdi), %r12\n  movq 104(%rdi), %r13\n  movq 112(%rdi), %r14\n  movq 120(%rdi), %r15\n"
        "  movq 40(%rdi), %rdi\n"
        "  movq %r15, written(%rip)\n"
        ".globl probed\n"
        "probed:\n"
        "  nop\n"
        "  movq saved_stack(%rip), %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbp\n  popq %rbx\n"
        "  ret\n"
        ".size run_state, .-run_state\n"
        /* Places that nobody passes. */
        ".globl aside\n"
        "aside:\n"
        "  nop\n  nop\n  nop\n  nop\n  ret\n");

static char *load(const char *path, size_t *length) {
  int fd = open(path, O_RDONLY);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) exit(1);
  char *bytes = malloc(status.st_size + 1);
  if (read(fd, bytes, status.st_size) != status.st_size) exit(1);
  close(fd);
  *length = status.st_size;
  return bytes;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  size_t stateBytes, memoryBytes;
  const uint64_t *states = (const uint64_t *)load(argv[1], &stateBytes);
  const char *bytes = load(argv[2], &memoryBytes);
  char *region = mmap(REGION, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (region == MAP_FAILED) return 3;
  for (size_t i = 0; i < memoryBytes && i < 8 * PAGE; i++) region[i] = bytes[i];
  munmap(region + 4 * PAGE, 2 * PAGE);

  size_t count = stateBytes / 128, next = 0;
  char line[32];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    for (int i = atoi(line); i > 0 && next < count; i--) run_state(states + 16 * next++);
    puts("ok");
    fflush(stdout);
  }
  return 0;
}
