/** A program that is small enough to be mutated as a whole, and has one of everything; and the core of its crash. */
import { readFileSync } from 'node:fs';
import { bufferSource, openElf } from '../../format/elf/open.js';
import type { ElfFile } from '../../format/elf/file.js';
import { compileC } from '../support/compile-c.js';
import { crashCore } from '../support/core.js';

const source = `
enum color { RED = 1, GREEN = 2, BLUE = 40 };
typedef int count;
struct node {
  struct node *next; enum color color; unsigned flags : 3; int low : 5;
  union { int i; float f; } u; char name[8]; double d; const char *text; int (*function)(int);
};
static struct node tail = {0, GREEN, 5, -3, {7}, "tail", 0.5, "text", 0};
struct node head = {&tail, RED, 1, 1, {.f = 1.5f}, "head", 2.25, 0, 0};
int numbers[2][3] = {{1, 2, 3}, {4, 5, 6}};
volatile int sink;
static inline __attribute__((always_inline)) int square(int x) { int y = x * x; sink += y; return y; }
__attribute__((noinline)) int search(struct node *list, count wanted, double ratio) {
  int steps = 0;
  int some[(wanted & 7) | 1];
  for (int i = 0; i < (int)(sizeof some / sizeof *some); i++) some[i] = i * wanted;
  for (struct node *at = list; at; at = at->next) {
    long double wide = ratio;
    steps += square(at->u.i) + some[0] + (int)wide;
    if (at->color == GREEN) *(volatile int *)0 = steps;
  }
  return steps;
}
__attribute__((noinline)) int outer(int seed) { int kept = seed * 3; return search(&head, seed, 1.5) + kept; }
void _start(void) { sink = outer(3); for (;;) {} }
`;

export interface Build {
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly elf: ElfFile;
}

const plain = ['-nostdlib', '-static', '-w', '-fno-stack-protector', '-Wl,--build-id'];
const flags: Readonly<Record<string, readonly [string, ...string[]]>> = {
  gcc5: ['gcc', '-O2', '-g', '-gdwarf-5'],
  gcc4: ['gcc', '-O1', '-g', '-gdwarf-4', '-fdebug-types-section', '-gpubnames'],
  clang5: ['clang', '-O2', '-g', '-gdwarf-5', '-gpubnames'],
  frame: ['gcc', '-O2', '-g', '-gdwarf-3', '-fno-asynchronous-unwind-tables'],
};

const made = new Map<string, Build>();

export const buildNames: readonly string[] = Object.keys(flags);

export function build(name: string): Build {
  const known = made.get(name);
  if (known !== undefined) return known;
  const [compiler = 'gcc', ...options] = flags[name] ?? [];
  const path = compileC(source, { name: `fuzzed-${name}`, compiler, flags: [...options, ...plain] });
  const bytes = new Uint8Array(readFileSync(path));
  const result = { name, path, bytes, elf: openElf(bufferSource(path, bytes)) };
  made.set(name, result);
  return result;
}

/** The core that the kernel wrote of a crash. */
export function coreOf(name: string): Uint8Array {
  using core = crashCore(build(name).path, []);
  return new Uint8Array(readFileSync(core.path));
}

/** The file with other bytes for a section: they stand at its end, and the section header leads there. */
export function withSection({ bytes, elf }: Build, section: string, contents: Uint8Array): Uint8Array {
  const index = elf.sections.findIndex((each) => each.name === section);
  if (index < 0) throw new Error(`no section ${section}`);
  const file = new Uint8Array(bytes.length + contents.length);
  file.set(bytes);
  file.set(contents, bytes.length);
  const view = new DataView(file.buffer);
  const header = Number(view.getBigUint64(40, true)) + index * 64;
  view.setBigUint64(header + 24, BigInt(bytes.length), true);
  view.setBigUint64(header + 32, BigInt(contents.length), true);
  return file;
}
