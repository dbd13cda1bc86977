/* The domain of the checkout service: orders that come by three channels, priced in the customer's currency. */
#ifndef CHECKOUT_H
#define CHECKOUT_H

#include <stddef.h>
#include <stdint.h>

struct currency {
  const char *code; /* ISO 4217 */
  int decimals;     /* EUR 2, JPY 0 */
};

struct coupon {
  const char *code;
  long amount; /* in whole units of its currency: 5 is five euros */
  const struct currency *currency;
};

struct customer {
  uint64_t id;
  const char *name;
  const char *country;
};

struct item {
  const char *sku;
  int quantity;
  long price; /* in minor units of the order's currency */
};

enum channel { WEB, EXPRESS, RENEWAL, CHANNELS };

enum status { RECEIVED = 1, PRICED, PAID, DECLINED, FAILED };

struct order {
  uint64_t id;
  enum channel channel;
  const struct customer *customer;
  const struct currency *currency;
  const struct coupon *coupon; /* NULL without one */
  struct item items[4];
  int item_count;
  long subtotal, discount, total; /* in minor units of its currency */
  enum status status;
  int reserved; /* pieces of stock that are held for it */
  int attempts;
};

/* What a request asks, as it stands in its query. */
struct query {
  uint64_t id;
  unsigned cart;
  char channel[12], currency[4], coupon[16];
  int decline, gift, review;
};

/* orders.c */
/* Fills `answer` with the body; gives the HTTP status. */
int handle_checkout(const struct query *query, char *answer, size_t room);

/* pricing.c */
const struct currency *find_currency(const char *code);
const struct coupon *find_coupon(const char *code);
void fill_cart(struct order *order, unsigned seed);
void price_order(struct order *order);

/* payment.c */
int authorise_payment(struct order *order);
int charge_stored_card(struct order *order);

/* failure.c */
/* Counts and logs an order that this service could not handle: its own fault. Gives the HTTP status. */
int fail_order(struct order *order, const char *reason);
/* The customer's bank said no: nobody's fault. */
int decline_order(struct order *order);

/* side-effects.c: what some requests leave behind */
void print_gift_card(const struct order *order);
void start_review(const struct order *order);

/* metrics.c */
void count_request(enum channel channel, int64_t nanoseconds);
void count_error(int code);
/* Writes the text format of Prometheus; gives its length. */
size_t print_metrics(char *text, size_t room);

/* log.c */
void open_log(const char *path);
void reopen_log_soon(int signal);
void log_line(const char *level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
