/* Functions that leave by a jump: chains of one and more, two ways to the same place, recursion by jumps, jumps out of inlined code, into
   the C library, through a pointer. By mode; each ends in abort(). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define noinline __attribute__((noinline, noclone))

static volatile int sink;
volatile int turns;

static noinline int stop(int a, int b) {
  sink = a + b;
  if (sink != 0x7eadbeef) abort();
  return a - b;
}

static noinline int last(int a, int b) {
  int kept = a * 3;
  stop(a, b);
  return sink + kept;
}

static noinline int third(int a) { return last(a + 3, a); }
static noinline int second(int a) { return third(a + 2); }
static noinline int first(int a) { return second(a + 1); }

/* Two ways from here to `last`: what they have in common is `fork_end` only. */
static noinline int fork_end(int a) { return last(a, 2 * a); }
static noinline int left(int a) { return fork_end(a + 10); }
static noinline int right(int a) { return fork_end(a + 20); }
static noinline int fork_begin(int a) { return a > 5 ? left(a) : right(a); }

/* No way is certain: directly, or through `third`. */
static noinline int either(int a) { return a > 5 ? third(a) : last(a, 1); }

/* Comes back to itself by a jump, any number of times. */
static noinline int around(int a, int b) {
  if (turns > 3) return last(a, b);
  turns++;
  sink++;
  return around(b + 1, a);
}
static noinline int ping(int a, int b);
static noinline int pong(int a, int b) {
  turns++;
  return ping(b, a);
}
static noinline int ping(int a, int b) {
  if (turns > 4) return last(a, b);
  return pong(a + 1, b);
}

static inline __attribute__((always_inline)) int inlined_end(int a) {
  sink += a;
  return last(a, 7);
}
static noinline int holds_inlined(int a) {
  sink++;
  return inlined_end(a + 1);
}

/* The jump goes into another module, whose symbol only is known here. */
static noinline void into_library(int number) {
  sink++;
  raise(number);
}

static noinline int through_pointer(int (*function)(int, int), int a) { return function(a, a); }

/* A cold piece of its own. */
static noinline int in_pieces(int a) {
  if (__builtin_expect(a == -1, 0)) {
    puts("cold");
    puts("colder");
    abort();
  }
  return last(a, 3);
}

/* Arguments on the stack, and saved registers that come back before the jump. */
static noinline int many(int a, int b, int c, int d, int e, int f, int g, int h) {
  int x = (int)getpid() & 1;
  sink += x + a + b + c + d + e + f;
  return last(g, h + x * 0);
}
static noinline int saves(int a, int b) {
  int x = (int)getpid() & 1, y = (int)getppid() & 1;
  sink += x + y + a;
  return second(a + b);
}

static noinline int runs(const char *mode, int argc) {
  int before = argc + 40;
  int result = -1;
  if (strcmp(mode, "one") == 0) result = third(argc);
  if (strcmp(mode, "chain") == 0) result = first(argc);
  if (strcmp(mode, "fork") == 0) result = fork_begin(argc);
  if (strcmp(mode, "either") == 0) result = either(argc);
  if (strcmp(mode, "around") == 0) result = around(argc, 2);
  if (strcmp(mode, "ping") == 0) result = ping(argc, 2);
  if (strcmp(mode, "inlined") == 0) result = holds_inlined(argc);
  if (strcmp(mode, "library") == 0) into_library(SIGABRT);
  if (strcmp(mode, "pointer") == 0) result = through_pointer(last, argc);
  if (strcmp(mode, "pieces") == 0) result = in_pieces(argc);
  if (strcmp(mode, "many") == 0) result = many(1, 2, 3, 4, 5, 6, argc, 8);
  if (strcmp(mode, "saves") == 0) result = saves(argc, 5);
  return result + before;
}

/* The last call of main may be a jump as well. */
int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "chain";
  if (strcmp(mode, "main") == 0) return last(argc, 1);
  return runs(mode, argc) + sink;
}
