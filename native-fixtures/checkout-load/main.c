/*
 * Keeps the checkout service under steady load, each connection on a thread of its own, and reports each second as one line:
 *   rps=<answers> p99us=<of their latency> maxus=<the longest> errors=<answers 5xx> wrong=<in all: not the answer that was due>
 * Lines on standard input change what is asked, in percent of all requests: `mix yen 5` (orders in yen with a coupon),
 * `mix gift 5` (a gift card), `mix review 1` (a review); it ends when standard input does.
 * With --yen PERCENT it sends those from the start, reads no input and runs until it is killed.
 * usage: checkout-load --port N [--rate REQUESTS_PER_SECOND] [--connections N] [--yen PERCENT]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 32, BUCKETS = 20000 };
enum kind { YEN, GIFT, REVIEW, KINDS };

static const char *kind_names[KINDS] = {"yen", "gift", "review"};
static double percent[KINDS];
static int port;
static double interval_ns;
static uint32_t latency_us[BUCKETS];
static uint64_t answered, failed, wrong, longest_us, next_id = 1000000;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int open_connection(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct timeval patience = {10, 0};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

static double roll(unsigned *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return (*seed >> 8) * (100.0 / (1 << 24));
}

/* Writes a request; gives the status that is due. */
static int write_request(unsigned *seed, unsigned long long id, char *text, size_t room, int *length) {
  double which = roll(seed), by = roll(seed), with = roll(seed), place = roll(seed);
  const char *channel = by < 50 ? "web" : by < 80 ? "express" : "renewal";
  const char *currency = place < 50 ? "EUR" : place < 75 ? "USD" : "JPY", *coupon = "", *extra = "";
  int due = 200;
  if (with < 30 && place < 75) coupon = place < 50 ? "WELCOME5" : "SPRING10";
  double below = percent[YEN];
  if (which < below) {
    currency = "JPY", coupon = "SAKURA500", due = 500;
    channel = by < 34 ? "web" : by < 67 ? "express" : "renewal";
  } else if (which < (below += percent[GIFT])) {
    extra = "&gift=1";
  } else if (which < (below += percent[REVIEW])) {
    extra = "&review=1";
  } else if (which > 99.5) {
    extra = "&decline=1", due = 402;
  }
  *length = snprintf(text, room,
                     "GET /checkout?id=%llu&cart=%u&channel=%s&currency=%s&coupon=%s%s HTTP/1.1\r\nHost: shop\r\n\r\n", id,
                     *seed >> 10, channel, currency, coupon, extra);
  return due;
}

/* Whether the answer that is due came. */
static int ask(int fd, const char *request, int length, unsigned long long id, int due) {
  char answer[1024], wanted[64];
  size_t got = 0;
  if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length) return -1;
  snprintf(wanted, sizeof wanted, "{\"order\":%llu,", id);
  for (;;) {
    ssize_t more = recv(fd, answer + got, sizeof answer - 1 - got, 0);
    if (more <= 0) return -1;
    got += (size_t)more;
    answer[got] = 0;
    const char *body = strstr(answer, "\r\n\r\n");
    if (body != NULL && strchr(body, '\n') != NULL && answer[got - 1] == '\n' && strlen(body) > 4) break;
    if (got == sizeof answer - 1) return -1;
  }
  int code = 0;
  if (sscanf(answer, "HTTP/1.1 %d", &code) != 1) return -1;
  if (code >= 500) __atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED);
  if (code != due || strstr(answer, wanted) == NULL) __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
  return 0;
}

static void *client_main(void *argument) {
  unsigned seed = 977u * (unsigned)(intptr_t)argument + 1;
  int fd = -1;
  prctl(PR_SET_TIMERSLACK, 1000);
  int64_t due_ns = now_ns() + (int64_t)(interval_ns * ((unsigned)(intptr_t)argument % 8) / 8);
  for (;;) {
    char request[512];
    int length, unasked = fd < 0;
    due_ns += (int64_t)interval_ns;
    int64_t wait = due_ns - now_ns();
    if (wait > 0) {
      struct timespec pause = {wait / 1000000000, wait % 1000000000};
      nanosleep(&pause, NULL);
    } else if (wait < -100000000) {
      due_ns = now_ns(); /* too far behind to catch up */
    }
    if (unasked && (fd = open_connection()) < 0) {
      __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
      usleep(100000);
      continue;
    }
    unsigned long long id = __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED);
    int due = write_request(&seed, id, request, sizeof request, &length);
    int64_t begin = now_ns();
    if (ask(fd, request, length, id, due) != 0) {
      __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
      close(fd);
      fd = -1;
      continue;
    }
    uint64_t us = (uint64_t)(now_ns() - begin) / 1000, before = __atomic_load_n(&longest_us, __ATOMIC_RELAXED);
    while (us > before && !__atomic_compare_exchange_n(&longest_us, &before, us, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    __atomic_add_fetch(&latency_us[us < BUCKETS ? us : BUCKETS - 1], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&answered, 1, __ATOMIC_RELAXED);
  }
}

static void report(void) {
  static uint64_t last_answered, last_failed;
  uint64_t now = __atomic_load_n(&answered, __ATOMIC_RELAXED), bad = __atomic_load_n(&failed, __ATOMIC_RELAXED);
  uint64_t total = 0, seen = 0;
  uint32_t counts[BUCKETS];
  for (int i = 0; i < BUCKETS; i++) total += counts[i] = __atomic_exchange_n(&latency_us[i], 0, __ATOMIC_RELAXED);
  int p99 = 0;
  while (p99 < BUCKETS - 1 && (seen += counts[p99]) * 100 < total * 99) p99++;
  printf("rps=%llu p99us=%d maxus=%llu errors=%llu wrong=%llu\n", (unsigned long long)(now - last_answered), p99,
         (unsigned long long)__atomic_exchange_n(&longest_us, 0, __ATOMIC_RELAXED), (unsigned long long)(bad - last_failed),
         (unsigned long long)__atomic_load_n(&wrong, __ATOMIC_RELAXED));
  fflush(stdout);
  last_answered = now;
  last_failed = bad;
}

/* Obeys a line of standard input; 0 at its end. */
static int obey(void) {
  static char line[256];
  static size_t length;
  ssize_t got = read(0, line + length, sizeof line - 1 - length);
  if (got <= 0) return 0;
  length += (size_t)got;
  line[length] = 0;
  char *end, *start = line;
  for (; (end = strchr(start, '\n')) != NULL; start = end + 1) {
    char name[32];
    double share;
    *end = 0;
    int known = 0;
    if (sscanf(start, "mix %31s %lf", name, &share) == 2)
      for (int i = 0; i < KINDS; i++)
        if (!strcmp(kind_names[i], name)) percent[i] = share, known = 1;
    if (!known) fprintf(stderr, "checkout-load: unknown command \"%s\"\n", start);
  }
  length = strlen(start);
  memmove(line, start, length + 1);
  if (length == sizeof line - 1) length = 0;
  return 1;
}

int main(int argc, char **argv) {
  int connections = 4, obedient = 1;
  double rate = 1000;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--rate")) rate = atof(argv[i + 1]);
    else if (!strcmp(argv[i], "--yen")) percent[YEN] = atof(argv[i + 1]), obedient = 0;
    else if (!strcmp(argv[i], "--connections")) connections = atoi(argv[i + 1]);
    else return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
  }
  if (port <= 0 || rate <= 0 || connections < 1 || connections > MAX_CONNECTIONS)
    return fprintf(stderr, "bad --port, --rate or --connections\n"), 2;
  interval_ns = 1e9 * connections / rate;
  for (int i = 0; i < connections; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, client_main, (void *)(intptr_t)i) != 0) return perror("pthread_create"), 1;
  }
  for (int64_t due = now_ns() + 1000000000;;) {
    struct pollfd commands = {.fd = obedient ? 0 : -1, .events = POLLIN};
    int64_t wait = due - now_ns();
    if (wait > 0 && poll(&commands, 1, (int)(wait / 1000000) + 1) > 0 && !obey()) return 0;
    if (now_ns() < due) continue;
    report();
    due += 1000000000;
  }
}
