/** Programs whose debug information has what a compiler can say of C, in the variants that compilers write. */
import { compileC } from '../../support/compile-c.js';

export interface Variant {
  readonly compiler: 'gcc' | 'clang';
  readonly opt: '-O0' | '-O2';
  readonly dwarf: 4 | 5;
}

export const variants: readonly Variant[] = (['gcc', 'clang'] as const).flatMap((compiler) =>
  (['-O0', '-O2'] as const).flatMap((opt) => ([4, 5] as const).map((dwarf) => ({ compiler, opt, dwarf }))),
);

export const nameOfVariant = ({ compiler, opt, dwarf }: Variant): string =>
  `${compiler} ${opt} DWARF ${dwarf}`;

export const source = `
#include <complex.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum color { RED, GREEN = 5, BLUE };
enum level { LOW = -2, HIGH = 3 };
enum big { HUGE = 0xffffffffffffffffUL };
typedef enum { ALPHA = 200, BETA } greek;

struct bits {
  unsigned first : 3;
  int second : 7;
  unsigned char byte;
  unsigned long third : 33;
  _Bool flag : 1;
  unsigned : 0;
  short last : 5;
};

struct node;
typedef struct node *link;
struct node {
  link next;
  struct node *previous;
  union { int number; float real; };
  struct { short x, y; } point;
  int grid[2][3];
  enum color color;
  const char *volatile name;
  int (*compare)(const struct node *, const struct node *, ...);
  unsigned char tail[];
};

struct opaque;
struct packed { char a; int b; short c; } __attribute__((packed));
typedef struct { double re, im; } pair;
struct numbers {
  char c; signed char sc; unsigned char uc; short s; unsigned short us;
  int i; unsigned int u; long l; unsigned long ul; long long ll; unsigned long long ull;
  float f; double d; long double ld; _Bool b; __int128 i128; unsigned __int128 u128;
  double complex z; _Atomic int atomic; int *restrict r; pair p; greek g; enum level level; enum big big;
};

int counter = 7;
static long hidden = 8;
struct numbers numbers;
struct node *head;
struct opaque *handle;
int matrix[4][5];
extern char **environ;
__thread int per_thread = 3;
static const char *const messages[] = { "one", "two" };

static inline __attribute__((always_inline)) int square(int value) {
  int result = value * value;
  counter += result;
  return result;
}

static __attribute__((noinline)) int folded(int a, int b) {
  static int calls;
  calls++;
  return square(a) + square(b) + calls;
}

__attribute__((noinline)) int leaf(int x) { return x + 1; }

__attribute__((noinline)) int variadic(int n, ...) {
  va_list list;
  int sum = 0;
  va_start(list, n);
  for (int i = 0; i < n; i++) {
    int n = va_arg(list, int);
    sum += n;
  }
  va_end(list);
  return sum;
}

__attribute__((noinline)) long vla(int size, int value) {
  int items[size];
  long total = 0;
  for (int i = 0; i < size; i++) items[i] = value + i;
  {
    long value = items[0];
    total += value;
  }
  for (int i = 0; i < size; i++) total += items[i];
  return total;
}

__attribute__((noinline)) int search(struct node *node, int wanted) {
  while (node != NULL) {
    if (node->number == wanted) return node->color;
    node = node->next;
  }
  return -1;
}

int tail_call(int x) { return leaf(x * 2); }

static int by_pointer(const struct node *a, const struct node *b, ...) { return a->number - b->number; }

int main(int argc, char **argv) {
  struct bits bits = { 1, 2, 3, 4, 1, 5 };
  struct packed packed = { 1, 2, 3 };
  struct node *node = calloc(1, sizeof *node + 8);
  node->number = argc;
  node->compare = by_pointer;
  head = node;
  hidden += folded(argc, 2) + vla(argc + 3, 4) + variadic(2, argc, 3);
  if (argc > 5) abort();
  numbers.i = search(head, 9) + bits.second + packed.b + tail_call(argc) + per_thread;
  printf("%s %d %ld %s\\n", messages[argc & 1], counter, hidden, environ[0] ? "set" : argv[0]);
  return 0;
}
`;

export function program({ compiler, opt, dwarf }: Variant): string {
  return compileC(source, { name: 'everything', compiler, flags: [opt, '-g', `-gdwarf-${dwarf}`] });
}

/** Types of the program whose layout can be compared. */
export const typeNames: readonly string[] = [
  'struct bits',
  'struct node',
  'struct packed',
  'struct numbers',
  'pair',
  'enum color',
  'enum level',
  'greek',
];
