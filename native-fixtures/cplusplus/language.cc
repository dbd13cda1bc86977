// What the language itself makes of objects: dynamic types, virtual and several bases, members that pointers point to, closures, types of one name.
// Dies by abort() so that the kernel writes a core.
#include <any>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

template <typename... T>
__attribute__((noinline)) void keep(T const &...) {
  asm volatile("" ::: "memory");
}

namespace shop {
struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
  int id = 7;
};
struct Named {
  virtual ~Named() = default;
  virtual int length() const { return static_cast<int>(name.size()); }
  std::string name = "named";
};
struct Circle : Shape {
  double radius = 2.5;
  double area() const override { return radius * radius; }
};
struct Both : Named, Shape {
  int extra = 9;
  double area() const override { return 1; }
};
template <typename T, int N>
struct Box : Shape {
  T items[N];
  double area() const override { return N; }
};
struct Common {
  virtual ~Common() = default;
  int common = 11;
};
struct Left : virtual Common {
  int left = 12;
};
struct Right : virtual Common {
  int right = 13;
};
struct Diamond : Left, Right {
  int diamond = 14;
};
enum class Mode : unsigned char { fast = 1, slow = 200 };
class Counter {
 public:
  static int made;
  static constexpr int limit = 250;
  static constexpr unsigned char top = 200;
  enum Kind { small, large } kind = large;
  Mode mode = Mode::slow;
  int count = 1;
  int get(int by) { return count + by; }
  virtual int virtualGet() { return count; }
};
int Counter::made = 42;
}  // namespace shop
namespace other {
struct Circle {
  int different = 1;
};
struct Counter {
  static int made;
};
int Counter::made = 43;
}  // namespace other
namespace {
struct Hidden : shop::Shape {
  int hidden = 21;
  double area() const override { return 3; }
};
}  // namespace
struct Plain {
  int first, second;
};
int counted = 5;

// Two types of one name, each local to its function.
static __attribute__((noinline)) shop::Shape *localOne() {
  struct Local : shop::Shape {
    int one = 31;
    double area() const override { return 4; }
  };
  return new Local;
}
static __attribute__((noinline)) shop::Shape *localTwo() {
  struct Local : shop::Shape {
    char pad[40] = "two";
    int two = 32;
    double area() const override { return 5; }
  };
  return new Local;
}

static __attribute__((noinline)) void pointers(shop::Shape &reference, const shop::Shape &constant) {
  shop::Both *both = new shop::Both;
  shop::Diamond *diamond = new shop::Diamond;
  shop::Shape *circle = &reference, *second = both, *box = new shop::Box<int, 2>, *boxOfText = new shop::Box<std::string, 1>;
  shop::Shape *hidden = new Hidden, *one = localOne(), *two = localTwo(), *none = nullptr;
  shop::Named *named = both;
  shop::Common *common = diamond;
  shop::Left *left = diamond;
  shop::Right *right = diamond;
  std::unique_ptr<shop::Shape> unique = std::make_unique<shop::Circle>();
  std::shared_ptr<shop::Shape> shared = std::make_shared<shop::Both>();
  std::vector<shop::Shape *> all{circle, second};
  int Plain::*data = &Plain::second;
  int Plain::*noData = nullptr;
  int (shop::Counter::*method)(int) = &shop::Counter::get;
  int (shop::Counter::*virtualMethod)() = &shop::Counter::virtualGet;
  shop::Counter counter;
  other::Circle otherCircle;
  Plain plain{1, 2};
  int &number = plain.second;
  std::string text = "captured";
  auto closure = [&number, text, this_ = &plain] { return number + static_cast<int>(text.size()) + this_->first; };
  std::function<int()> function = closure;
  std::any any = *both;
  keep(both, diamond, circle, second, box, boxOfText, hidden, one, two, none, named, common, left, right, unique, shared, all, data);
  keep(noData, method, virtualMethod, counter, otherCircle, plain, number, text, closure, function, any, reference, constant);
  std::abort();
}

int main() {
  shop::Circle circle;
  shop::Both both;
  pointers(circle, both);
  return shop::Counter::made + other::Counter::made + counted;
}
