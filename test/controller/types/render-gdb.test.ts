import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { absent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import { openElf } from '../../../format/elf/open.js';
import { defaultLimits } from '../../../format/limits.js';
import type { MemoryReader } from '../../../format/memory.js';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import { openModuleSymbols } from '../../../controller/symbols/open.js';
import { renderVariable } from '../../../controller/types/render.js';
import { compileC } from '../../support/compile-c.js';
import { differences, gdbValues } from '../../support/gdb-values.js';

/** Every kind of type, initialised in the file, so that neither side needs a process. */
const source = `
#include <complex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uchar.h>
#include <wchar.h>

enum tier { BRONZE = 1, SILVER, GOLD };
enum flags { NONE, READ = 1, WRITE = 2, SYNC = 8 };
enum fields { ONE = 1, TWO = 2, BOTH_HIGH = 12 };
enum level { LOW = -5, HIGH = 5 };
enum huge { SMALL = 1, LARGE = 0x7fffffffffff };

char c = 'x';
signed char sc = -3;
unsigned char uc = 200;
short s = -1234;
unsigned short us = 54321;
int i = -123456789;
unsigned u = 4000000000u;
long l = -1234567890123456789;
unsigned long ul = 18000000000000000000ul;
long long ll = 1;
__int128 i128 = ((__int128)-5 << 64) + 7;
bool yes = true;
float f1 = 0.1f, f2 = 16777217.0f, f3 = 1e-45f, f4 = __builtin_inff();
double d1 = 0.1, d2 = -1e308, d3 = 5e-324;
double nan_value = __builtin_nan("");
long double ld = 0.5L, ldn = -1234567.25L;
double complex z = 1.5 - 2.5 * I;
wchar_t w = L'w';
char16_t c16 = u'\\u20ac';
char32_t c32 = U'\\U0001f600';
uint8_t u8 = 7;
size_t size = 99;
enum tier tier = GOLD;
enum tier no_tier = (enum tier)77;
enum flags both = READ | WRITE;
enum flags part = (enum flags)5;
enum flags sync = WRITE | SYNC;
enum fields fields = (enum fields)3;
enum level low = LOW;
enum huge large = LARGE;

const char *name = "a name";
char text[16] = "text";
char full[4] = {'f', 'u', 'l', 'l'};
unsigned char bytes[3] = {1, 2, 255};
int row[5] = {1, -2, 3, -4, 5};
int grid[2][3] = {{1, 2, 3}, {4, 5, 6}};
const char *words[3] = {"one", "two", NULL};
int many[150] = {[0] = 1, [99] = 99, [149] = 149};
char long_text[2000] = {[0 ... 1500] = 'y'};

struct bits { unsigned a : 3; int b : 5; unsigned long wide : 40; bool on : 1; enum tier tier : 3; signed char last : 2; };
struct bits bits = {5, -7, 0x123456789a, true, SILVER, -1};
struct bits packed_bits[2] = {{1, 1, 1, 1, BRONZE, 1}, {2, -2, 2, 0, GOLD, 0}};
struct __attribute__((packed)) packed { char a; int b; short c; double d; } packed = {'p', 42, -7, 2.5};

struct node { int id; struct node *next; const char *label; };
extern struct node second;
struct node first = {1, &second, "first"};
struct node second = {2, &first, "second"};
struct node *head = &first;
struct node **handle = &head;

struct variant {
  int kind;
  union { long number; double real; char *string; struct { short x, y; }; };
  struct { int inner; } named;
  struct { int anonymous; };
} variant = {2, {.real = 3.5}, {4}, {5}};
union either { int number; unsigned char bytes[4]; } either = {0x01020304};
struct empty { } empty;
struct nested { struct { struct { int deep; } b; } a; int after[2][2]; } nested = {{{9}}, {{1, 2}, {3, 4}}};
struct opaque;
struct opaque *opaque = (struct opaque *)0x1234;
void *anything = &first;
int handler(int a, char *b) { return a + (b != 0); }
int (*callback)(int, char *) = handler;
int (*table[2])(int, char *) = {handler, NULL};
const volatile int cv = 3;
typedef struct node node_t;
node_t copy = {3, NULL, NULL};
const node_t *const constant = &copy;
int *pointers[2] = {&row[1], &row[4]};
int (*row_pointer)[5] = &row;
int main(void) { return c; }
`;

test.each<['gcc' | 'clang', string]>([
  ['gcc', '-gdwarf-5'],
  ['gcc', '-gdwarf-4'],
  ['clang', '-gdwarf-5'],
  ['clang', '-gdwarf-4'],
])('values of %s %s are those of gdb', { timeout: 240_000 }, (compiler, version) => {
  const flags = ['-O0', '-g', version, '-no-pie', '-fno-pie', '-w'];
  const program = compileC(source, { name: 'kinds', flags, compiler });
  const file = readFileSync(program);
  const elf = openElf({
    name: program,
    size: file.length,
    read: (offset, length) => file.subarray(offset, offset + length),
  });
  const symbols = openModuleSymbols(elf, program, openCallFrames(elf));
  const memory: MemoryReader = {
    read: (address, length) => {
      const bytes = elf.bytesAt(address, length);
      return bytes === undefined
        ? absent('not-captured', 'not in the file', { address })
        : { bytes, provenance: 'file' };
    },
  };
  const globals = [...new Set(symbols.globalNames())].filter((name) => !name.startsWith('_')).toSorted();
  expect(globals.length).toBeGreaterThan(60);
  const theirs = gdbValues({ program, expressions: globals, depth: 3 });
  const found = globals.flatMap((name, i) => {
    const [symbol] = symbols.findGlobals(name);
    const location = symbol?.locationAt(linkAddress(0n));
    if (
      symbol === undefined ||
      location === undefined ||
      !('kind' in location) ||
      location.kind !== 'expression'
    ) {
      return [`${name}: no location`];
    }
    const address = addressOf(location.expression, symbol.unit?.addressByIndex);
    const ours = renderVariable(
      name,
      { type: symbol.type(), place: { kind: 'memory', address } },
      { memory, limits: { ...defaultLimits, maxStringBytes: 4096 } },
    );
    return differences(ours, theirs[i] ?? { error: 'no answer' }, name);
  });
  expect(found).toEqual([]);
});

/** DW_OP_addr, or DW_OP_addrx of clang. */
function addressOf(expression: Uint8Array, byIndex?: (index: number) => unknown): bigint {
  const view = new DataView(expression.buffer, expression.byteOffset, expression.byteLength);
  if (expression[0] === 0x03) return view.getBigUint64(1, true);
  const address = byIndex?.(expression[1] ?? 0);
  if (typeof address !== 'bigint') throw new Error('the location is not an address');
  return address;
}
