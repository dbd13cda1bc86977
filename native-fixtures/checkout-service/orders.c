#include "checkout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct customer customers[] = {
    {2001, "Ada", "PT"},
    {2002, "Grace", "US"},
    {2003, "Michio", "JP"},
    {2004, "Barbara", "BE"},
};

static const char *channels[CHANNELS] = {"web", "express", "renewal"};

static int open_order(const struct query *query, struct order *order) {
  memset(order, 0, sizeof *order);
  order->id = query->id;
  order->channel = CHANNELS;
  for (int i = 0; i < CHANNELS; i++)
    if (!strcmp(channels[i], query->channel)) order->channel = (enum channel)i;
  order->currency = find_currency(query->currency);
  order->coupon = query->coupon[0] ? find_coupon(query->coupon) : NULL;
  if (order->channel == CHANNELS || order->currency == NULL) return 400;
  if (query->coupon[0] && (order->coupon == NULL || order->coupon->currency != order->currency)) return 400;
  order->customer = &customers[query->id % 4];
  order->status = RECEIVED;
  fill_cart(order, query->cart);
  return 200;
}

/* Stock is held until the order is paid, whatever becomes of it. */
static void release_stock(struct order *order) { order->reserved = 0; }

static int checkout_web(struct order *order) {
  price_order(order);
  if (order->total < 0) {
    int code = fail_order(order, "total is negative");
    release_stock(order);
    return code;
  }
  order->status = PAID;
  return 200;
}

static int checkout_express(struct order *order) {
  price_order(order);
  int code = authorise_payment(order);
  if (code != 200) release_stock(order);
  else order->status = PAID;
  return code;
}

static int renew_subscription(struct order *order) {
  order->item_count = 1;
  price_order(order);
  int code = charge_stored_card(order);
  if (code != 200) release_stock(order);
  return code;
}

int handle_checkout(const struct query *query, char *answer, size_t room) {
  struct order *order = malloc(sizeof *order);
  if (order == NULL) return 503;
  int code = open_order(query, order);
  if (code == 200 && query->decline) code = decline_order(order);
  if (code == 200) {
    switch (order->channel) {
      case WEB: code = checkout_web(order); break;
      case EXPRESS: code = checkout_express(order); break;
      default: code = renew_subscription(order); break;
    }
  }
  if (code == 200 && query->gift) print_gift_card(order);
  if (code == 200 && query->review) start_review(order);
  snprintf(answer, room, "{\"order\":%llu,\"status\":%d,\"total\":%ld}\n", (unsigned long long)query->id,
           (int)order->status, order->total);
  free(order);
  return code;
}
