// One local of each type of the standard library that has a view, in the states that matter: empty, one, many, at capacity, nested, moved from.
// Dies by abort() so that the kernel writes a core; every local lives in memory at that point, with any optimisation.
#include <any>
#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>
#if __cplusplus > 201703L
#include <span>
#endif

template <typename... T>
__attribute__((noinline)) void keep(T const &...) {
  asm volatile("" ::: "memory");
}

struct Point {
  int x, y;
};
struct Empty {};
struct Wide {
  char data[600];
  int number;
};
enum class Color { red, green };
static int twice(int x) { return x * 2; }

static __attribute__((noinline)) void text() {
  std::string empty, one = "a", inside = "fifteen letters", outside = "sixteen letters!", many(300, 'x');
  std::string withNul("a\0b", 3), movedFrom = "this one is moved from", movedTo = std::move(movedFrom), reserved;
  reserved.reserve(100);
  reserved = "r";
  std::wstring wide = L"wide \u00e9", wideLong(40, L'w');
  std::u16string sixteen = u"sixteen", sixteenLong(40, u's');
  std::u32string thirtyTwo = U"\U0001F600 and so on and on";
  std::string_view view = inside, viewEmpty, viewPart = view.substr(3, 4);
  std::filesystem::path path = "/usr/lib/libc.so", pathEmpty, pathLong = "a/quite/long/path/that/does/not/fit/anywhere.txt";
  keep(empty, one, inside, outside, many, withNul, movedFrom, movedTo, reserved, wide, wideLong, sixteen, sixteenLong);
  keep(thirtyTwo, view, viewEmpty, viewPart, path, pathEmpty, pathLong);
  std::abort();
}

static __attribute__((noinline)) void sequences() {
  std::vector<int> empty, one{7}, full{1, 2, 3}, many, movedFrom{4, 5}, movedTo = std::move(movedFrom), roomy;
  roomy.reserve(50);
  roomy.push_back(3);
  for (int i = 0; i < 150; i++) many.push_back(i * i);
  std::vector<std::string> strings{"a", "bb", std::string(40, 'c')};
  std::vector<Point> points{{1, 2}, {3, 4}};
  std::vector<std::vector<int>> nested{{1}, {}, {2, 3}};
  std::vector<double> doubles{1.5, -2.25};
  std::vector<Point *> pointers{&points[0], nullptr};
  std::vector<bool> bits, bitsMany{true, false, true};
  for (int i = 0; i < 90; i++) bitsMany.push_back(i % 3 == 0);
  std::array<int, 3> array{7, 8, 9};
  std::array<int, 0> arrayEmpty;
  std::array<std::string, 2> arrayStrings{"p", "q"};
  std::deque<int> deque, dequeFew{1, 2, 3}, dequeMany, dequeFront, dequeUsed;
  for (int i = 0; i < 1100; i++) dequeMany.push_back(i);
  for (int i = 0; i < 50; i++) dequeFront.push_front(i);
  for (int i = 0; i < 2000; i++) {
    dequeUsed.push_back(i);
    if (dequeUsed.size() > 60) dequeUsed.pop_front();
  }
  std::deque<std::string> dequeStrings{"q", "r"};
  std::deque<Wide> dequeWide(3);
  dequeWide[1].number = 5;
  std::list<int> list, listMany{4, 5, 6};
  std::list<std::string> listStrings{"l1", "l2"};
  std::forward_list<int> forward, forwardMany{1, 2, 3};
  std::forward_list<Point> forwardPoints{{1, 2}};
  std::bitset<10> bitset(0x155);
  std::bitset<130> bitsetLong;
  bitsetLong.set(3).set(129);
  std::stack<int> stack;
  stack.push(1);
  stack.push(2);
  std::queue<std::string> queue;
  queue.push("first");
  std::priority_queue<int> heap;
  for (int each : {3, 9, 1}) heap.push(each);
  std::initializer_list<int> initializers = {1, 2, 3};
#if __cplusplus > 201703L
  std::span<int> span = full, spanEmpty;
  std::span<int, 3> spanFixed{array};
  keep(span, spanEmpty, spanFixed);
#endif
  keep(empty, one, full, many, movedFrom, movedTo, roomy, strings, points, nested, doubles, pointers, bits, bitsMany, array);
  keep(arrayEmpty, arrayStrings, deque, dequeFew, dequeMany, dequeFront, dequeUsed, dequeStrings, dequeWide, list, listMany);
  keep(listStrings, forward, forwardMany, forwardPoints, bitset, bitsetLong, stack, queue, heap, initializers);
  text();
}

static __attribute__((noinline)) void associative() {
  std::map<int, std::string> map, mapOne{{1, "one"}}, mapFew{{2, "two"}, {1, "one"}, {3, "three"}};
  std::map<int, int> mapMany;
  for (int i = 0; i < 400; i++) mapMany[i * 7 % 400] = i;
  std::map<std::string, std::vector<int>> mapNested{{"a", {1, 2}}, {"b", {}}};
  std::map<int, std::map<std::string, std::vector<std::optional<int>>>> mapDeep{{1, {{"k", {1, std::nullopt, 3}}}}};
  std::map<int, int> mapMovedFrom{{1, 2}}, mapMovedTo = std::move(mapMovedFrom);
  std::map<char, long double> mapAligned{{'a', 1.5L}};
  std::multimap<int, int> multimap{{1, 1}, {1, 2}, {0, 3}};
  std::set<int> set, setFew{3, 1, 2};
  std::set<std::string> setStrings{"x", "a"};
  std::multiset<int> multiset{2, 2, 1};
  std::unordered_map<std::string, int> hash, hashFew{{"one", 1}, {"two", 2}};
  std::unordered_map<int, double> hashNumbers{{1, 1.5}, {2, 2.5}};
  std::unordered_map<int, std::string> hashMany;
  for (int i = 0; i < 90; i++) hashMany[i * 31] = std::to_string(i);
  std::unordered_set<int> hashSet{5, 6};
  std::unordered_set<std::string> hashSetStrings{"s", "t"};
  std::unordered_multimap<int, int> hashMulti{{1, 1}, {2, 2}, {1, 3}};
  std::unordered_multiset<std::string> hashMultiSet{"m", "m"};
  keep(map, mapOne, mapFew, mapMany, mapNested, mapDeep, mapMovedFrom, mapMovedTo, mapAligned, multimap, set, setFew, setStrings);
  keep(multiset, hash, hashFew, hashNumbers, hashMany, hashSet, hashSetStrings, hashMulti, hashMultiSet);
  sequences();
}

static __attribute__((noinline)) void wrappers(int number) {
  std::pair<int, std::string> pair{1, "p"};
  std::tuple<> tupleEmpty;
  std::tuple<int> tupleOne{4};
  std::tuple<Empty, int> tupleOfEmpty{Empty{}, 3};
  std::tuple<int, std::string, double> tuple{1, "t", 2.5};
  std::optional<int> none, some = 3;
  std::optional<std::string> someText = "opt";
  std::optional<bool> someFalse = false;
  std::variant<int, std::string, double> variant = 1, variantText = "variant", variantDouble = 2.5;
  std::variant<std::monostate, int, int> variantTwice(std::in_place_index<2>, 6);
  std::any any, anyNumber = 42, anyText = std::string("a text that is long"), anyPoint = Point{1, 2};
  std::unique_ptr<Point> unique, uniqueSet = std::make_unique<Point>(Point{3, 4});
  std::unique_ptr<int[]> uniqueArray(new int[3]{1, 2, 3});
  auto deleter = [](Point *p) { delete p; };
  std::unique_ptr<Point, void (*)(Point *)> uniqueDeleter(new Point{5, 6}, deleter);
  std::shared_ptr<Point> shared, sharedSet = std::make_shared<Point>(Point{7, 8}), sharedToo = sharedSet, sharedNew(new Point{1, 1});
  std::weak_ptr<Point> weak = sharedSet, weakEmpty, weakExpired = std::make_shared<Point>();
  std::string captured = "captured";
  std::function<int(int)> function, functionPlain = twice, functionLambda = [number](int x) { return x + number; };
  std::function<int(int)> functionLarge = [number, captured](int x) { return x + number + static_cast<int>(captured.size()); };
  std::atomic<int> atomic{5};
  std::atomic<bool> atomicBool{true};
  std::atomic<Point *> atomicPointer{uniqueSet.get()};
  std::atomic<Color> atomicEnum{Color::green};
  std::chrono::seconds seconds{5};
  std::chrono::milliseconds milliseconds{1500};
  std::chrono::duration<double> duration{1.25};
  std::chrono::steady_clock::time_point steady{std::chrono::nanoseconds(12345)};
  std::reference_wrapper<int> reference = number;
  keep(pair, tupleEmpty, tupleOne, tupleOfEmpty, tuple, none, some, someText, someFalse, variant, variantText, variantDouble, variantTwice);
  keep(any, anyNumber, anyText, anyPoint, unique, uniqueSet, uniqueArray, uniqueDeleter, shared, sharedSet, sharedToo, sharedNew);
  keep(weak, weakEmpty, weakExpired, captured, function, functionPlain, functionLambda, functionLarge, atomic, atomicBool);
  keep(atomicPointer, atomicEnum, seconds, milliseconds, duration, steady, reference);
  associative();
}

int main(int argc, char **) {
  wrappers(argc + 4);
  return 0;
}
