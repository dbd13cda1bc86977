// A service as C++ programs are: requests with strings, containers, owned and shared objects. Each request goes through `handle`.
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

namespace shop {

struct Customer {
  std::string name;
  int tier;
};

struct Item {
  int id;
  std::string sku;
  double price;
};

class Request {
 public:
  Request(int id, std::string name) : id_(id), name(std::move(name)) {}
  virtual ~Request() = default;
  virtual int weight() const { return 1; }
  int id() const { return id_; }

 protected:
  int id_;

 public:
  std::string name;
  std::vector<Item> items;
  std::map<std::string, int> stock;
  std::unordered_map<std::string, std::string> headers;
  std::list<std::string> notes;
  std::set<int> marks;
  std::deque<int> history;
  std::optional<std::string> coupon;
  std::variant<int, std::string> payment;
  std::shared_ptr<Customer> customer;
  std::unique_ptr<Item> gift;
};

class Express : public Request {
 public:
  using Request::Request;
  int weight() const override { return 2; }
  int hours = 24;
};

int handled = 0;

__attribute__((noinline)) int handle(const Request& request, int attempt) {
  int total = request.weight();
  for (const auto& item : request.items) total += static_cast<int>(item.price);
  handled = total + attempt;  // PROBE: handle
  return handled;
}

template <typename T>
__attribute__((noinline)) T larger(T a, T b) {
  T result = a < b ? b : a;
  return result;  // PROBE: larger
}

struct Counter {
  static int instances;
  __attribute__((noinline)) int add(int by) {
    count += by;
    return count;  // PROBE: add
  }
  __attribute__((noinline)) double add(double by) {
    count += static_cast<int>(by);
    return count;
  }
  int count = 0;
};
int Counter::instances = 7;

}  // namespace shop

int main() {
  shop::Counter counter;
  for (int round = 0;; round++) {
    shop::Express request(round, round % 3 == 0 ? "abc" : "a name that does not fit in the object");
    request.items = {{1, "apple", 1.5}, {2, "a very long stock keeping unit", 20.25}};
    request.stock = {{"apple", 3}, {"pear", 5}, {"plum", 0}};
    request.headers = {{"host", "example.org"}, {"accept", "everything that there is, really"}};
    request.notes = {"first", "second note, which is rather long"};
    request.marks = {3, 1, 2};
    request.history = {10, 20, 30};
    if (round % 2 == 0) request.coupon = "SAVE10";
    if (round % 2 == 0) request.payment = std::string("card");
    else request.payment = 42;
    request.customer = std::make_shared<shop::Customer>(shop::Customer{"Ada Lovelace, Countess", 2});
    request.gift = std::make_unique<shop::Item>(shop::Item{9, "ribbon", 0.5});
    shop::handle(request, round & 3);
    shop::larger(round, 3);
    shop::larger(1.5, 2.5);
    counter.add(1);
    counter.add(2.0);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}
