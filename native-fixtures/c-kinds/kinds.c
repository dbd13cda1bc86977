// Every kind of value that C has, as gcc and clang know it: each function holds those of one theme and calls the next; the last aborts.
#define _GNU_SOURCE
#include <complex.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uchar.h>
#include <wchar.h>
#undef I

static volatile unsigned long sink;

// What is given away by address stays in memory, also at -O2.
__attribute__((noinline)) static void keep(const volatile void *at, unsigned long size)
{
  for (unsigned long i = 0; i < size; i++) sink = sink * 31 + ((const volatile unsigned char *)at)[i];
}
#define KEEP(x) keep(&(x), sizeof(x))

enum tier { BRONZE = 1, SILVER, GOLD };
enum mode { NONE, READ = 1, WRITE = 2, SYNC = 8 };
enum level { LOW = -5, HIGH = 5 };
enum wide { SMALL = 1, LARGE = 0x123456789ab };
enum mixed { ONE = 1, THREE = 3 };

typedef int number;
typedef number count;
typedef count counts[3];
typedef int four __attribute__((vector_size(16)));
typedef double two __attribute__((vector_size(16)));
typedef int (*callback)(int, char *);

struct unknown;
struct bits {
  unsigned first : 1;
  int signed_three : 3;
  unsigned : 2;
  unsigned long across : 37;
  _Bool flag : 1;
  unsigned char : 0;
  enum tier tier : 4;
  signed char last : 2;
  long whole : 64;
};
struct __attribute__((packed)) packed {
  char a;
  int b;
  unsigned c : 5, d : 13;
  double e;
  short f[2];
};
struct __attribute__((aligned(64))) aligned {
  int a;
  char b;
};
struct nested {
  int id;
  union {
    long number;
    double real;
    struct {
      short x, y;
    };
    unsigned char bytes[8];
  };
  struct {
    int inner;
    struct {
      char deep;
    };
  } named;
  struct {
    int only : 7;
  };
};
struct tail {
  int length;
  char text[];
};
struct empty_end {
  int length;
  short none[0];
};
struct node {
  int id;
  struct node *next;
  struct node **self;
};
union overlay {
  float real;
  unsigned bits;
  struct bits fields;
};

static int double_it(int value, char *text) { return value * 2 + (text != 0); }
static callback global_callback = double_it;
__thread int thread_number = 41;
static __thread struct {
  short a;
  char name[6];
} thread_record = {7, "inner"};
int global_table[3][2] = {{1, 2}, {3, 4}, {5, 6}};
const volatile unsigned long global_constant = 0xfeedface;

__attribute__((noinline)) static void scalars(int seed);
__attribute__((noinline)) static void enumerations(int seed);
__attribute__((noinline)) static void bit_fields(int seed);
__attribute__((noinline)) static void composites(int seed);
__attribute__((noinline)) static void arrays(int seed);
__attribute__((noinline)) static void pointers(int seed);
__attribute__((noinline)) static void strings(int seed);
__attribute__((noinline)) static void qualified(int seed);
__attribute__((noinline)) static void storage(int seed);

static void scalars(int seed)
{
  _Bool yes = seed == 1, no = seed != 1;
  char plain = 'x' + seed - 1;
  signed char negative = -3 * seed;
  unsigned char high = 199 + seed;
  short shortest = -1234 * seed;
  unsigned short unsigned_short = 54321;
  int integer = -123456789 * seed;
  unsigned unsigned_int = 4000000000u;
  long longest = -1234567890123456789 * seed;
  unsigned long unsigned_long = 18000000000000000000ul;
  long long long_long = (long long)seed << 40;
  __int128 huge = ((__int128)-5 << 64) + seed;
  unsigned __int128 unsigned_huge = ~(unsigned __int128)0 - seed;
  float tenth = 0.1f * seed, tiny = 1e-45f, infinite = __builtin_inff();
  double third = 1.0 / 3 * seed, negative_zero = -0.0, not_a_number = __builtin_nan("");
  long double extended = 0.1L * seed, extended_huge = 1.5e4000L;
  __float128 quadruple = 1;
  float complex complex_float = 1 - 2i;
  double complex complex_double = 0.1 + 1e300i;
  long double complex complex_extended = 1.5L + 0.1iL;
  quadruple = quadruple / 10 * seed;
  KEEP(yes), KEEP(no), KEEP(plain), KEEP(negative), KEEP(high), KEEP(shortest), KEEP(unsigned_short), KEEP(integer);
  KEEP(unsigned_int), KEEP(longest), KEEP(unsigned_long), KEEP(long_long), KEEP(huge), KEEP(unsigned_huge), KEEP(tenth);
  KEEP(tiny), KEEP(infinite), KEEP(third), KEEP(negative_zero), KEEP(not_a_number), KEEP(extended), KEEP(extended_huge);
  KEEP(quadruple), KEEP(complex_float), KEEP(complex_double), KEEP(complex_extended);
  enumerations(seed); // PROBE: scalars
  KEEP(yes), KEEP(integer), KEEP(huge), KEEP(extended), KEEP(complex_double);
}

static void enumerations(int seed)
{
  enum tier gold = seed + 2, no_tier = 77;
  enum mode both = READ | WRITE, none = NONE, part = (enum mode)(seed | 64), other = (enum mode)64;
  enum level low = LOW, no_level = (enum level)(seed + 1);
  enum wide large = LARGE;
  enum mixed no_flags = (enum mixed)5;
  KEEP(gold), KEEP(no_tier), KEEP(both), KEEP(none), KEEP(part), KEEP(other), KEEP(low), KEEP(no_level), KEEP(large), KEEP(no_flags);
  bit_fields(seed); // PROBE: enumerations
  KEEP(gold), KEEP(both), KEEP(part), KEEP(low), KEEP(large);
}

static void bit_fields(int seed)
{
  struct bits bits = {seed, -4, 0x123456789a, 1, SILVER, -2, -1};
  struct bits all_ones[2];
  struct packed packed = {'p', -42, 17, 5000, 2.5, {-1, 2}};
  struct packed several[3] = {{'a', 1, 1, 1, 1, {1}}, {'b', 2, 2, 2, 2, {2}}};
  memset(all_ones, 255, sizeof all_ones);
  KEEP(bits), KEEP(all_ones), KEEP(packed), KEEP(several);
  composites(seed); // PROBE: bit-fields
  KEEP(bits), KEEP(all_ones), KEEP(packed), KEEP(several);
}

static void composites(int seed)
{
  struct nested nested = {seed, {.real = 1.5}, {2, {'d'}}, {-3}};
  struct aligned aligned = {seed, 'z'};
  union overlay overlay = {.real = -1.5f};
  struct {
    int a;
    struct aligned inner[2];
  } anonymous = {seed, {{1, 'a'}, {2, 'b'}}};
  struct empty_end end = {3};
  struct node parts = {seed, 0, 0};
  KEEP(nested), KEEP(aligned), KEEP(overlay), KEEP(anonymous), KEEP(end);
  sink += parts.id;
  arrays(seed); // PROBE: composites
  KEEP(nested), KEEP(aligned), KEEP(overlay), KEEP(anonymous), KEEP(end);
  sink += parts.id;
}

static void arrays(int seed)
{
  int row[5] = {seed, -2, 3, -4, 5};
  short grid[2][3][2] = {{{1, 2}, {3, 4}, {5, 6}}, {{7, 8}, {9, 10}, {11, 12}}};
  int zero[0];
  long many[120] = {[0] = 1, [99] = 99, [119] = 119};
  counts typedefs = {1, 2, 3};
  four vector = {1, -2, 3, -4};
  two reals = {0.5, -0.25};
  int length = seed + 2;
  short variable[length];
  int matrix[length][seed + 1];
  int(*view)[seed + 1] = matrix;
  struct {
    int p;
    char q;
  } records[length];
  for (int i = 0; i < length; i++) {
    variable[i] = i * 10;
    matrix[i][0] = i, matrix[i][1] = -i;
    records[i].p = i, records[i].q = 'a' + i;
  }
  KEEP(row), KEEP(grid), KEEP(many), KEEP(typedefs), KEEP(vector), KEEP(reals), KEEP(length);
  keep(variable, sizeof variable), keep(matrix, sizeof matrix), KEEP(view), keep(records, sizeof records), keep(zero, 0);
  pointers(seed); // PROBE: arrays
  KEEP(row), KEEP(grid), KEEP(many), KEEP(typedefs), KEEP(vector), KEEP(reals), KEEP(length);
  keep(variable, sizeof variable), keep(matrix, sizeof matrix), KEEP(view), keep(records, sizeof records);
}

static void pointers(int seed)
{
  int target = seed * 7;
  int *pointer = &target, **handle = &pointer, ***deeper = &handle;
  void *nothing = 0, *anything = &target;
  callback function = double_it, *function_handle = &global_callback;
  int (*offset_function)(int, char *) = (callback)((char *)double_it + 1);
  struct unknown *unknown = (struct unknown *)&target;
  struct node second = {2, 0, 0}, first = {1, &second, 0};
  int *wild = (int *)0x1230, *misaligned = (int *)((char *)&target + 1);
  struct node *wild_node = (struct node *)0x7fff00000000;
  int(*rows)[2] = global_table;
  const char *restrict text = "text";
  struct tail *tail = malloc(sizeof *tail + 8);
  second.next = &first;
  first.self = &first.next;
  tail->length = 8;
  memcpy(tail->text, "flexible", 8);
  KEEP(target), KEEP(pointer), KEEP(handle), KEEP(deeper), KEEP(nothing), KEEP(anything), KEEP(function), KEEP(function_handle);
  KEEP(offset_function), KEEP(unknown), KEEP(first), KEEP(second), KEEP(wild), KEEP(misaligned), KEEP(wild_node), KEEP(rows);
  KEEP(text), KEEP(tail);
  strings(seed); // PROBE: pointers
  KEEP(pointer), KEEP(deeper), KEEP(function), KEEP(first), KEEP(wild), KEEP(rows), KEEP(text), KEEP(tail);
}

static void strings(int seed)
{
  char plain[16] = "plain", full[4] = {'f', 'u', 'l', 'l'}, inner_nul[8] = "ab\0cd", empty[1] = "";
  char escapes[] = "\a\b\t\n\v\f\r\033\"'\\";
  char latin[] = "caf\xe9 \xff\x80", utf8[] = "caf\xc3\xa9 \xe2\x82\xac";
  unsigned char bytes[4] = {1, 2, 255, 0};
  wchar_t wide[] = L"w\u00e9\u20ac";
  char16_t sixteen[8] = u"u\u20ac";
  char32_t thirty_two[] = U"\U0001f600!";
  wchar_t wide_character = L'\u20ac';
  const char *pointer = "a string", *nowhere = 0, *wild = (char *)0x20;
  const wchar_t *wide_pointer = L"wide";
  char *page = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *at_end = page + 4092, *unterminated = page + 2 * 4096 + 4093;
  const char *words[3] = {"one", "two", 0};
  // Behind each of the two there is nothing.
  memcpy(at_end, "end", 4);
  memcpy(unterminated, "cut", 3);
  munmap(page + 4096, 4096);
  munmap(page + 3 * 4096, 4096);
  sink += seed;
  KEEP(plain), KEEP(full), KEEP(inner_nul), KEEP(empty), KEEP(escapes), KEEP(latin), KEEP(utf8), KEEP(bytes), KEEP(wide);
  KEEP(sixteen), KEEP(thirty_two), KEEP(wide_character), KEEP(pointer), KEEP(nowhere), KEEP(wild), KEEP(wide_pointer);
  KEEP(page), KEEP(at_end), KEEP(unterminated), KEEP(words);
  qualified(seed); // PROBE: strings
  KEEP(plain), KEEP(escapes), KEEP(wide), KEEP(pointer), KEEP(at_end), KEEP(unterminated), KEEP(words);
}

static void qualified(int seed)
{
  const int constant = 5 + seed;
  volatile int restless = seed;
  _Atomic int atomic = seed + 1;
  _Atomic(struct aligned *) atomic_pointer = 0;
  const volatile unsigned char both = 9;
  const count *const to_constant = &constant;
  char *const *volatile chain = 0;
  count typedefs = seed;
  const struct bits *const no_bits = 0;
  KEEP(constant), KEEP(restless), KEEP(atomic), KEEP(atomic_pointer), KEEP(both), KEEP(to_constant), KEEP(chain);
  KEEP(typedefs), KEEP(no_bits);
  storage(seed); // PROBE: qualified
  KEEP(constant), KEEP(restless), KEEP(atomic), KEEP(typedefs);
}

static jmp_buf environment;

__attribute__((noinline)) static int old_style(a, b, c)
int a;
char b;
float c;
{
  static void *labels[] = {&&first, &&second};
  goto *labels[a & 1];
first:
  sink++;
second:
  if (a == 3 && b == 'k' && c == 2.5f) abort(); // PROBE: old-style
  KEEP(a), KEEP(b), KEEP(c);
  return a + b;
}

static void storage(int seed)
{
  static int calls = 10;
  static struct nested remembered = {.id = 3};
  static __thread long own_block = 99;
  int shadow = 1;
  calls++;
  thread_number++;
  own_block--;
  if (setjmp(environment) == 0) sink++;
  KEEP(thread_record), KEEP(remembered), KEEP(shadow), KEEP(global_constant);
  for (int i = 0; i < 1; i++) {
    long shadow = 2;
    KEEP(shadow);
    {
      const char *shadow = "three";
      KEEP(shadow);
#ifndef __clang__
      int captured = seed * 5;
      __attribute__((noinline)) int nested_function(int more)
      {
        int own = captured + more;
        KEEP(own);
        return old_style(3, 'k', 2.5f) + own; // PROBE: nested
      }
      sink += nested_function(2); // PROBE: storage
#else
      sink += old_style(3, 'k', 2.5f); // PROBE: storage
#endif
      KEEP(shadow);
    }
    KEEP(shadow);
  }
  KEEP(shadow), KEEP(calls), KEEP(own_block), KEEP(environment);
}

int main(int argc, char **argv)
{
  scalars(argc);
  return argv == 0;
}
