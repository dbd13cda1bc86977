/* Sums, differences, products, quotients, roundings and comparisons of random long doubles and binary128s, as the machine has them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hex(const void *bytes, int length) {
  for (int i = 0; i < length; i++) printf("%02x", ((const unsigned char *)bytes)[i]);
  putchar(' ');
}

static unsigned long long word(void) {
  unsigned long long all = 0;
  for (int i = 0; i < 5; i++) all = all * 32768 + (unsigned)(rand() & 32767);
  return all;
}

/* Near each other, near the ends of the range, with few bits (so that there are ties), subnormal, infinite, zero. */
static unsigned short exponent(void) {
  switch (rand() % 6) {
    case 0: return 16383 - 70 + rand() % 140;
    case 1: return rand() % 60;
    case 2: return 32700 + rand() % 67;
    case 3: return 16383;
    default: return 16383 + rand() % 100;
  }
}

static long double extended(void) {
  unsigned long long significand = word() | 1ULL << 63;
  unsigned short high = exponent();
  if (rand() % 4 == 0) significand = 1ULL << 63 | (unsigned long long)(rand() & 3) << (rand() % 50);
  if (high == 0) significand >>= 1 + rand() % 60;
  if (rand() % 50 == 0) high = 32767, significand = 1ULL << 63;
  if (rand() % 60 == 0) high = 0, significand = 0;
  high |= (rand() & 1) << 15;
  long double value = 0;
  memcpy(&value, &significand, 8);
  memcpy((char *)&value + 8, &high, 2);
  return value;
}

static __float128 quadruple(void) {
  unsigned long long low = word(), high = word() & 0xffffffffffffULL, top = exponent();
  if (rand() % 3 == 0) low = 0, high &= 0xff0000000000ULL;
  if (rand() % 50 == 0) top = 32767, low = high = 0;
  high |= top << 48 | (unsigned long long)(rand() & 1) << 63;
  __float128 value;
  memcpy(&value, &low, 8);
  memcpy((char *)&value + 8, &high, 8);
  return value;
}

#define LINE(kind, size, type, a, b)                                        \
  do {                                                                      \
    type results[] = {a, b, a + b, a - b, a * b, a / b};                    \
    printf(kind " ");                                                       \
    for (int k = 0; k < 6; k++) hex(&results[k], size);                     \
    double twice = a;                                                       \
    float once = a;                                                         \
    hex(&twice, 8);                                                         \
    hex(&once, 4);                                                          \
    printf("%d%d%d\n", a < b, a == b, a > b);                               \
  } while (0)

int main(int count, char **texts) {
  for (int i = 1; i < count; i++) {
    long double value = strtold(texts[i], NULL);
    hex(&value, 10);
    putchar('\n');
  }
  if (count > 1) return 0;
  srand(7);
  for (int i = 0; i < 3000; i++) {
    long double a = extended(), b = rand() % 3 ? extended() : a * (1 + rand() % 5) / (1 + rand() % 3);
    LINE("x87", 10, long double, a, b);
    __float128 c = quadruple(), d = rand() % 3 ? quadruple() : c * (1 + rand() % 5) / (1 + rand() % 3);
    LINE("binary128", 16, __float128, c, d);
  }
  return 0;
}
