#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>
#ifndef UNIT
#define UNIT 1
#endif
#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
namespace PASTE(unit_, UNIT) {
template <int N> struct Key {
  int part[N % 5 + 1];
  bool operator<(const Key &other) const { return part[0] < other.part[0]; }
};
template <int N> struct Order {
  std::map<Key<N>, std::vector<std::string>> lines;
  std::unordered_map<std::string, std::shared_ptr<Key<N>>> byName;
  std::function<long(const Key<N> &)> price;
  std::variant<int, Key<N>, std::optional<Key<N>>> state;
  std::vector<std::tuple<Key<N>, long, std::string>> history;
};
template <int N> long settle(Order<N> &order, int rounds) {
  long total = 0;
  for (int i = 0; i < rounds; i++) {
    Key<N> key{};
    key.part[0] = i;
    order.lines[key].push_back(std::to_string(i));
    order.byName.emplace(std::to_string(i), std::make_shared<Key<N>>(key));
    order.history.emplace_back(key, total, "settled");
    total += order.price(key);
  }
  std::sort(order.history.begin(), order.history.end());
  for (const auto &[key, lines] : order.lines) total += key.part[0] + static_cast<long>(lines.size());
  return total;
}
template <int N> long make() {
  Order<N> order;
  order.price = [](const Key<N> &key) { return static_cast<long>(key.part[0]) * N; };
  order.state = Key<N>{};
  return settle(order, 10);
}
template <int... N> long all(std::integer_sequence<int, N...>) { return (make<N>() + ...); }
}
long PASTE(run_unit_, UNIT)(int rounds) {
  long sum = rounds; /* PROBE: unit */
  sum += PASTE(unit_, UNIT)::all(std::make_integer_sequence<int, 16>());
  return sum;
}
