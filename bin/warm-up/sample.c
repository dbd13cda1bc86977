/* A process asleep a few frames deep, for the commands to be tried on when they are built. */
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum tier { BASIC, GOLD };

struct customer {
  int64_t id;
  const char *name;
  enum tier tier;
  unsigned flags : 3;
  double balance;
  struct customer *referrer;
  char city[16];
};

static struct customer first = {1, "Edsger", GOLD, 5, 10.5, NULL, "Tartu"};
static struct customer second = {2, "Grace", BASIC, 1, 2.25, &first, "New York"};
int visits[4] = {1, 2, 3, 4};

static __attribute__((noinline)) long wait_for(struct customer *customer, long depth) {
  volatile long kept = depth + customer->id;
  volatile struct customer own = *customer;
  if (depth > 0) return wait_for(customer->referrer ? customer->referrer : customer, depth - 1) + kept;
  puts("ready");
  fflush(stdout);
  syscall(SYS_pause);
  return kept + own.id;
}

int main(void) { return (int)wait_for(&second, 4); }
