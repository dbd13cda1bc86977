// Variables that optimising compilers describe in every way there is: pieces, bits, computed values, pointers to what is nowhere.
// It calls stop() from each place, and aborts in the end.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct pair { long a; long b; };
struct node { int value; struct node *next; struct pair p; };
struct bits { unsigned a:3; int b:7; unsigned c:22; unsigned d; };
volatile int sink;
volatile long source = 5;
__attribute__((noinline)) void stop(long x) { sink += x; if (x == 12345678) abort(); }
static inline int deref(const int *p, int k) { stop(k); return *p + k; }
static inline long pairsum(struct pair *q) { stop(q->a); return q->a + q->b; }
static inline int through(struct node **n) { stop((*n)->value); return (*n)->value; }
__attribute__((noinline)) int implicit(int a) {
  int v = a * 3;
  int *p = &v;
  int **pp = &p;
  stop(a);
  return **pp + deref(p, a) + deref(&v, 2);
}
__attribute__((noinline)) long pieces(long x) {
  struct pair q; q.a = x + source; q.b = x * 7;
  struct pair *pq = &q;
  stop(x);
  long r = pairsum(&q) + pq->b;
  q.a = r;
  stop(r);
  return q.a * 2 + source;
}
__attribute__((noinline)) long partial(long x) {
  struct pair q; q.a = x + source; q.b = source;
  stop(x);
  sink = q.b;
  stop(q.a);
  return q.a;
}
__attribute__((noinline)) long bitty(int x) {
  struct bits b = { x, x - 20, x * 3, x };
  struct bits c = b; c.d = source;
  stop(x);
  stop(c.d);
  return b.a + b.b * b.c + c.d;
}
__attribute__((noinline)) int nodes(int x) {
  struct node n = { x, 0, { x, 2 * x } };
  struct node *pn = &n;
  stop(x);
  int r = through(&pn);
  const char *text = "literal";
  char buf[4] = "abc";
  char *b = buf;
  stop(strlen(text) + b[1]);
  return r + n.p.b;
}
__attribute__((noinline)) double typed(float f, int i, unsigned char c) {
  double d = f * 2; long l = i; float g = i; short s = c; double h = l + 0.5; __int128 w = (__int128)l * 12345678901234567LL; long double ld = f;
  stop(i);
  stop(l);
  return 1;
}
int main(int argc, char **argv) {
  int r = implicit(argc + 4) + pieces(argc + 6) + partial(argc+2) + bitty(argc + 30) + nodes(argc + 9) + typed(argc + 0.25, argc + 3, argc+200);
  stop(12345678);
  return r & 1;
}
