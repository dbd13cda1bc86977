/* Functions of many shapes, to be stepped through one instruction at a time: frames of every make, and code that leaves them in odd ways.
   By mode: shapes, jumps, signals, contexts, clock, assembly. Prints nothing, and calls the C library little. */
#define _GNU_SOURCE
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __clang__
#define noinline __attribute__((__noinline__))
#else
#define noinline __attribute__((__noinline__, __noclone__))
#endif
#define always_inline inline __attribute__((always_inline))

volatile int sink;
volatile int zero;

static noinline int leaf(int a, int b) { return a * 3 + b; }
static noinline void nothing(void) {}

static noinline int with_vla(int count) {
  int values[count];
  for (int i = 0; i < count; i++) values[i] = leaf(i, count);
  return values[count - 1] + values[0];
}

static noinline int with_alloca(int count) {
  char *bytes = alloca((size_t)count);
  char *more = alloca((size_t)count * 2);
  for (int i = 0; i < count; i++) bytes[i] = more[i] = (char)i;
  return leaf(bytes[1], more[2]);
}

static noinline int realigned(int seed) {
  struct {
    _Alignas(64) int values[16];
  } block;
  for (int i = 0; i < 16; i += 5) block.values[i] = leaf(seed, i);
  return block.values[0] + block.values[15];
}

static noinline int realigned_vla(int count) {
  _Alignas(32) volatile int fixed[8] = {count};
  int values[count];
  for (int i = 0; i < count; i++) values[i] = leaf(i, fixed[0]);
  return values[count - 1];
}

static noinline int huge_frame(int seed) {
  volatile char bytes[70000];
  bytes[0] = (char)seed;
  bytes[69999] = 1;
  return leaf(bytes[0], bytes[69999]);
}

static noinline long many_saved(long a, long b, long c, long d, long e, long f, long g, long h) {
  long x = leaf((int)a, 1), y = leaf((int)b, 2), z = leaf((int)c, 3);
  nothing();
  long w = leaf((int)d, (int)x);
  nothing();
  return a + b + c + d + e + f + g + h + x * y + z * w;
}

static noinline int early_return(int a, int *place) {
  if (place == NULL) return a;
  int x = leaf(a, *place);
  int y = leaf(x, a);
  *place = x + y;
  return x * y + leaf(*place, a);
}

static noinline int variadic(int count, ...) {
  va_list list;
  va_start(list, count);
  int sum = 0;
  for (int i = 0; i < count; i++) sum += va_arg(list, int);
  va_end(list);
  return leaf(sum, count);
}

struct big {
  long words[9];
};
static noinline struct big by_value(struct big in, int add) {
  in.words[3] += leaf(add, 1);
  return in;
}

static noinline double floating(double a, float b, int c) {
  double x = a * b + leaf(c, c);
  return x + (double)leaf((int)x, 2);
}

static noinline int recursive(int level) {
  if (level == 0) return leaf(level, 1);
  return recursive(level - 1) + recursive(level - 2 > 0 ? 0 : 0) + level;
}

static always_inline int inner(int a) {
  sink += a;
  return leaf(a, sink) + 1;
}
static always_inline int middle(int a) { return inner(a) + inner(a + 1); }
static noinline int outer(int a) {
  int x = middle(a);
  sink += x;
  return x + middle(x & 3);
}

static noinline int jumps_to_leaf(int a) { return leaf(a + 1, a); }
static noinline int jumps_on(int a) { return jumps_to_leaf(a + 1); }

static noinline int by_table(int a) {
  switch (a) {
    case 0: return leaf(a, 1);
    case 1: return leaf(a, 5) + 1;
    case 2: nothing(); return 7;
    case 3: return leaf(a, 9) * 2;
    case 4: sink++; return 3;
    default: return leaf(a, a);
  }
}

static __attribute__((cold)) noinline void unlikely(int a) { sink += leaf(a, a); }
static noinline int split(int a) {
  int x = leaf(a, 2);
  if (__builtin_expect(a == 3, 0)) {
    unlikely(x);
    sink += leaf(x, a);
  }
  return x + leaf(a, x);
}

static noinline int protected_frame(const char *text) {
  char copy[40];
  size_t i = 0;
  for (; text[i] != 0 && i < sizeof copy - 1; i++) copy[i] = text[i];
  copy[i] = 0;
  return leaf(copy[0], (int)i);
}

static noinline void shapes(void) {
  static int place = 4;
  sink += with_vla(5) + with_alloca(20) + realigned(3) + realigned_vla(4) + huge_frame(2);
  sink += (int)many_saved(1, 2, 3, 4, 5, 6, 7, 8) + early_return(1, NULL) + early_return(2, &place);
  sink += variadic(7, 1, 2, 3, 4, 5, 6, 7);
  struct big big = {{1, 2, 3, 4}};
  sink += (int)by_value(big, 2).words[3] + (int)floating(1.5, 2.5F, 3) + recursive(4) + outer(2) + jumps_on(3);
  for (int i = 0; i < 6; i++) sink += by_table(i);
  sink += split(1) + split(3) + protected_frame("text");
}

static jmp_buf place_of_jump;
static noinline __attribute__((noreturn)) void jump_back(int value) {
  sink += leaf(value, 1);
  longjmp(place_of_jump, value);
}
/* Its last instruction is the call: what follows is another function. */
static noinline __attribute__((noreturn)) void never_returns(int value) {
  sink += value;
  jump_back(value + 1);
}
static noinline int with_jump(int value) {
  int result = setjmp(place_of_jump);
  if (result == 0) never_returns(value);
  return leaf(result, value);
}
static noinline void jumps(void) { sink += with_jump(3) + with_jump(4); }

static noinline void second_handler(int number) { sink += leaf(number, 2); }
static noinline void handler(int number) {
  sink += leaf(number, 1);
  raise(SIGUSR2);
}
static noinline void signals(void) {
  static char stack[1 << 16];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction first = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
  struct sigaction second = {.sa_handler = second_handler};
  sigaction(SIGUSR1, &first, NULL);
  sigaction(SIGUSR2, &second, NULL);
  raise(SIGUSR1);
}

static ucontext_t here, there;
static noinline void coroutine(int value) {
  sink += leaf(value, 1);
  swapcontext(&there, &here);
  sink += leaf(value, 2);
}
static noinline void contexts(void) {
  static char stack[1 << 16];
  getcontext(&there);
  there.uc_stack.ss_sp = stack;
  there.uc_stack.ss_size = sizeof stack;
  there.uc_link = &here;
  makecontext(&there, (void (*)(void))coroutine, 1, 5);
  swapcontext(&here, &there);
  sink += leaf(1, 1);
  swapcontext(&here, &there);
}

/* With call frame information that is right everywhere, and without any: with a frame pointer, without, and a leaf. */
__asm__(
    ".text\n"
    ".type with_cfi, @function\n"
    "with_cfi:\n"
    " .cfi_startproc\n"
    " push %rbx\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset rbx, 0\n"
    " sub $24, %rsp\n .cfi_adjust_cfa_offset 24\n"
    " mov $3, %edi\n mov $4, %esi\n"
    " lea assembly_leaf(%rip), %rbx\n call *%rbx\n"
    " pushf\n .cfi_adjust_cfa_offset 8\n popf\n .cfi_adjust_cfa_offset -8\n"
    " add $24, %rsp\n .cfi_adjust_cfa_offset -24\n"
    " pop %rbx\n .cfi_adjust_cfa_offset -8\n .cfi_restore rbx\n"
    " ret\n"
    " .cfi_endproc\n"
    ".size with_cfi, .-with_cfi\n"
    ".type framed_no_cfi, @function\n"
    "framed_no_cfi:\n"
    " push %rbp\n mov %rsp, %rbp\n sub $32, %rsp\n"
    " mov $5, %edi\n call assembly_leaf\n nop\n leave\n ret\n"
    ".size framed_no_cfi, .-framed_no_cfi\n"
    ".type assembly_leaf, @function\n"
    "assembly_leaf:\n"
    " lea 1(%rdi), %eax\n nop\n ret\n"
    ".size assembly_leaf, .-assembly_leaf\n"
    ".type cfi_without_epilogue, @function\n"
    "cfi_without_epilogue:\n"
    " .cfi_startproc\n"
    " push %rbp\n .cfi_def_cfa_offset 16\n .cfi_offset 6, -16\n"
    " mov %rsp, %rbp\n .cfi_def_cfa_register 6\n"
    " nop\n pop %rbp\n ret\n"
    " .cfi_endproc\n"
    ".size cfi_without_epilogue, .-cfi_without_epilogue\n");
void with_cfi(void);
void framed_no_cfi(void);
void cfi_without_epilogue(void);
static noinline void assembly(void) {
  with_cfi();
  framed_no_cfi();
  cfi_without_epilogue();
  sink++;
}

/* Through the vdso. */
static noinline void clocks(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  sink += (int)time(NULL);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "shapes";
  if (strcmp(mode, "shapes") == 0) shapes();
  if (strcmp(mode, "jumps") == 0) jumps();
  if (strcmp(mode, "signals") == 0) signals();
  if (strcmp(mode, "contexts") == 0) contexts();
  if (strcmp(mode, "clock") == 0) clocks();
  if (strcmp(mode, "assembly") == 0) assembly();
  return zero;
}
