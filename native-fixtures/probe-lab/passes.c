/*
 * Threads that pass a place as often as told, and count for themselves what passed. A line of input "TIMES" makes each thread pass so often;
 * "free" lets them pass until "stop"; "bye" makes the process exit, "die" makes it exit while threads still pass. Each answer is one line:
 * the passes so far, then for each kind its count and the sum of its sizes, then the powers of two of all sizes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { RED, GREEN, BLUE, KINDS };
struct request {
  enum kind kind;
  int64_t size;
  const char *path;
  char tag[4];
};

static const char *const paths[KINDS] = {"/", "/items/with/a/path/that/is/longer/than/thirty", "/cart"};
static const char tags[KINDS][4] = {"red", "gren", "blu"};

struct own {
  pthread_t thread;
  unsigned seed;
  uint64_t passes, counts[KINDS], logs[66];
  int64_t sums[KINDS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static unsigned round_number, done;
static uint64_t times;
static atomic_bool stopping;
atomic_ullong checksum;

__attribute__((noinline, noipa)) void pass(struct request *request) {
  __asm__ volatile("nop" : : "r"(request) : "memory"); /* PROBE: pass */
}

static void one(struct own *own) {
  own->seed = own->seed * 1103515245u + 12345u;
  struct request request = {.kind = (own->seed >> 16) % KINDS};
  request.size = (int64_t)((own->seed >> 8) % 4000) - 100;
  request.path = paths[request.kind];
  memcpy(request.tag, tags[request.kind], 4);
  pass(&request);
  own->passes++;
  own->counts[request.kind]++;
  own->sums[request.kind] += request.size;
  uint64_t size = (uint64_t)request.size;
  own->logs[request.size < 0 ? 65 : size == 0 ? 0 : 64 - __builtin_clzll(size)]++;
}

static void *run(void *argument) {
  struct own *own = argument;
  for (unsigned seen = 0;;) {
    pthread_mutex_lock(&lock);
    while (round_number == seen) pthread_cond_wait(&turned, &lock);
    seen = round_number;
    uint64_t left = times;
    pthread_mutex_unlock(&lock);
    while (left-- > 0 && !atomic_load_explicit(&stopping, memory_order_relaxed)) one(own);
    pthread_mutex_lock(&lock);
    done++;
    pthread_cond_broadcast(&turned);
    pthread_mutex_unlock(&lock);
  }
}

static void turn(uint64_t how_often) {
  pthread_mutex_lock(&lock);
  times = how_often;
  done = 0;
  round_number++;
  atomic_store(&stopping, 0);
  pthread_cond_broadcast(&turned);
  pthread_mutex_unlock(&lock);
}

static void await(unsigned threads) {
  pthread_mutex_lock(&lock);
  while (done < threads) pthread_cond_wait(&turned, &lock);
  pthread_mutex_unlock(&lock);
}

static void tell(struct own *all, unsigned threads) {
  struct own sum = {0};
  for (unsigned i = 0; i < threads; i++) {
    sum.passes += all[i].passes;
    for (int k = 0; k < KINDS; k++) sum.counts[k] += all[i].counts[k], sum.sums[k] += all[i].sums[k];
    for (int b = 0; b < 66; b++) sum.logs[b] += all[i].logs[b];
  }
  printf("%llu", (unsigned long long)sum.passes);
  for (int k = 0; k < KINDS; k++) printf(" %llu %lld", (unsigned long long)sum.counts[k], (long long)sum.sums[k]);
  for (int b = 0; b < 66; b++) printf(" %llu", (unsigned long long)sum.logs[b]);
  printf("\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
  struct own *all = calloc(threads, sizeof *all);
  for (unsigned i = 0; i < threads; i++) {
    all[i].seed = i + 1;
    pthread_create(&all[i].thread, NULL, run, &all[i]);
  }
  printf("ready\n");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strncmp(line, "bye", 3) == 0 || strncmp(line, "die", 3) == 0) break;
    if (strncmp(line, "free", 4) == 0) {
      turn(UINT64_MAX);
      continue;
    }
    if (strncmp(line, "stop", 4) == 0) atomic_store(&stopping, 1);
    else turn(strtoull(line, NULL, 10));
    await(threads);
    tell(all, threads);
  }
  exit(0);
}
