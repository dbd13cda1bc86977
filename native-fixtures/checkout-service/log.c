#define _GNU_SOURCE
#include "checkout.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *log_path;
static int log_fd = -1;
static volatile sig_atomic_t stale;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void open_log(const char *path) {
  log_path = path;
  log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* On SIGHUP, after logrotate has moved the file away: the next line opens another. */
void reopen_log_soon(int signal) {
  (void)signal;
  stale = 1;
}

void log_line(const char *level, const char *format, ...) {
  char line[512];
  struct timespec now;
  struct tm utc;
  if (log_path == NULL) return;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  size_t length = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
  length += (size_t)snprintf(line + length, sizeof line - length, ".%03ldZ %s ", now.tv_nsec / 1000000, level);
  va_list arguments;
  va_start(arguments, format);
  int more = vsnprintf(line + length, sizeof line - length - 1, format, arguments);
  va_end(arguments);
  if (more > 0) length += (size_t)more;
  if (length > sizeof line - 2) length = sizeof line - 2;
  line[length++] = '\n';

  pthread_mutex_lock(&lock);
  if (stale) {
    stale = 0;
    if (log_fd >= 0) close(log_fd);
    open_log(log_path);
  }
  /* A full disk must not fail an order. */
  if (log_fd >= 0 && write(log_fd, line, length) < 0) stale = 1;
  pthread_mutex_unlock(&lock);
}
