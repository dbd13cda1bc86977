/* A crash in the innermost of twenty frames, each with structures, an array and pointers of its own. */
#include <stdlib.h>
struct item { int id; const char *name; double price; struct item *next; };
struct order { long total; struct item items[4]; struct item *first; char note[32]; };
__attribute__((noinline)) int level(struct order *order, int n, struct item *item) {
  struct item local = { n, "local", n * 1.5, item };
  int numbers[8] = { n, n + 1, n + 2 };
  order->total += local.id + numbers[1];
  if (n == 0) abort();
  int result = level(order, n - 1, &local);
  return result + local.id + numbers[2];
}
int main(int argc, char **argv) {
  struct order order = { 1, { { 1, "a", 1.5, 0 }, { 2, "b", 2.5, 0 } }, 0, "a note" };
  order.first = &order.items[0];
  return level(&order, 18, order.first) + argc;
}
