#include "checkout.h"

int fail_order(struct order *order, const char *reason) {
  order->status = FAILED; // PROBE: error
  count_error(500);
  log_line("ERROR", "order %llu failed: %s (total %ld %s, coupon %s)", (unsigned long long)order->id, reason,
           order->total, order->currency->code, order->coupon ? order->coupon->code : "none");
  return 500;
}

int decline_order(struct order *order) {
  order->status = DECLINED;
  count_error(402);
  return 402;
}
