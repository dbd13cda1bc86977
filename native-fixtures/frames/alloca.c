/* Frames of odd shapes: variable-length arrays, realigned stacks, many saved registers, early returns. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) int sum(const int *values, int count) {
  int total = 0;
  for (int i = 0; i < count; i++) total += values[i] * (i + 1);
  return total;
}

__attribute__((noinline)) int variable_array(int count) {
  int values[count];
  for (int i = 0; i < count; i++) values[i] = i * i;
  return sum(values, count);
}

struct aligned {
  _Alignas(64) int values[16];
};

__attribute__((noinline)) int realigned(int seed) {
  struct aligned block;
  for (int i = 0; i < 16; i++) block.values[i] = seed + i;
  return sum(block.values, 16);
}

__attribute__((noinline)) long many(long a, long b, long c, long d, long e, long f, long g, long h) {
  if (a == 0) return b;
  long x = sum((int[]){1, 2, 3}, 3), y = variable_array((int)(a & 7) + 1);
  if (x == y) abort();
  return a * b + c * d + e * f + g * h + x - y + realigned((int)a);
}

int main(int argc, char **argv) {
  (void)argv;
  printf("%ld\n", many(argc, 2, 3, 4, 5, 6, 7, 8));
  return 0;
}
