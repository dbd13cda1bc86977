#include "order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct address addresses[] = {
    {"1 Harbour Road", "Lisbon", 1100},
    {"77 Mill Lane", "Ghent", 9000},
    {"5 Observatory Hill", "Tartu", 51005},
};

struct customer customers[] = {
    {1001, "Ada", BRONZE, &addresses[0], NULL, 0.25},
    {1002, "Grace", SILVER, &addresses[1], &customers[0], 0.5},
    {1003, "Edsger", GOLD, &addresses[2], &customers[1], 0.875},
    {1004, "Barbara", GOLD, &addresses[0], &customers[2], 1.0},
};
const int customer_count = sizeof customers / sizeof customers[0];

/* What the service has taken, in cents; read by nobody while it runs. */
static uint64_t cents_charged;
static const char *catalogue[] = {"lamp-3", "chair-oak", "desk-xl", "clock-7"};
static const long prices[] = {1999, 8950, 24900, 450};

void orders_init(void) { cents_charged = 0; }

static struct order *parse_order(const char *text, uint64_t sequence) {
  int customer, count;
  unsigned seed;
  if (sscanf(text, "ORDER %d %d %u", &customer, &count, &seed) != 3) return NULL;
  if (customer < 0 || customer >= customer_count || count < 1 || count > 4) return NULL;

  struct order *order = calloc(1, sizeof *order);
  if (order == NULL) return NULL;
  order->id = sequence;
  order->customer = &customers[customer];
  order->item_count = count;
  for (int i = 0; i < count; i++) {
    order->items[i].sku = catalogue[(seed + i) % 4];
    order->items[i].unit_price = prices[(seed + i) % 4];
    order->items[i].quantity = 1 + (int)(seed >> i) % 3;
  }
  order->status = RECEIVED;
  order->gift = seed & 1;
  order->express = (seed >> 1) & 1;
  order->priority = (int)(seed % 40) - 20;
  memcpy(order->currency, "EUR", 4);
  if (seed % 3 == 0) {
    order->payment.kind = INVOICE;
    order->payment.invoice.due_days = 30;
    order->payment.invoice.reference = "PO-2026-11";
  } else {
    order->payment.kind = CARD;
    memcpy(order->payment.card.last4, "4242", 5);
    order->payment.card.expiry_year = 2029;
  }
  order->note = seed % 5 == 0 ? "leave at the door" : NULL;
  return order;
}

int charge_order(struct order *order, struct worker_stats *stats) {
  long rebate = order->discount(order);
  long due = order->total - rebate;
  if (due <= 0) {
    order->status = REJECTED;
    stats->rejected++;
    return -1;
  }
  order->status = CHARGED; /* PROBE: charge */
  stats->charged++; /* PROBE: charged */
  __atomic_add_fetch(&cents_charged, (uint64_t)due, __ATOMIC_RELAXED);
  return 0;
}

int handle_request(struct request *request, struct worker_stats *stats) {
  struct order *order = parse_order(request->text, request->sequence);
  stats->requests++;
  if (order == NULL) {
    stats->rejected++;
    return -1; /* PROBE: reject */
  }
  request->order = order;
  long total = price_order(order);
  int result = charge_order(order, stats);
  if (result == 0 && total != order->total) abort(); /* its own arithmetic, checked */
  request->order = NULL;
  free(order);
  return result;
}
