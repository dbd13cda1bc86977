#include "checkout.h"

#include <stdarg.h>
#include <stdio.h>

static const char *channel_names[CHANNELS] = {"web", "express", "renewal"};
static const int error_codes[] = {402, 500};
static const double bounds[] = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1};
enum { CODES = sizeof error_codes / sizeof error_codes[0], BOUNDS = sizeof bounds / sizeof bounds[0] };

static uint64_t requests[CHANNELS], errors[CODES], buckets[BOUNDS + 1], total_ns;

static void add(uint64_t *counter, uint64_t by) { __atomic_add_fetch(counter, by, __ATOMIC_RELAXED); }
static uint64_t get(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

void count_request(enum channel channel, int64_t nanoseconds) {
  int i = 0;
  while (i < BOUNDS && (double)nanoseconds > bounds[i] * 1e9) i++;
  add(&buckets[i], 1);
  add(&total_ns, (uint64_t)nanoseconds);
  add(&requests[channel], 1);
}

void count_error(int code) {
  for (int i = 0; i < CODES; i++)
    if (error_codes[i] == code) add(&errors[i], 1);
}

struct text {
  char *start;
  size_t room, length;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int more = vsnprintf(text->start + text->length, text->room - text->length, format, arguments);
  va_end(arguments);
  if (more > 0) text->length += (size_t)more;
  if (text->length >= text->room) text->length = text->room - 1;
}

size_t print_metrics(char *start, size_t room) {
  struct text text = {start, room, 0};
  append(&text, "# HELP checkout_requests_total Orders that were asked for.\n# TYPE checkout_requests_total counter\n");
  for (int i = 0; i < CHANNELS; i++)
    append(&text, "checkout_requests_total{channel=\"%s\"} %llu\n", channel_names[i],
           (unsigned long long)get(&requests[i]));
  append(&text, "# HELP checkout_errors_total Orders that came to nothing.\n# TYPE checkout_errors_total counter\n");
  for (int i = 0; i < CODES; i++)
    append(&text, "checkout_errors_total{code=\"%d\"} %llu\n", error_codes[i], (unsigned long long)get(&errors[i]));
  append(&text, "# HELP checkout_duration_seconds From the request to its answer.\n"
                "# TYPE checkout_duration_seconds histogram\n");
  uint64_t seen = 0;
  for (int i = 0; i < BOUNDS; i++) {
    seen += get(&buckets[i]);
    append(&text, "checkout_duration_seconds_bucket{le=\"%g\"} %llu\n", bounds[i], (unsigned long long)seen);
  }
  seen += get(&buckets[BOUNDS]);
  append(&text, "checkout_duration_seconds_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)seen);
  append(&text, "checkout_duration_seconds_sum %.9f\n", (double)get(&total_ns) / 1e9);
  append(&text, "checkout_duration_seconds_count %llu\n", (unsigned long long)seen);
  return text.length;
}
