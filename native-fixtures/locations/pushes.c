// Calls with more arguments than registers: clang pushes them, and does not mind in its locations that the stack pointer moves.
#include <stdlib.h>

volatile long sink;
volatile long source = 3;

__attribute__((noinline)) long many(long a, long b, long c, long d, long e, long f, long g, long h, long i) {
  sink += a + b + c + d + e + f + g + h + i;
  if (sink > 100000) abort();
  return sink;
}

__attribute__((noinline)) long work(long n) {
  char buffer[32];
  for (int k = 0; k < 32; k++) buffer[k] = k + n;
  sink += buffer[source];
  long r = many(source, source, source, source, source, source, source, source, source);
  r += many(100000, source, source, source, source, source, source, source, source);
  return r + buffer[n & 31];
}

int main(int argc, char **argv) { return work(argc + 4) > 3; }
