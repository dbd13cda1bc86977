#include "order.h"

static inline long line_total(const struct item *item) {
  long line = item->unit_price * item->quantity;
  return line; /* PROBE: line-total */
}

long discount_none(const struct order *order) {
  (void)order;
  return 0;
}

long discount_gold(const struct order *order) {
  long percent = order->express ? 3 : 5;
  return order->total * percent / 100; /* PROBE: discount */
}

long price_order(struct order *order) {
  long sum = 0;
  for (int i = 0; i < order->item_count; i++) {
    sum += line_total(&order->items[i]);
  }
  order->total = sum;
  order->discount = order->customer->tier == GOLD ? discount_gold : discount_none;
  order->status = PRICED; /* PROBE: priced */
  return sum;
}
