/** Programs for comparison with gdb, made of every kind of type, variable and scope that C (as gcc and clang have it) knows. */
import { Chance } from './chance.js';
import { TypeMaker, type CType } from './generate-types.js';

export interface GeneratedProgram {
  readonly main: string;
  /** A shared library that it is linked with. */
  readonly library?: string;
  /** One that it opens itself. */
  readonly plugin?: string;
}

export function generateProgram(seed: number): GeneratedProgram {
  return new ProgramMaker(seed).make();
}

const prelude = `#define _GNU_SOURCE
#include <complex.h>
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uchar.h>
#include <unistd.h>
#include <wchar.h>
#undef I

volatile unsigned long sink;
int int_array[7] = {1, -2, 3, -4, 5, -6, 7};
int *int_pointer = &int_array[1];
const char *some_text = "some text";
unsigned char random_bytes[4096];
static unsigned long state = 88172645463325252ul;
static __attribute__((noinline)) void keep(const volatile void *at, unsigned long size)
{
  for (unsigned long i = 0; i < size; i++) sink = sink * 31 + ((const volatile unsigned char *)at)[i];
}
static __attribute__((noinline)) void fill(volatile void *at, unsigned long size)
{
  for (unsigned long i = 0; i < size; i++) {
    state ^= state << 13; state ^= state >> 7; state ^= state << 17;
    ((volatile unsigned char *)at)[i] = state >> 11;
  }
}
static int callee(int number, char *text) { sink += number; return number * 3 + (text != 0); }
int (*global_function)(int, char *) = callee;
static int old_style(a, b, c) int a; char b; float c; { sink += a + b + (int)c; return a; }
extern __thread int library_thread_local;
int library_call(int depth, int (*back)(int));
struct unknown;
`;

const library = `__thread int library_thread_local = 77;
static __thread long library_static_tls[3] = {1, 2, 3};
static int calls;
struct library_state { int id; unsigned flags : 3; const char *name; };
static struct library_state library_state = {5, 3, "library"};
int library_call(int depth, int (*back)(int))
{
  static int times = 10;
  struct library_state copy = library_state;
  library_thread_local += depth;
  library_static_tls[depth % 3] += copy.id;
  calls++;
  times--;
  int result = back == 0 ? depth : back(depth + calls);
  return result + times + library_static_tls[0];
}
`;

const plugin = `#include <stdlib.h>
static __thread struct { int a; char text[8]; } plugin_tls = {3, "plugin"};
__thread double plugin_number = 2.5;
int plugin_call(int depth, int (*back)(int))
{
  int local = depth * 2;
  plugin_tls.a += local;
  plugin_number *= 2;
  return back == 0 ? local : back(local) + plugin_tls.a;
}
`;

class ProgramMaker {
  readonly #seed: number;
  readonly #chance: Chance;
  readonly #types: TypeMaker;
  readonly #functions: string[] = [];
  readonly #globals: string[] = [];
  readonly #globalNames: string[] = [];

  constructor(seed: number) {
    this.#seed = seed;
    this.#chance = new Chance(seed);
    this.#types = new TypeMaker(this.#chance);
  }

  make(): GeneratedProgram {
    const chance = this.#chance;
    for (let i = 0; i < 6; i++) this.#types.composite(2);
    for (let i = 0; i < 10; i++) this.#global(i);
    const count = chance.between(3, 6);
    for (let i = count - 1; i >= 0; i--) this.#function(i, count);
    const main = this.#main();
    const usesLibrary = this.#seed % 3 === 0;
    const text = [
      prelude,
      this.#types.definitions.join('\n'),
      this.#globals.join('\n'),
      `static int back(int depth);`,
      ...this.#functions,
      `static int back(int depth) { int twice = depth * 2; if (depth < 3) return f0(depth + 1, 2, 0); sink += twice; return twice; }`,
      main,
    ].join('\n');
    return {
      main: usesLibrary ? text : text.replaceAll(/^.*(library_thread_local;|library_call\(int).*$/gm, ''),
      ...(usesLibrary ? { library, plugin } : {}),
    };
  }

  #global(i: number): void {
    const chance = this.#chance;
    const storage = chance.of(['', 'static ', '__thread ', 'static __thread ', 'static ', '']);
    const type = this.#types.any();
    const name = `g${i}`;
    const simple = type.kind === 'integer' && chance.is(0.7) ? ` = ${this.#types.integerValue()}` : '';
    this.#globals.push(`${storage}${type.declare(name)}${simple};`);
    this.#globalNames.push(name);
  }

  /** Declares a variable; gives statements that make it hold something, and keep it alive. */
  #variable(name: string, type: CType, storage = ''): { before: string; after: string } {
    const chance = this.#chance;
    const { value } = type;
    const isConst = type.declare('x').includes('const');
    if (storage !== '') {
      return {
        before: `${storage}${type.declare(name)}; fill((void *)&${name}, sizeof ${name});`,
        after: `keep(&${name}, sizeof ${name});`,
      };
    }
    if (value !== undefined && (type.kind !== 'aggregate' || chance.is(0.7))) {
      const mixed = type.kind === 'integer' && chance.is(0.4) ? ` + a` : '';
      const declared = `${type.declare(name)} = ${value()}${mixed};`;
      if (type.kind === 'integer' && chance.is(0.6))
        return { before: declared, after: `sink += (unsigned long)${name};` };
      if ((type.kind === 'float' || type.kind === 'complex') && chance.is(0.6))
        return { before: declared, after: `sink += (long)(1 + (double)${name} * 0);` };
      if (chance.is(0.1)) return { before: declared, after: '' };
      return { before: declared, after: `keep(&${name}, sizeof ${name});` };
    }
    const fill = `fill((void *)&${name}, sizeof ${name});`;
    const [member] = type.members ?? [];
    if (member !== undefined && !isConst && chance.is(0.4)) {
      return {
        before: `${type.declare(name)}; memset((void *)&${name}, 0, sizeof ${name}); ${name}.${member} = a;`,
        after: `sink += ${name}.${member};`,
      };
    }
    return { before: `${type.declare(name)}; ${fill}`, after: `keep(&${name}, sizeof ${name});` };
  }

  #block(index: number, depth: number): string {
    const chance = this.#chance;
    const pad = '  '.repeat(depth);
    const befores: string[] = [];
    const afters: string[] = [];
    const count = chance.between(2, 5);
    for (let i = 0; i < count; i++) {
      // Few names, so that inner ones hide outer ones.
      const name = chance.is(0.25) && depth > 1 ? `x${i}` : `x${depth}${i}`;
      const storage = chance.is(0.12) ? chance.of(['static ', 'static __thread ']) : '';
      const { before, after } = this.#variable(name, this.#types.any(2), storage);
      befores.push(pad + before);
      if (after !== '') afters.push(pad + after);
    }
    if (chance.is(0.25)) {
      befores.push(
        `${pad}int n${depth} = 1 + (a & 3); ${chance.of(['int', 'char', 'struct { int p; char q; }', 'long double'])} vla${depth}[n${depth}]; fill(vla${depth}, sizeof vla${depth});`,
      );
      afters.push(`${pad}keep(vla${depth}, sizeof vla${depth});`);
    }
    if (chance.is(0.12)) {
      befores.push(
        `${pad}short grid${depth}[a & 3][2 + (b & 1)]; int (*view${depth})[2 + (b & 1)] = (void *)random_bytes; fill(grid${depth}, sizeof grid${depth});`,
      );
      afters.push(`${pad}keep(grid${depth}, sizeof grid${depth}); keep(&view${depth}, sizeof view${depth});`);
    }
    if (chance.is(0.2)) {
      const text = chance.of([
        String.raw`"ab\0cd"`,
        '""',
        String.raw`"\xff\xfe\x80"`,
        `"caf\\xc3\\xa9"`,
        String.raw`"tab\tquote\"\n"`,
        '"exact"',
      ]);
      befores.push(
        `${pad}char text${depth}[${chance.of(['', '5', '16', '1'])}] = ${text};`.replace(
          '[1] = "ab',
          '[1] = "a" "b',
        ),
      );
      afters.push(`${pad}keep(text${depth}, sizeof text${depth});`);
    }
    if (chance.is(0.12)) {
      befores.push(
        `${pad}wchar_t wide${depth}[] = L"w\\u00e9"; char16_t u16_${depth}[8] = u"u\\u20ac"; char32_t u32_${depth}[] = U"\\U0001f600";`,
      );
      afters.push(
        `${pad}keep(wide${depth}, sizeof wide${depth}); keep(u16_${depth}, 4); keep(u32_${depth}, 4);`,
      );
    }
    const middle: string[] = [];
    if (depth < 4 && chance.is(0.7)) {
      const head = chance.of([`for (int i = 0; i < 2 + (a & 1); i++)`, 'if (sink != 1)', '', 'do']);
      middle.push(
        `${pad}${head} {\n${this.#block(index, depth + 1)}\n${pad}}${head === 'do' ? ' while (sink == 1);' : ''}`,
      );
    }
    if (chance.is(0.6)) middle.push(`${pad}sink += NEXT(a + 1, b, c);`);
    return [...befores, ...middle, ...afters].join('\n');
  }

  #function(index: number, count: number): void {
    const chance = this.#chance;
    const extra = Array.from({ length: chance.between(0, 3) }, () => this.#types.any(2)).filter(
      (type) => type.kind !== 'aggregate' || type.members !== undefined,
    );
    const parameters = [
      'int a',
      'unsigned char b',
      'const char *c',
      ...extra.map((type, i) => type.declare(`p${i}`)),
    ];
    const storage = chance.of([
      'static ',
      'static __attribute__((noinline)) ',
      '__attribute__((noinline)) ',
      'static inline ',
    ]);
    const body = this.#block(index, 1).replaceAll(/NEXT\(([^()]*)\)/g, (_, args: string) =>
      index + 1 < count ? `f${index + 1}(${args})` : `callee(a, (char *)c) + old_style(a, b, 2.5f)`,
    );
    const nested = chance.is(0.2)
      ? `#ifndef __clang__\n  int outer = a * 7; auto int nested(int q); int nested(int q) { int own = q + outer; sink += own; return own + b; }\n  sink += nested(a);\n#endif\n`
      : '';
    const jump = chance.is(0.15)
      ? `  { static void *labels[] = {&&one, &&two}; goto *labels[a & 1]; one: sink++; two: sink++; }\n`
      : '';
    const real = `f${index}${extra.length > 0 ? '_' : ''}`;
    this.#functions.push(
      `${storage}int ${real}(${parameters.join(', ')})\n{\n${nested}${jump}${body}\n  ${extra.map((_, i) => `keep(&p${i}, sizeof p${i});`).join(' ')}\n  return a + (int)sink;\n}`,
    );
    if (extra.length > 0) {
      const declared = extra
        .map(
          (type, i) =>
            `  static ${type.declare(`v${i}`).replaceAll(/\b(const|_Atomic) /g, '')}; fill((void *)&v${i}, sizeof v${i});`,
        )
        .join('\n');
      this.#functions.push(
        `static int f${index}(int a, unsigned char b, const char *c)\n{\n${declared}\n  return ${real}(a, b, c, ${extra.map((_, i) => `v${i}`).join(', ')});\n}`,
      );
    }
  }

  #main(): string {
    const chance = this.#chance;
    const fills = this.#globalNames.map((name) =>
      chance.is(0.6) ? `  fill((void *)&${name}, sizeof ${name});` : `  keep(&${name}, sizeof ${name});`,
    );
    const usesLibrary = this.#seed % 3 === 0;
    const ways = [
      '  sink += f0(argc, 200, some_text);',
      '  pthread_t thread; pthread_create(&thread, 0, worker, (void *)3); pthread_join(thread, 0);',
      '  if (setjmp(environment) == 0) { sink += f0(argc, 7, "jump"); longjmp(environment, 1); }',
      '  signal(SIGUSR1, on_signal); raise(SIGUSR1);',
      ...(usesLibrary
        ? [
            '  sink += library_call(argc, back) + library_thread_local;',
            '  { void *plugin = dlopen("libplugin.so", RTLD_NOW); int (*call)(int, int (*)(int)) = plugin == 0 ? 0 : dlsym(plugin, "plugin_call"); if (call != 0) sink += call(argc, back); }',
          ]
        : []),
    ];
    const first = chance.below(2);
    return `static jmp_buf environment;
static void on_signal(int number) { int in_handler = number * 2; sink += in_handler + f0(number, 1, 0); }
static void *worker(void *argument) { long number = (long)argument; sink += f0((int)number, 9, "thread"); return 0; }
int main(int argc, char **argv)
{
  fill(random_bytes, sizeof random_bytes);
${fills.join('\n')}
${ways.slice(first).concat(ways.slice(0, first)).join('\n')}
${chance.is(0.3) ? '  abort();' : ''}
  return 0;
}`;
  }
}
