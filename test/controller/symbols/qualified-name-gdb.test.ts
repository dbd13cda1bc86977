/** Names of C++ functions, types and enumerators: as gdb writes them, with the namespaces and classes around them. */
import { expect, test } from 'vitest';
import { threadStack } from '../../../controller/snapshot/frames.js';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { showLocals } from '../../../controller/snapshot/show.js';
import { compareCore } from '../../support/compare-gdb.js';
import { compileNative, cplusplus } from '../../support/compile-native.js';
import { crashCore } from '../../support/core.js';

const source = `
#include <cstdlib>
namespace shop {
enum color { RED, GREEN };
enum class mode { OFF, ON };
struct Item { int price; color paint; };
class Order {
 public:
  enum kind { SMALL, LARGE };
  struct Line { Item item; kind size; };
  explicit Order(int n) : line{{n, GREEN}, LARGE} { total(n); }
  ~Order() {}
  int total(int n) { Line copy = line; mode how = mode::ON; return finish(copy, how, n); }
 private:
  Line line;
  static int finish(const Line &given, mode how, int n);
};
namespace {
template <typename T> T hidden(T value) { Item item = {value, RED}; if (item.price == 3) abort(); return value; }
}
int Order::finish(const Line &given, mode how, int n) { color paint = given.item.paint; return hidden<int>(n) + (paint == RED) + (how == mode::ON); }
}
extern "C" int plain(int n) { shop::Order order(n); return order.total(n); }
int main() { return plain(3); }
`;

test.each(['g++', 'clang++'] as const)('%s', (compiler) => {
  const program = compileNative(source, 'qualified', cplusplus(compiler, '-O0', '-w'));
  using core = crashCore(program, []);
  const tally = compareCore(program, core.path, { depth: 1 });
  expect(tally.differences).toEqual([]);
  expect(tally.withheld).toEqual([]);
  using snapshot = openSnapshot(core.path);
  const { frames } = threadStack(
    snapshot,
    snapshot.threads[0] ??
      (() => {
        throw new Error('no thread');
      })(),
  );
  const own = frames.filter(({ source: at }) => at?.file?.endsWith('qualified.cc') === true);
  expect(own.map((frame) => frame.function)).toEqual([
    'shop::(anonymous namespace)::hidden<int>',
    'shop::Order::finish',
    'shop::Order::total',
    'shop::Order::Order',
    'plain',
    'main',
  ]);
  const [item] = own.slice(0, 1).flatMap((frame) => showLocals(snapshot, frame, {}).slice(-1));
  expect(item).toMatchObject({ type: 'shop::Item', fields: [{ value: '3' }, { text: 'shop::RED' }] });
  const how =
    own[1] === undefined ? undefined : showLocals(snapshot, own[1], {}).find(({ name }) => name === 'how');
  expect(how).toMatchObject({ type: 'shop::mode', text: 'shop::mode::ON' });
});
