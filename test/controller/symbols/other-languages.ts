/** Programs in C++, Rust and Go, for their debug information: values of such types are another matter. */
import { compileNative, cplusplus, go, rustc } from '../../support/compile-native.js';

const cplusplusSource = `
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>
namespace shop {
enum class Color : unsigned char { red = 1, green };
struct Base { virtual ~Base() = default; virtual int price() const { return 1; } int id = 3; };
template <typename T, int N> struct Box : Base {
  T items[N];
  int price() const override { return N + static_cast<int>(items[0]); }
  static inline int made = 0;
};
class Order {
 public:
  explicit Order(std::string name) : name_(std::move(name)) {}
  __attribute__((noinline)) int total() const {
    int sum = 0;
    for (auto const &[key, value] : lines_) sum += value + static_cast<int>(key.size());
    auto twice = [&sum](int by) { return sum * by; };
    return twice(2);
  }
  void add(std::string const &key, int value) { lines_[key] += value; }
 private:
  std::string name_;
  std::map<std::string, int> lines_;
};
}
namespace { int hidden(int x) { return x * 3; } }
using shop::Order;
int main(int argc, char **) {
  Order order("first");
  order.add("apple", argc);
  order.add("pear", 2);
  std::vector<std::unique_ptr<shop::Base>> all;
  all.push_back(std::make_unique<shop::Box<int, 4>>());
  all.push_back(std::make_unique<shop::Box<double, 2>>());
  int total = order.total() + hidden(argc);
  for (auto const &each : all) total += each->price();
  try { if (argc > 9) throw argc; } catch (int &thrown) { total += thrown; }
  shop::Color color = argc > 1 ? shop::Color::red : shop::Color::green;
  std::printf("%d %d\\n", total, static_cast<int>(color));
  return 0;
}
`;

const rustSource = `
use std::collections::HashMap;
#[derive(Debug, Clone)]
enum Shape { Dot, Circle { radius: f64 }, Rect(u32, u32), Named(String, Option<Box<Shape>>) }
trait Area { fn area(&self) -> f64; }
impl Area for Shape {
    fn area(&self) -> f64 {
        match self {
            Shape::Dot => 0.0,
            Shape::Circle { radius } => radius * radius * 3.14,
            Shape::Rect(a, b) => (*a as f64) * (*b as f64),
            Shape::Named(name, inner) => name.len() as f64 + inner.as_ref().map_or(0.0, |shape| shape.area()),
        }
    }
}
#[inline(never)]
fn total(shapes: &[Shape], seen: &mut HashMap<u32, &'static str>) -> f64 {
    let mut sum = 0.0;
    for (i, shape) in shapes.iter().enumerate() {
        seen.insert(i as u32, "seen");
        sum += shape.area();
    }
    sum
}
fn main() {
    let shapes = vec![Shape::Dot, Shape::Circle { radius: 2.0 }, Shape::Rect(2, 3),
        Shape::Named("box".to_string(), Some(Box::new(Shape::Dot)))];
    let mut seen = HashMap::new();
    let sum = total(&shapes, &mut seen);
    println!("{} {} {:?}", sum, seen.len(), shapes);
}
`;

const goSource = `package main

import (
	"fmt"
	"os"
	"sort"
)

type Order struct {
	Name  string
	Lines map[string]int
	Next  *Order
	Tags  []string
}

type Priced interface{ Price() int }

func (o *Order) Price() int {
	sum := 0
	for key, value := range o.Lines {
		sum += value + len(key)
	}
	return sum
}

//go:noinline
func total(all []Priced) (sum int) {
	for i, each := range all {
		price := each.Price()
		sum += price * (i + 1)
	}
	return
}

func main() {
	first := &Order{Name: "first", Lines: map[string]int{"apple": len(os.Args)}}
	second := &Order{Name: "second", Lines: map[string]int{"pear": 2}, Next: first}
	names := []string{second.Name, first.Name}
	sort.Strings(names)
	channel := make(chan int, 1)
	go func() { channel <- total([]Priced{first, second}) }()
	fmt.Println(<-channel, names)
}
`;

export const cplusplusProgram = (command: 'g++' | 'clang++', ...flags: readonly string[]): string =>
  compileNative(cplusplusSource, 'shop', cplusplus(command, '-std=c++17', ...flags));
export const rustProgram = (...flags: readonly string[]): string =>
  compileNative(rustSource, 'shapes', rustc(...flags));
export const goProgram = (...flags: readonly string[]): string =>
  compileNative(goSource, 'orders', go(...flags));
