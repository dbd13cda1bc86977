/**
 * Plans as the planner makes them (arguments, locals, strings, containers, what pointers lead to, the stack) on real programs, by uprobe and ptrace: the same
 * bytes, and the same core file.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { CapturedProcess } from '../../../../agent/tracer/client.js';
import { planPoint } from '../../../../controller/planner/plan.js';
import type { Capture } from '../../../../format/capture.js';
import { compileC } from '../../../support/compile-c.js';
import { compileNative, cplusplus, go, rustc } from '../../../support/compile-native.js';
import { openSymbols } from '../../../support/open-symbols.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { openToldTracer } from '../../../support/told-tracer.js';
import { agreedOf, commonRegisters, coreOf } from './compare.js';

const c = `#include <stdio.h>
struct item { long price; const char *name; struct item *next; };
struct order { int id; struct item *items; char note[24]; double total; };
__attribute__((noinline, noipa)) double handle(struct order *order, int pass) {
  double sum = pass;
  for (struct item *item = order->items; item; item = item->next) sum += item->price;
  order->total = sum;
  return sum;
}
int main(void) {
  struct item last = { 3, "last", 0 }, first = { 5, "first of all", &last };
  struct order order = { 7, &first, "a note", 0 };
  char line[16];
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    for (int pass = 0; pass < 10; pass++) handle(&order, pass);
    puts("done"); fflush(stdout);
  }
}
`;

const cplus = `#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>
struct order { int id; std::string name; std::vector<std::string> items; std::map<int, std::string> notes; std::unique_ptr<long> total; };
__attribute__((noinline, noipa)) long handle(order &order, int pass) { return *order.total + pass; }
int main() {
  order order{7, "a name that is longer than what fits", {"one", "two", "and a third one which is long"}, {{1, "x"}, {2, "yy"}}, std::make_unique<long>(42)};
  char line[16];
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    for (int pass = 0; pass < 10; pass++) handle(order, pass);
    puts("done"); fflush(stdout);
  }
}
`;

const rust = `use std::collections::BTreeMap;
use std::io::BufRead;
pub struct Order { id: u32, name: String, items: Vec<String>, notes: BTreeMap<u32, &'static str>, total: Option<Box<u64>> }
#[inline(never)]
#[no_mangle]
pub fn handle(order: &Order, pass: i32) -> u64 {
    order.total.as_ref().map(|t| **t).unwrap_or(0) + order.items.len() as u64 + order.id as u64 + pass as u64 + order.name.len() as u64 + order.notes.len() as u64
}
fn main() {
    let order = Order { id: 7, name: "a name".to_string(), items: vec!["one".to_string(), "two".to_string()], notes: BTreeMap::from([(1, "x"), (2, "yy")]), total: Some(Box::new(42)) };
    println!("ready");
    for _ in std::io::stdin().lock().lines() {
        for pass in 0..10 { std::hint::black_box(handle(std::hint::black_box(&order), pass)); }
        println!("done");
    }
}
`;

const goSource = `package main

import (
	"bufio"
	"fmt"
	"os"
)

type order struct {
	id    int
	name  string
	items []string
	notes map[string]int
	total *int
	any   interface{}
}

//go:noinline
func handle(o *order, pass int) int {
	return o.id + pass + len(o.items) + *o.total
}

func main() {
	total := 42
	o := &order{7, "a name", []string{"one", "two"}, map[string]int{"x": 1, "yy": 2}, &total, "held"}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		for pass := 0; pass < 10; pass++ {
			handle(o, pass)
		}
		fmt.Println("done")
	}
}
`;

interface Row {
  readonly what: string;
  readonly path: () => string;
  readonly location: string;
  readonly captures: readonly string[];
  /** It handles all signals that could announce hardware breakpoints: code is patched, which cannot be done where a uprobe is. */
  readonly oneAfterTheOther?: boolean;
}

const rows: readonly Row[] = [
  {
    what: 'C',
    path: () => compileC(c, { name: 'orders' }),
    location: 'handle',
    captures: ['*order', 'order->items->name', 'order->items->next->name', 'order->note'],
  },
  {
    what: 'C++',
    path: () => compileNative(cplus, 'orders', cplusplus('g++', '-O1')),
    location: 'handle',
    captures: ['order', 'order.name', 'order.items', 'order.notes'],
  },
  {
    what: 'Rust',
    path: () => compileNative(rust, 'orders', rustc('-O')),
    location: 'handle',
    captures: ['order', '*order', 'order.name', 'order.items'],
  },
  {
    what: 'Go',
    path: () => compileNative(goSource, 'orders', go()),
    location: 'main.handle',
    captures: ['*o', 'o.name', 'o.items'],
    oneAfterTheOther: true,
  },
];

const folder = mkdtempSync(join(tmpdir(), 'stillframe-same-'));
const told = openToldTracer({ journalFolder: folder });
const { tracer } = told;
let hits: CapturedProcess[] = [];
tracer.listen({
  hit: (_, captured) => void hits.push(captured),
  ended: () => undefined,
  restarted: () => undefined,
});
beforeEach(() => {
  hits = [];
});
afterAll(async () => {
  await told[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function pass(program: RunningProgram): Promise<void> {
  program.child.stdin.write('go\n');
  expect(await program.nextLine()).toBe('done');
}

/** Without the stack, which a runtime uses between one passage and the next. */
function withoutStack(capture: Capture): Pick<Capture, 'ranges' | 'missing'> {
  return { ...capture, ranges: capture.ranges.filter(({ path }) => !path.startsWith('stack of ')) };
}

test.each(rows)('a plan for $what', async (row) => {
  const { path, location, captures, oneAfterTheOther: apart = false } = row;
  const program = path();
  const { plan } = planPoint({
    symbols: openSymbols(program),
    modulePath: program,
    location,
    condition: 'pass == 5',
    captures,
  });
  await using target = startProgram(program);
  await target.nextLine();
  for (const engine of ['uprobe', 'ptrace'] as const) {
    const request = { pointId: engine, pid: target.pid, plan, engine, maxHits: 10, minIntervalNs: 0n };
    const armed = await tracer.arm(request);
    expect(armed.engine).toBe(engine);
    if (!apart) continue;
    await pass(target);
    while (hits.every(({ capture }) => capture.engine !== engine)) await sleep(5);
    await tracer.disarm(engine, target.pid);
  }
  if (!apart) await pass(target);
  while (hits.length < 2) await sleep(5);
  const uprobe = hits.find(({ capture }) => capture.engine === 'uprobe');
  const ptrace = hits.find(({ capture }) => capture.engine === 'ptrace');
  if (uprobe === undefined || ptrace === undefined) throw new Error('one of them brought two');

  expect(uprobe.capture.ranges.length).toBeGreaterThan(3);
  const [thread, peer] = [uprobe, ptrace].map(({ capture }) => capture.threads[0]);
  if (apart) {
    expect(agreedOf(withoutStack(ptrace.capture))).toEqual(agreedOf(withoutStack(uprobe.capture)));
    return;
  }
  expect(agreedOf(ptrace.capture)).toEqual(agreedOf(uprobe.capture));
  expect(commonRegisters(peer, thread)).toBe(commonRegisters(thread, peer));
  const [core, other] = [coreOf(uprobe), coreOf(ptrace)];
  expect({ segments: other.segments, told: other.told }).toEqual({
    segments: core.segments,
    told: core.told,
  });
});
