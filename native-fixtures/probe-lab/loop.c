/*
 * Calls a function in a loop and measures it: each line on standard input is a number of calls, answered by how many nanoseconds they took, by the clock and
 * of the thread's CPU time.
 * The stack above the function is full of bytes that can be checked, written once. The function begins with an instruction that the kernel emulates under a uprobe; its order never fits the condition of the benchmark.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct customer { const char *name; long tier; };
struct item { long price; long count; };
struct order { long id; long total; struct customer *customer; struct item *items[10]; };

long handle(struct order *order);
__asm__(".text\n.globl handle\n.type handle, @function\nhandle:\n"
        "  pushq %rbx\n  movq %rdi, %rbx\n  movq (%rbx), %rax\n  popq %rbx\n  ret\n"
        ".size handle, .-handle\n");

static long elapsed(clockid_t clock, const struct timespec *begin) {
  struct timespec end;
  clock_gettime(clock, &end);
  return (end.tv_sec - begin->tv_sec) * 1000000000L + (end.tv_nsec - begin->tv_nsec);
}

static void run(struct order *order, long calls) {
  char frame[32768];
  static int filled;
  if (!filled) memset(frame, 0x5a, sizeof frame);
  filled = 1;
  __asm__ volatile("" ::"r"(frame) : "memory");
  struct timespec wall, cpu;
  clock_gettime(CLOCK_MONOTONIC, &wall);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  for (long i = 0; i < calls; i++) {
    order->id++;
    handle(order);
  }
  long cpuTime = elapsed(CLOCK_THREAD_CPUTIME_ID, &cpu);
  printf("%ld %ld\n", elapsed(CLOCK_MONOTONIC, &wall), cpuTime);
  fflush(stdout);
}

int main(void) {
  struct customer customer = {strdup("nobody in particular"), 1};
  struct order order = {.customer = &customer, .total = 500};
  for (int i = 0; i < 10; i++) {
    order.items[i] = malloc(sizeof(struct item));
    order.items[i]->price = i;
    order.items[i]->count = 1;
  }
  puts("ready");
  fflush(stdout);
  char line[32];
  while (fgets(line, sizeof line, stdin) != NULL) run(&order, atol(line));
  return 0;
}
