// A frame with fifty locals that are containers, and one with large ones. It stops in the middle of each by aborting.
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

volatile int sink;
__attribute__((noinline)) void stop(const void *) { sink = sink + 1; }

#define GROUP(n)                                                                   \
  std::string text##n = "the quick brown fox, number " #n;                         \
  std::vector<int> numbers##n(10 + n, n);                                          \
  std::map<std::string, int> counts##n{{"one", 1}, {"two", 2}, {"three", n}};      \
  std::unordered_map<int, std::string> names##n{{1, "Ada"}, {2, "Grace"}, {n, "Edsger"}}; \
  std::optional<std::vector<std::string>> lines##n{{"first", "second", "third"}};

__attribute__((noinline)) int fifty(int argc) {
  GROUP(0) GROUP(1) GROUP(2) GROUP(3) GROUP(4) GROUP(5) GROUP(6) GROUP(7) GROUP(8) GROUP(9)
  stop(&text0);
  return argc + static_cast<int>(text9.size() + numbers9.size() + counts9.size() + names9.size() + lines9->size());
}

__attribute__((noinline)) int large(int argc) {
  std::vector<long> numbers(100'000, argc);
  std::map<int, std::string> names;
  for (int i = 0; i < 10'000; i++) names[i] = "name " + std::to_string(i);
  stop(&numbers);
  return static_cast<int>(numbers.size() + names.size());
}

int main(int argc, char **) {
  if (argc > 1) return large(argc);
  return fifty(argc);
}
