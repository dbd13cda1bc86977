#define _GNU_SOURCE
#include "checkout.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GIFT_CARD_BYTES = 64 * 1024, MAX_REVIEWS = 200, REVIEW_SECONDS = 20 };

static char *last_card;
static int reviews;

/* Every card is kept where nobody finds it again: the memory of the service grows. */
void print_gift_card(const struct order *order) {
  char *card = malloc(GIFT_CARD_BYTES);
  if (card == NULL) return;
  memset(card, (int)(order->id & 0x7f), GIFT_CARD_BYTES); /* PROBE: gift-card */
  __atomic_store_n(&last_card, card, __ATOMIC_RELAXED);
}

static void *review_main(void *argument) {
  pthread_setname_np(pthread_self(), "review");
  sleep(REVIEW_SECONDS); /* waits for an answer that does not come */
  __atomic_sub_fetch(&reviews, 1, __ATOMIC_RELAXED);
  return argument;
}

void start_review(const struct order *order) {
  (void)order;
  pthread_t thread;
  pthread_attr_t small;
  if (__atomic_add_fetch(&reviews, 1, __ATOMIC_RELAXED) > MAX_REVIEWS) {
    __atomic_sub_fetch(&reviews, 1, __ATOMIC_RELAXED);
    return;
  }
  pthread_attr_init(&small);
  pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&small, 128 * 1024);
  if (pthread_create(&thread, &small, review_main, NULL) != 0) __atomic_sub_fetch(&reviews, 1, __ATOMIC_RELAXED);
  pthread_attr_destroy(&small);
}
