/** Every frame of cores, in gdb's own settings: to main, with the functions that left by tail calls, in programs packed and stripped in many ways. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compareFrames, type FrameTally } from '../../support/compare-frames.js';
import { compileFixture } from '../../support/compile.js';
import { compileC } from '../../support/compile-c.js';
import { compileNative, cplusplus, go, rustc } from '../../support/compile-native.js';
import { crashCore } from '../../support/core.js';

function compareCrash(program: string, args: readonly string[], options = {}): FrameTally {
  using core = crashCore(program, args);
  return compareFrames(program, core.path, options);
}

describe('tail calls', () => {
  const flags = (dwarf: string): string[] => ['-g', '-w', '-O2', dwarf];
  /** How many frames of functions that are gone gdb shows in the program itself. */
  const expected = [
    ['one', 1],
    ['chain', 3],
    ['fork', 1],
    ['either', 0],
    ['around', 1],
    ['inlined', 1],
    ['library', 1],
    ['pointer', 0],
    ['pieces', 1],
    ['many', 1],
    ['saves', 3],
    ['main', 0],
  ] as const;

  test.each(expected)('by gcc: %s', (mode, tailCalls) => {
    const program = compileFixture('frames/tails.c', { cc: 'gcc', flags: flags('-gdwarf-5') });
    const tally = compareCrash(program, [mode]);
    expect(tally.differences).toEqual([]);
    expect(tally.withheld).toEqual([]);
    expect(tally.tailCalls).toBe(tailCalls);
  });

  test.each(['chain', 'fork', 'either', 'saves'])('by clang, DWARF 4: %s', (mode) => {
    const program = compileFixture('frames/tails.c', { cc: 'clang', flags: flags('-gdwarf-4') });
    expect(compareCrash(program, [mode]).differences).toEqual([]);
  });
});

/** A jump into the void, from a function that is itself called through a pointer; and one to an address that never was code. */
const wild = `
#include <stdlib.h>
#include <string.h>
volatile int sink;
__attribute__((noinline)) static int jump(int (*to)(int), int value) { sink = value; return to(value) + sink; }
__attribute__((noinline)) static int below(int (*to)(int)) { int kept = sink + 3; return jump(to, 4) + kept; }
static char data[64];
int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "null") == 0) return below(NULL);
  if (argc > 1 && strcmp(argv[1], "data") == 0) return below((int (*)(int))data);
  return below((int (*)(int))0x12345678);
}
`;

describe('a call to what is no code', () => {
  test.each(['null', 'data', 'nowhere'])('%s', (mode) => {
    for (const opt of ['-O0', '-O2']) {
      const program = compileC(wild, { name: 'wild', flags: ['-g', opt] });
      expect(compareCrash(program, [mode], { names: false }).differences).toEqual([]);
    }
  });
});

describe('packed and stripped', () => {
  const packings = [
    ['.debug_frame only', ['-fno-asynchronous-unwind-tables'], []],
    ['.debug_frame, compressed', ['-fno-asynchronous-unwind-tables', '-gz=zlib'], []],
    ['stripped', [], ['strip']],
    ['static and stripped', ['-static'], ['strip']],
    ['without .eh_frame_hdr', ['-static', '-Wl,--no-eh-frame-hdr'], []],
  ] as const;

  test.each(packings)('%s', (_, flags, commands) => {
    const built = compileFixture('frames/tails.c', { cc: 'gcc', flags: ['-g', '-w', '-O2', ...flags] });
    const folder = mkdtempSync(join(tmpdir(), 'packed-'));
    try {
      const program = join(folder, 'program');
      copyFileSync(built, program);
      for (const command of commands) execFileSync(command, [program]);
      for (const mode of ['chain', 'many']) {
        const tally = compareCrash(program, [mode]);
        expect(tally.differences).toEqual([]);
        expect(tally.frames).toBeGreaterThan(5);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('.debug_frame in a separate file', () => {
    const flags = ['-g', '-w', '-O2', '-fno-asynchronous-unwind-tables', '-Wl,--build-id'];
    const built = compileFixture('frames/tails.c', { cc: 'gcc', flags });
    const folder = mkdtempSync(join(tmpdir(), 'packed-'));
    try {
      const program = join(folder, 'program');
      copyFileSync(built, program);
      execFileSync('objcopy', [
        '--only-keep-debug',
        '--compress-debug-sections',
        program,
        `${program}.debug`,
      ]);
      execFileSync('strip', [program]);
      execFileSync('objcopy', [`--add-gnu-debuglink=${program}.debug`, program]);
      const tally = compareCrash(program, ['chain'], { debugFiles: true });
      expect(tally.differences).toEqual([]);
      expect(tally.tailCalls).toBeGreaterThanOrEqual(3);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

const inCplusplus = `
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <vector>
#define NI __attribute__((noinline))
volatile int sink;
struct A { virtual ~A() {} virtual int f(int x) { return x; } int a = 1; };
struct B { virtual ~B() {} virtual int g(int x) { return x + 1; } int b = 2; };
struct C : virtual A, B { int f(int x) override; int g(int x) override; int c = 3; };
NI void die() { std::abort(); }
NI int C::f(int x) { if (x > 2) die(); return x + c; }
NI int C::g(int x) { if (x > 2) die(); return x + b; }
NI int through_b(B *b, int x) { return b->g(x) + 1; }
NI int through_a(A *a, int x) { return a->f(x) + 1; }
struct Guard { ~Guard() { if (sink > 5) die(); } };
NI void thrower(int x) { Guard guard; sink = 6; if (x) throw std::runtime_error("x"); }
NI int must_not(int x) noexcept { if (x) throw 5; return 1; }
NI int run(const std::function<int(int)> &f) { return f(3) + 1; }
int main(int argc, char **argv) {
  const char *mode = argv[1];
  C c;
  if (!std::strcmp(mode, "lambda")) return run([argc](int v) { if (v == 3) die(); return v + argc; });
  if (!std::strcmp(mode, "thunk")) return through_b(&c, argc + 2);
  if (!std::strcmp(mode, "virtual thunk")) return through_a(&c, argc + 2);
  if (!std::strcmp(mode, "in flight")) { try { thrower(argc); } catch (...) { return 1; } }
  if (!std::strcmp(mode, "uncaught")) return must_not(argc);
  if (!std::strcmp(mode, "sort")) {
    std::vector<int> v{3, 1, 2, 5, 4};
    std::sort(v.begin(), v.end(), [](int a, int b) { if (a == 5 || b == 5) die(); return a < b; });
  }
  return 0;
}
`;

const inRust = `
use std::thread;
trait Shape { fn area(&self, k: i32) -> i32; }
struct Square { side: i32 }
impl Shape for Square { #[inline(never)] fn area(&self, k: i32) -> i32 { die(self.side * k) } }
#[inline(never)] fn die(x: i32) -> i32 { if x > 1 { std::process::abort() } else { x } }
#[inline(never)] fn deep(n: i32, s: &dyn Shape) -> i32 { if n == 0 { return s.area(n + 5); } deep(n - 1, s) + 1 }
fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match mode.as_str() {
        "deep" => println!("{}", deep(3, &Square { side: 4 })),
        "thread" => { thread::spawn(|| deep(2, &Square { side: 3 })).join().unwrap(); }
        "sort" => { let mut v = vec![3, 1, 2, 9, 4]; v.sort_by(|a, b| { die(a + b); a.cmp(b) }); }
        _ => {}
    }
}
`;

const inGo = `
package main

import (
	"os"
	"sort"
	"time"
)

//go:noinline
func die(x int) int {
	if x > 1 {
		var p *int
		return *p
	}
	return x
}

//go:noinline
func deep(n int) int {
	if n == 0 {
		return die(n + 5)
	}
	return deep(n-1) + 1
}

func main() {
	go func() { time.Sleep(time.Hour) }()
	time.Sleep(10 * time.Millisecond)
	switch os.Args[1] {
	case "deep":
		deep(3)
	case "sort":
		v := []int{3, 1, 2}
		sort.Slice(v, func(i, j int) bool { return die(v[i]+5) > 0 })
	}
}
`;

describe('other languages', () => {
  test.each(['lambda', 'thunk', 'virtual thunk', 'in flight', 'uncaught', 'sort'])('C++: %s', (mode) => {
    for (const command of ['g++', 'clang++'] as const) {
      const program = compileNative(inCplusplus, 'cplusplus', cplusplus(command, '-O2', '-w'));
      expect(compareCrash(program, [mode], { names: false }).differences).toEqual([]);
    }
  });

  test.each(['deep', 'thread', 'sort'])('Rust: %s', (mode) => {
    const program = compileNative(inRust, 'rust', rustc('-O', '-C', 'panic=abort'));
    expect(compareCrash(program, [mode]).differences).toEqual([]);
  });

  /** Where a goroutine's or a thread's own stack begins gdb reads on, into what is not the stack any more. */
  const pastTheEnd = /ours nothing \((the end|no call leads to|0x[0-9a-f]+ is not in any module)|runtime\[/;
  /** It takes the code of Go's signal return for a function like any other, and what lies on the signal's stack for its caller. */
  const pastTheSignal = /ours 0x[0-9a-f]+ signal <signal handler called>|gdb 0x[0-9a-f]{1,2} normal \?\?/;

  test.each(['deep', 'sort'])('Go: %s', (mode) => {
    const program = compileNative(inGo, 'golang', go());
    using core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program, mode]);
    const tally = compareFrames(program, core.path);
    expect(tally.differences.filter((each) => !pastTheEnd.test(each) && !pastTheSignal.test(each))).toEqual(
      [],
    );
    expect(tally.frames).toBeGreaterThan(20);
  });
});
