/*
 * The sample service: worker threads serve text requests that arrive on sockets; client threads of its own
 * keep it under steady load. Each second it prints, as one line:
 *   rps=<requests answered> p99us=<99th percentile of their latency> bad=<wrong answers>
 * usage: order-service [--workers N] [--rate REQUESTS_PER_SECOND] [--seconds N, 0: until killed]
 */
#define _GNU_SOURCE
#include "order.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORKERS = 64, BUCKETS = 20000 };

struct lane {
  int index;
  int server, client;
  double interval_ns;
  struct worker_stats stats;
};

static struct lane lanes[MAX_WORKERS];
static uint32_t latency_us[BUCKETS];
static uint64_t answered, wrong;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *worker_main(void *argument) {
  struct lane *lane = argument;
  char name[16], text[128];
  uint64_t sequence = (uint64_t)lane->index * 1000000;
  snprintf(name, sizeof name, "worker-%d", lane->index);
  pthread_setname_np(pthread_self(), name);
  for (;;) {
    ssize_t got = read(lane->server, text, sizeof text - 1);
    if (got <= 0) return NULL;
    text[got] = 0;
    struct request request = {lane->index, ++sequence, text, NULL};
    int result = handle_request(&request, &lane->stats);
    char reply = result == 0 ? '+' : '-';
    if (write(lane->server, &reply, 1) != 1) return NULL;
  }
}

static void *client_main(void *argument) {
  struct lane *lane = argument;
  char name[16], text[128];
  unsigned seed = 7u * (unsigned)lane->index + 1;
  snprintf(name, sizeof name, "client-%d", lane->index);
  pthread_setname_np(pthread_self(), name);
  prctl(PR_SET_TIMERSLACK, 1000);
  int64_t due = now_ns();
  for (;;) {
    seed = seed * 1664525u + 1013904223u;
    int length = snprintf(text, sizeof text, "ORDER %u %u %u", (seed >> 8) % 4, 1 + (seed >> 16) % 4, seed >> 4);
    due += (int64_t)lane->interval_ns;
    int64_t wait = due - now_ns();
    if (wait > 0) {
      struct timespec pause = {wait / 1000000000, wait % 1000000000};
      nanosleep(&pause, NULL);
    } else if (wait < -100000000) {
      due = now_ns(); /* too far behind to catch up */
    }
    int64_t begin = now_ns();
    char reply = 0;
    if (write(lane->client, text, (size_t)length) != length) return NULL;
    if (read(lane->client, &reply, 1) != 1) return NULL;
    int64_t us = (now_ns() - begin) / 1000;
    if (us >= BUCKETS) us = BUCKETS - 1;
    __atomic_add_fetch(&latency_us[us], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&answered, 1, __ATOMIC_RELAXED);
    if (reply != '+') __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
  }
}

static void report(void) {
  static uint64_t last;
  uint64_t now = __atomic_load_n(&answered, __ATOMIC_RELAXED), total = 0, seen = 0;
  uint32_t counts[BUCKETS];
  for (int i = 0; i < BUCKETS; i++) total += counts[i] = __atomic_exchange_n(&latency_us[i], 0, __ATOMIC_RELAXED);
  int p99 = 0;
  while (p99 < BUCKETS - 1 && (seen += counts[p99]) * 100 < total * 99) p99++;
  printf("rps=%llu p99us=%d bad=%llu\n", (unsigned long long)(now - last), p99, (unsigned long long)wrong);
  fflush(stdout);
  last = now;
}

int main(int argc, char **argv) {
  int workers = 4, seconds = 0;
  double rate = 20000;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--workers")) workers = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--rate")) rate = atof(argv[i + 1]);
    else if (!strcmp(argv[i], "--seconds")) seconds = atoi(argv[i + 1]);
    else return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
  }
  if (workers < 1 || workers > MAX_WORKERS || rate <= 0) return fprintf(stderr, "bad --workers or --rate\n"), 2;
  orders_init();
  for (int i = 0; i < workers; i++) {
    int pair[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) return perror("socketpair"), 1;
    lanes[i] = (struct lane){.index = i, .server = pair[0], .client = pair[1], .interval_ns = 1e9 * workers / rate};
    if (pthread_create(&thread, NULL, worker_main, &lanes[i]) != 0) return perror("pthread_create"), 1;
    if (pthread_create(&thread, NULL, client_main, &lanes[i]) != 0) return perror("pthread_create"), 1;
  }
  printf("ready pid=%d\n", (int)getpid());
  fflush(stdout);
  for (int second = 0; seconds == 0 || second < seconds; second++) {
    sleep(1);
    report();
  }
  return 0;
}
