/* The domain of the sample service: orders of customers, priced and charged. */
#ifndef ORDER_H
#define ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tier { BRONZE, SILVER, GOLD };

enum order_status { RECEIVED = 1, PRICED, CHARGED, REJECTED = 9 };

struct address {
  char street[32];
  char city[24];
  uint32_t zip;
};

struct customer {
  uint64_t id;
  const char *name;
  enum tier tier;
  struct address *address;
  struct customer *referrer; /* who brought this customer; NULL for the first */
  double loyalty;
};

struct item {
  const char *sku;
  int quantity;
  long unit_price; /* cents */
};

enum payment_kind { CARD, INVOICE };

struct payment {
  enum payment_kind kind;
  union {
    struct {
      char last4[5];
      uint16_t expiry_year;
    } card;
    struct {
      int due_days;
      const char *reference;
    } invoice;
  };
};

struct order {
  uint64_t id;
  struct customer *customer;
  struct item items[4];
  int item_count;
  long total; /* cents */
  enum order_status status;
  struct payment payment;
  unsigned gift : 1;
  unsigned express : 1;
  int priority : 6;
  char currency[4];
  const char *note;
  long (*discount)(const struct order *);
};

struct worker_stats {
  uint64_t requests;
  uint64_t charged;
  uint64_t rejected;
};

struct request {
  int worker;
  uint64_t sequence;
  const char *text; /* "ORDER <customer> <items> <seed>" */
  struct order *order;
};

/* pricing.c */
long price_order(struct order *order);
long discount_none(const struct order *order);
long discount_gold(const struct order *order);

/* orders.c */
void orders_init(void);
int handle_request(struct request *request, struct worker_stats *stats);
int charge_order(struct order *order, struct worker_stats *stats);

extern struct customer customers[];
extern const int customer_count;

#endif
