/** What a plan brings of containers of many nodes: those that a walk meets first, so that something of them can be shown. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { planPoint } from '../../../controller/planner/plan.js';
import { evaluateText, renderContext } from '../../../controller/snapshot/evaluate.js';
import { threadStack } from '../../../controller/snapshot/frames.js';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { renderValue } from '../../../controller/types/render.js';
import { isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import type { MemoryReader } from '../../../format/memory.js';
import { rangeBytes, runPlanSite } from '../../../format/plan/run.js';
import { compileNative, cplusplus, rustc, type Toolchain } from '../../support/compile-native.js';
import { crashCore } from '../../support/core.js';
import { memoryOf } from '../../support/literal-memory.js';

const cplusplusSource = `
#include <cstring>
#include <forward_list>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
using Map = std::map<int, int>;
__attribute__((noinline)) void many(const Map &few, const Map &some, const Map &more, const std::map<std::string, int> &named,
                                    const std::set<int> &backwards) {
  __builtin_trap();
}
__attribute__((noinline)) void lists(const std::list<int> &listed, const std::list<std::string> &texts, const std::forward_list<int> &forward,
                                     const std::unordered_map<int, int> &hashed, const std::unordered_set<std::string> &names,
                                     const char *const (&words)[60]) {
  __builtin_trap();
}
int main(int argc, char **) {
  Map few, some, more;
  std::map<std::string, int> named;
  std::set<int> backwards;
  for (int i = 0; i < 10; i++) few[i] = i;
  for (int i = 0; i < 100; i++) some[i] = i, named["key " + std::to_string(i)] = i;
  for (int i = 0; i < 500; i++) more[i * 7919 % 503] = i, backwards.insert(-i);
  std::list<int> listed;
  std::list<std::string> texts;
  std::forward_list<int> forward;
  std::unordered_map<int, int> hashed;
  std::unordered_set<std::string> names;
  const char *words[60];
  for (int i = 0; i < 100; i++) {
    listed.push_back(i), forward.push_front(i), hashed[i] = i;
    texts.push_back("a text that is not short, " + std::to_string(i)), names.insert("name " + std::to_string(i));
  }
  for (int i = 0; i < 60; i++) words[i] = strdup(("word " + std::to_string(i)).c_str());
  if (argc > 1) lists(listed, texts, forward, hashed, names, words);
  many(few, some, more, named, backwards);
}`;

const rustSource = `
use std::collections::{BTreeMap, HashMap};
#[inline(never)]
fn many(table: &HashMap<u64, u64>, few: &BTreeMap<u64, u64>, some: &BTreeMap<u64, u64>) -> usize {
    unsafe { core::arch::asm!("ud2") };
    table.len() + few.len() + some.len()
}
fn main() {
    let table: HashMap<u64, u64> = (0..100).map(|i| (i, i)).collect();
    let few: BTreeMap<u64, u64> = (0..50).map(|i| (i, i)).collect();
    let some: BTreeMap<u64, u64> = (0..200).map(|i| (i, i)).collect();
    std::process::exit(many(&table, &few, &some) as i32);
}`;

/** How many elements of each parameter are shown, of how many, where only what the plan brings is there. */
function shown(source: string, toolchain: Toolchain, ...args: string[]): Record<string, string> {
  const core = crashCore(compileNative(source, 'far', toolchain), args);
  onTestFinished(() => core[Symbol.dispose]());
  const snapshot = openSnapshot(core.path);
  onTestFinished(() => snapshot[Symbol.dispose]());
  const [thread] = snapshot.threads;
  const [frame] = thread === undefined ? [] : threadStack(snapshot, thread).frames;
  const symbols = frame?.frame.module?.symbols();
  const registers = thread?.registers?.registers;
  if (thread === undefined || frame === undefined || registers === undefined) throw new Error('no frame');
  if (symbols === undefined || isAbsent(symbols)) throw new Error('no symbols');
  const { plan } = planPoint({ symbols, modulePath: symbols.path, location: `*${hex(frame.pc)}` });
  const [site] = plan.sites;
  if (site === undefined) throw new Error('no site');
  const { ranges } = runPlanSite(site, { registers, memory: snapshot.memory, maxBytes: rangeBytes(plan) });
  const brought = memoryOf(...ranges);
  const stack = frame.frame.registers.value(snapshot.architecture.stackPointer);
  if (isAbsent(stack)) throw new Error(stack.detail);
  // A point brings the stack above its frame as well.
  const memory: MemoryReader = {
    read: (address, length) =>
      address >= stack && address < stack + 4096n
        ? snapshot.memory.read(address, length)
        : brought.read(address, length),
  };
  const part = Object.defineProperty(Object.create(snapshot) as typeof snapshot, 'memory', { value: memory });
  return Object.fromEntries(
    (frame.source?.scope?.variables ?? [])
      .filter(({ parameter }) => parameter)
      .map(({ name }) => {
        const value = evaluateText(name, part, thread, frame);
        const document = renderValue(value, { ...renderContext(part, frame), path: name });
        const { elements, length } = document.target ?? document;
        // An element of an array is there anyhow; what it leads to is not.
        const whole = elements?.filter((element) => !JSON.stringify(element).includes('"absent"'));
        return [name, `${whole?.length} of ${length}`];
      }),
  );
}

describe('near nodes', () => {
  test.each([
    ['libstdc++', cplusplus('g++', '-O0', '-no-pie', '-w')],
    ['libc++', cplusplus('clang++', '-O0', '-no-pie', '-w', '-stdlib=libc++')],
  ])('of trees of %s', (_, toolchain) => {
    // How far it goes beyond what fits whole the shape of the tree decides.
    expect(shown(cplusplusSource, toolchain)).toEqual({
      few: '10 of 10',
      some: '16 of 100',
      more: '13 of 500',
      named: '16 of 100',
      backwards: '9 of 500',
    });
  });

  test.each([
    ['libstdc++', cplusplus('g++', '-O0', '-no-pie', '-w')],
    ['libc++', cplusplus('clang++', '-O0', '-no-pie', '-w', '-stdlib=libc++')],
  ])('of lists, hash tables and arrays of pointers all, of %s', (_, toolchain) => {
    expect(shown(cplusplusSource, toolchain, 'lists')).toEqual({
      listed: '100 of 100',
      texts: '100 of 100',
      forward: '100 of 100',
      hashed: '100 of 100',
      names: '100 of 100',
      words: '60 of 60',
    });
  });

  test('of tables and trees of Rust', () => {
    // A hundred elements are shown.
    expect(shown(rustSource, rustc('-C', 'relocation-model=static'))).toEqual({
      table: '100 of 100',
      few: '50 of 50',
      some: '100 of 200',
    });
  });
});
