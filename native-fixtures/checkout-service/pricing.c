#include "checkout.h"

#include <string.h>

static const struct currency currencies[] = {{"EUR", 2}, {"USD", 2}, {"JPY", 0}};
enum { CURRENCIES = sizeof currencies / sizeof currencies[0], PRODUCTS = 4 };

static const struct coupon coupons[] = {
    {"WELCOME5", 5, &currencies[0]},
    {"SPRING10", 10, &currencies[1]},
    {"SAKURA500", 500, &currencies[2]},
};

static const struct {
  const char *sku;
  long price[CURRENCIES]; /* in minor units of each currency */
} products[PRODUCTS] = {
    {"lamp-3", {1999, 2199, 3200}},
    {"chair-oak", {2950, 3250, 4700}},
    {"clock-7", {1450, 1550, 2300}},
    {"rug-blue", {3900, 4200, 6200}},
};

const struct currency *find_currency(const char *code) {
  for (int i = 0; i < CURRENCIES; i++)
    if (!strcmp(currencies[i].code, code)) return &currencies[i];
  return NULL;
}

const struct coupon *find_coupon(const char *code) {
  for (size_t i = 0; i < sizeof coupons / sizeof coupons[0]; i++)
    if (!strcmp(coupons[i].code, code)) return &coupons[i];
  return NULL;
}

void fill_cart(struct order *order, unsigned seed) {
  long currency = order->currency - currencies;
  order->item_count = 1 + (int)(seed % 3);
  for (int i = 0; i < order->item_count; i++) {
    unsigned product = (seed / 3 + (unsigned)i) % PRODUCTS;
    order->items[i] = (struct item){products[product].sku, 1 + (int)(seed >> i) % 2, products[product].price[currency]};
    order->reserved += order->items[i].quantity;
  }
}

/* What a coupon takes off, in minor units. */
static long coupon_discount(const struct coupon *coupon) {
  return coupon->amount * 100; /* the bug: a yen has no hundredths */
}

void price_order(struct order *order) {
  order->subtotal = 0;
  for (int i = 0; i < order->item_count; i++) order->subtotal += order->items[i].price * order->items[i].quantity;
  order->discount = order->coupon ? coupon_discount(order->coupon) : 0;
  order->total = order->subtotal - order->discount;
  order->status = PRICED; /* PROBE: priced */
}
