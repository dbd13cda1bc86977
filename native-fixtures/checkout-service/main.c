/*
 * The checkout service: GET /checkout?... and GET /metrics, HTTP/1.1 with kept connections, on loopback. Each worker waits
 * for any connection to have a request, reads it, answers it. When it is ready it prints
 *   ready pid=<pid> port=<port>
 * usage: checkout-service [--port N, 0: any] [--workers N] [--log FILE, reopened on SIGHUP]
 */
#define _GNU_SOURCE
#include "checkout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORKERS = 64, MAX_REQUEST = 2048, MAX_BODY = 4096 };

static int epoll_fd, listen_fd;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Copies the value of a key of `key=value&key=value`; leaves `value` empty without it. */
static void find_value(const char *query, const char *key, char *value, size_t room) {
  size_t length = strlen(key);
  value[0] = 0;
  while (query != NULL && *query) {
    if (!strncmp(query, key, length) && query[length] == '=') {
      size_t size = strcspn(query + length + 1, "&");
      if (size >= room) size = room - 1;
      memcpy(value, query + length + 1, size);
      value[size] = 0;
      return;
    }
    query = strchr(query, '&');
    if (query != NULL) query++;
  }
}

static struct query parse_query(const char *text) {
  struct query query = {0};
  char number[24];
  find_value(text, "id", number, sizeof number);
  query.id = strtoull(number, NULL, 10);
  find_value(text, "cart", number, sizeof number);
  query.cart = (unsigned)strtoul(number, NULL, 10);
  find_value(text, "decline", number, sizeof number);
  query.decline = number[0] == '1';
  find_value(text, "gift", number, sizeof number);
  query.gift = number[0] == '1';
  find_value(text, "review", number, sizeof number);
  query.review = number[0] == '1';
  find_value(text, "channel", query.channel, sizeof query.channel);
  find_value(text, "currency", query.currency, sizeof query.currency);
  find_value(text, "coupon", query.coupon, sizeof query.coupon);
  return query;
}

static const char *reason_of(int code) {
  switch (code) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 402: return "Payment Required";
    case 404: return "Not Found";
    case 500: return "Internal Server Error";
    default: return "Service Unavailable";
  }
}

/* Answers the request whose target is `target`; gives the length of the body and the status. */
static size_t route(char *target, char *body, size_t room, int *code) {
  char *text = strchr(target, '?');
  if (text != NULL) *text++ = 0;
  if (!strcmp(target, "/metrics")) {
    *code = 200;
    return print_metrics(body, room);
  }
  if (strcmp(target, "/checkout") != 0) {
    *code = 404;
    return (size_t)snprintf(body, room, "no such page\n");
  }
  int64_t begin = now_ns();
  struct query query = parse_query(text);
  *code = handle_checkout(&query, body, room);
  enum channel channel = !strcmp(query.channel, "express") ? EXPRESS : !strcmp(query.channel, "renewal") ? RENEWAL : WEB;
  count_request(channel, now_ns() - begin);
  return strlen(body);
}

/* Reads one request and answers it; 0 when the connection is to be closed. */
static int serve(int fd) {
  char request[MAX_REQUEST], target[1024] = "", head[256], body[MAX_BODY] = "";
  size_t length = 0;
  for (;;) {
    ssize_t got = recv(fd, request + length, sizeof request - 1 - length, 0);
    if (got <= 0) return 0;
    length += (size_t)got;
    request[length] = 0;
    if (strstr(request, "\r\n\r\n") != NULL) break;
    if (length == sizeof request - 1) return 0;
  }
  int code = 400;
  size_t size = 0;
  if (sscanf(request, "GET %1023s HTTP/1.", target) == 1) size = route(target, body, sizeof body, &code);
  const char *type = !strcmp(target, "/metrics") ? "text/plain; version=0.0.4" : "application/json";
  int length_of_head = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                                code, reason_of(code), type, size);
  struct iovec parts[] = {{head, (size_t)length_of_head}, {body, size}};
  struct msghdr answer = {.msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(fd, &answer, MSG_NOSIGNAL) == (ssize_t)(length_of_head + size) && code != 400;
}

static void accept_connection(void) {
  int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  int on = 1;
  struct timeval patience = {2, 0};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = fd};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) close(fd);
}

static void *worker_main(void *argument) {
  char name[16];
  snprintf(name, sizeof name, "worker-%d", (int)(intptr_t)argument);
  pthread_setname_np(pthread_self(), name);
  for (;;) {
    struct epoll_event event;
    int ready = epoll_wait(epoll_fd, &event, 1, -1);
    if (ready < 0 && errno != EINTR) return NULL;
    if (ready <= 0) continue;
    int fd = event.data.fd;
    if (fd == listen_fd) {
      accept_connection();
    } else if (!serve(fd)) {
      close(fd);
      continue;
    }
    struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &again) != 0 && fd != listen_fd) close(fd);
  }
}

static int listen_on(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  socklen_t length = sizeof address;
  int on = 1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listen_fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(listen_fd, 128) != 0) return -1;
  getsockname(listen_fd, (struct sockaddr *)&address, &length);
  return ntohs(address.sin_port);
}

int main(int argc, char **argv) {
  int workers = 4, port = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--workers")) workers = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--log")) open_log(argv[i + 1]);
    else return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
  }
  if (workers < 1 || workers > MAX_WORKERS) return fprintf(stderr, "bad --workers\n"), 2;
  struct sigaction hangup = {.sa_handler = reopen_log_soon, .sa_flags = SA_RESTART};
  sigaction(SIGHUP, &hangup, NULL);
  port = listen_on(port);
  if (port < 0) return perror("checkout-service: cannot listen"), 1;
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = listen_fd};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) != 0) return perror("epoll_ctl"), 1;
  for (int i = 0; i < workers; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, worker_main, (void *)(intptr_t)i) != 0) return perror("pthread_create"), 1;
  }
  printf("ready pid=%d port=%d\n", (int)getpid(), port);
  fflush(stdout);
  for (;;) pause();
}
