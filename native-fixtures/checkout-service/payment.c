#include "checkout.h"

int authorise_payment(struct order *order) {
  if (order->total < 0) {
    int code = fail_order(order, "cannot authorise a negative amount");
    order->attempts = 0; /* no second try */
    return code;
  }
  order->attempts++;
  return 200;
}

int charge_stored_card(struct order *order) {
  order->attempts++;
  if (order->total < 0) {
    int code = fail_order(order, "cannot charge a negative amount");
    order->status = RECEIVED; /* tried again tomorrow */
    return code;
  }
  order->status = PAID;
  return 200;
}
