// What casts and template names are asked of: it stops itself where all of it is alive.
#include <any>
#include <array>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>
#include <cstdio>
#include <cstdlib>

namespace ns {
template <typename A, int N> struct T { A a[N]; int n = N; static int made; T() { for (int i = 0; i < N; i++) a[i] = i + 10; } };
template <typename A, int N> int T<A, N>::made = 3;
template <typename K, typename V = long, typename D = std::less<K>> struct Box { K k; V v; };
struct Point { int x, y; };
}
namespace other { struct Point { double x, y, z; }; }
struct Shape { virtual ~Shape() {} int id = 1; };
struct Named { virtual ~Named() {} int label = 7; };
struct Circle : Shape, Named { double radius = 2.5; };
struct Square : Shape { int side = 4; };
struct VBase { int vb = 5; virtual ~VBase() {} };
struct VLeft : virtual VBase { int vl = 6; };
struct VRight : virtual VBase { int vr = 7; };
struct VBoth : VLeft, VRight { int both = 8; };
typedef unsigned int u32;
enum class Color : unsigned char { red, green = 5 };

template <typename T> T twice(T t) { return t + t; }

__attribute__((noinline)) void stop() { asm volatile("" ::: "memory"); abort(); }

int main() {
  std::vector<int> v{1, 2, 3};
  std::map<std::string, std::vector<int>> m{{"one", {1}}, {"two", {2, 2}}};
  void *pv = &v, *pm = &m;
  ns::T<int, 4> t4; ns::T<long, 2> t2;
  void *pt = &t4;
  char *raw = (char *)&t4;
  ns::Box<int> bi{1, 2}; ns::Box<char, short> bc{'c', 4};
  void *pb = &bi;
  Circle circle; Square square;
  Shape *shape = &circle, *shape2 = &square, *shape0 = nullptr;
  Named *named = &circle;
  VBoth both; VBase *vbase = &both; VLeft *vleft = &both; VRight *vright = &both;
  unsigned long word = (unsigned long)&circle;
  Color color = Color::green;
  std::unique_ptr<Shape> owned(new Circle);
  std::shared_ptr<Shape> shared = std::make_shared<Square>();
  std::any any = std::string("in any");
  std::any any_i = 42;
  std::variant<int, std::string> var = std::string("var");
  std::optional<ns::Point> op = ns::Point{1, 2};
  other::Point opt{1, 2, 3};
  double d = 3.75; float f = 1.5f;
  u32 u = 4000000000u;
  const ns::T<int, 4> &tref = t4;
  int r = twice(4) + (int)twice(2.5);
  printf("%p %p %p %p %lu %d %p %p %d\n", pv, pm, pt, raw, word, r, (void *)named, (void *)vbase, ns::T<int,4>::made);
  stop();
  printf("%d %p %p %p %p %p %p %p", bc.k, pb, (void*)shape, (void*)shape2,(void*)shape0, (void*)vleft,(void*)vright, (void*)&color);
  printf("%d %f %f %u %d %f %d", t2.n, d, f, u, tref.n, opt.x, (int)m.size());
  return any.has_value() + any_i.has_value() + (int)var.index() + op->x + owned->id + shared->id;
}
