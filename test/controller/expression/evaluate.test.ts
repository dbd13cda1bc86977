import { describe, expect, test } from 'vitest';
import { checkExpression } from '../../../controller/expression/check.js';
import { evaluate } from '../../../controller/expression/evaluate.js';
import type { EvaluationFrame } from '../../../controller/expression/scope.js';
import { isAbsent } from '../../../format/absent.js';
import * as t from '../../support/types.js';
import { orderAddress, orderProgram, stackAddress } from './order.js';
import type { Program } from './program.js';
import { show } from './show.js';

const rows = (table: string): (readonly [string, string])[] =>
  table
    .trim()
    .split('\n')
    .map((line) => {
      const [expression = '', result = ''] = line.split(' => ');
      return [expression.trim(), result.trim()];
    });

const literals = `
  0 => int 0
  2147483647 => int 2147483647
  2147483648 => long 2147483648
  0x7fffffff => int 2147483647
  0xffffffff => unsigned int 4294967295
  0x100000000 => long 4294967296
  037777777777 => unsigned int 4294967295
  0b101 => int 5
  9223372036854775807 => long 9223372036854775807
  9223372036854775808 => unsigned long 9223372036854775808
  0xffffffffffffffff => unsigned long 18446744073709551615
  1u => unsigned int 1
  1U => unsigned int 1
  4294967296u => unsigned long 4294967296
  1l => long 1
  1ul => unsigned long 1
  1lu => unsigned long 1
  1LL => long long 1
  1ull => unsigned long long 1
  1.5 => double 1.5
  1.5f => float 1.5
  0.1f => float 0.10000000149011612
  1e3 => double 1000
  .5 => double 0.5
  1. => double 1
  0x1.8p1 => double 3
  2.5L => long double 2.5
  'a' => char 97
  '\\n' => char 10
  '\\xff' => char -1
  '\\0' => char 0
  '\\101' => char 65
  "abc" => char [4] = 61626300
  "a" "b" => char [3] = 616200
  "é" => char [3] = c3a900
  "\\x41\\n" => char [3] = 410a00
  true => _Bool 1
  false => _Bool 0
  NULL => void * 0x0
  nullptr => void * 0x0
`;

const arithmetic = `
  1 + 2 => int 3
  7 / 2 => int 3
  -7 / 2 => int -3
  -7 % 2 => int -1
  7 % -2 => int 1
  7 / -2 => int -3
  -7 => int -7
  - -7 => int 7
  +'a' => int 97
  ~0 => int -1
  ~0u => unsigned int 4294967295
  !0 => int 1
  !5 => int 0
  !0.0 => int 1
  !nothing => int 1
  2147483647 + 1 => int -2147483648
  4294967295u + 1 => unsigned int 0
  1u - 2 => unsigned int 4294967295
  1ul - 2 => unsigned long 18446744073709551615
  -1 < 1u => int 0
  -1l < 1u => int 1
  -1 < 1ul => int 0
  -1 == 4294967295u => int 1
  1 << 31 => int -2147483648
  1u << 31 => unsigned int 2147483648
  1 << 32ul => absent unsupported: a shift of a 32-bit value by 32 is undefined (in 1 << 32ul)
  1 >> -1 => absent unsupported: a shift of a 32-bit value by -1 is undefined (in 1 >> -1)
  -8 >> 1 => int -4
  0xfffffff8u >> 1 => unsigned int 2147483644
  1l << 40 => long 1099511627776
  6 & 3 => int 2
  6 | 3 => int 7
  6 ^ 3 => int 5
  1 / 0 => absent unsupported: division by zero (in 1 / 0)
  1 % 0 => absent unsupported: division by zero (in 1 % 0)
  1 / 0.0 => double Infinity
  0.0 / 0.0 => double NaN
  1 ? 2 : 3 => int 2
  0 ? 2 : 3l => long 3
  1 ? 2 : 3.0 => double 2
  1 + 2 * 3 => int 7
  (1 + 2) * 3 => int 9
  1 - 2 - 3 => int -4
  100 / 10 / 5 => int 2
  1 << 2 + 1 => int 8
  1 | 2 == 2 => int 1
  1 < 2 < 3 => int 1
  0 ? 1 : 0 ? 2 : 3 => int 3
  1 && 0 || 1 => int 1
  1 || 1 / 0 => int 1
  0 && 1 / 0 => int 0
  1 && 1 / 0 => absent unsupported: division by zero (in 1 / 0)
  1 ? 5 : 1 / 0 => int 5
  1.5 + 1 => double 2.5
  0.1f + 0.2f => float 0.30000001192092896
  0.1f + 0.2 => double 0.30000000149011613
  16777217 * 1.0f => float 16777216
  1.0f / 3 => float 0.3333333432674408
  (char)300 => char 44
  (unsigned char)-1 => unsigned char 255
  (short)0x18000 => short -32768
  (_Bool)256 => _Bool 1
  (bool)0.5 => _Bool 1
  (int)1e9 => int 1000000000
  (int)-1.9 => int -1
  (int)1e10 => absent unsupported: 10000000000 is outside of the range of the integer type that it is converted to (in (int)1e10)
  (unsigned char)(0.0 / 0.0) => absent unsupported: NaN is outside of the range of the integer type that it is converted to (in (unsigned char)(0.0 / 0.0))
  (float)16777217 => float 16777216
  (float)9007199791611905l => float 9007200328482816
  (double)9007199254740993 => double 9007199254740992
  (__int128)1 << 100 => __int128 1267650600228229401496703205376
  (unsigned __int128)-1 => unsigned __int128 340282366920938463463374607431768211455
  -1 as unsigned int => unsigned int 4294967295
  5 as long * 2 => long 10
  sizeof(int) => unsigned long 4
  sizeof(long double) => unsigned long 16
  sizeof(char[10]) => unsigned long 10
  sizeof(char *[10]) => unsigned long 80
  sizeof(int (*)[3]) => unsigned long 8
  sizeof(int (*)(int, ...)) => unsigned long 8
  sizeof(struct order) => unsigned long 88
  sizeof(order_t) => unsigned long 88
  sizeof 1 + 1 => unsigned long 5
  sizeof "abc" => unsigned long 4
  sizeof(GOLD) => unsigned long 4
  sizeof(unsigned long int) => unsigned long 8
  sizeof(long unsigned) => unsigned long 8
  sizeof(const volatile short *const) => unsigned long 8
`;

const objects = `
  i => int -7
  u => unsigned int 4000000000
  l => long -5000000000
  ul => size_t 18446744073709551600
  c => char 65
  f => float 1.5
  d => double -2.25
  flag => _Bool 1
  ld => long double 1.5
  big => __int128 -1267650600228229401496703205376
  big >> 90 => __int128 -1024
  big < 0 => int 1
  big == -((__int128)1 << 100) => int 1
  ld == 1.5 => int 1
  ld > 1 => int 1
  ld + 1 => long double 2.5
  (double)ld => double 1.5
  f == 1.5 => int 1
  f + d => double -0.75
  f * f => float 2.25
  i + u => unsigned int 3999999993
  i + ul => unsigned long 18446744073709551593
  i < u => int 0
  i < l => int 0
  u > l => int 1
  c + 1 => int 66
  c == 'A' => int 1
  flag + flag => int 2
  -i => int 7
  i / 2 => int -3
  i % 4 => int -3
  u / 7 => unsigned int 571428571
  ul / 10 => unsigned long 1844674407370955160
  ul % 10 => unsigned long 0
  ul >> 60 => unsigned long 15
  l >> 60 => long -1
  order => struct order * 0x7f0000001000
  *order => struct order at 0x7f0000001000
  &*order => struct order * 0x7f0000001000
  order->id => long 42
  order.id => long 42
  (*order).id => long 42
  order[0].id => long 42
  order->total > 10000 => int 1
  order->customer->tier => enum tier 2
  order->customer->tier == GOLD => int 1
  order->customer->tier != SILVER => int 1
  order->customer->tier + 1 => unsigned int 3
  GOLD => enum tier 2
  GOLD - 5 < 0 => int 1
  order->customer->tier - 5 < 0 => int 0
  order.customer.tier == GOLD && order.total > 10000 => int 1
  order->items => short [4] at 0x7f0000001018
  order->items[0] => short 1
  order->items[1] => short -2
  order->items[i + 8] => short -2
  *order->items => short 1
  *(order->items + 2) => short 3
  order->items[order->items[2]] => short 4
  &order->items[1] => short * 0x7f000000101a
  &order->items[3] - order->items => long 3
  order->items == &order->items[0] => int 1
  &order->items => short (*)[4] 0x7f0000001018
  sizeof(order->items) => unsigned long 8
  sizeof order->items[0] => unsigned long 2
  sizeof(order->items) / sizeof(order->items[0]) => unsigned long 4
  order->open => unsigned int 1
  order->level => int -3
  order->level < 0 => int 1
  order->flags => unsigned int 703710
  order->flags - 1000000 < 0 => int 1
  order->wide => unsigned long 864440928475836
  order->count => unsigned int 3000000000
  order->count + 2000000000 => unsigned int 705032704
  order->small => unsigned char 200
  order->small + 100 => int 300
  order->tiny => signed char -100
  (unsigned char)order->tiny => unsigned char 156
  order->raw => unsigned long 4591870180066957722
  order->ratio => double 0.1
  order->customer->score == 0.1 => int 0
  order->customer->score == 0.1f => int 1
  order->customer->score < 0.1 => int 0
  order->customer->balance == 99.5 => int 1
  order->data => void * 0x7f0000003000
  (char *)order->data => char * 0x7f0000003000
  *(char *)order->data => char 65
  ((char *)order->data)[4] => char 76
  order->data as *char => char * 0x7f0000003000
  (order->data as *char)[1] => char 100
  *(unsigned short *)order->data => unsigned short 25665
  (long)order->data => long 139637976739840
  (int)order->data => int 12288
  (struct order *)0x7f0000001000 == order => int 1
  ((struct order *)0x7f0000001000)->id => long 42
  *(long *)0x7f0000001000 => long 42
  (uint8_t)order->total => uint8_t 224
  (order_t *)order => order_t * 0x7f0000001000
  order->opaque => struct hidden * 0x10
  order->opaque == 0x10 => int 1
  order->opaque != NULL => int 1
  order->handler => int (*)(void *) 0x500000001136
  order->handler == main => int 1
  order->handler == &main => int 1
  main => int (void) at 0x500000001136
  &main => int (*)(void) 0x500000001136
  *main => int (void) at 0x500000001136
  nothing => struct order * 0x0
  nothing == NULL => int 1
  nothing == 0 => int 1
  nothing && nothing->id == 1 => int 0
  !nothing || nothing->id => int 1
  nothing ? nothing->id : -1 => long -1
  order ? order->id : 0 => long 42
  &nothing->total => long * 0x10
  order->customer->referrer == NULL => int 1
  &order[1] => struct order * 0x7f0000001058
  order + 1 => struct order * 0x7f0000001058
  order - 1 => struct order * 0x7f0000000fa8
  1 + order => struct order * 0x7f0000001058
  (order + 3) - order => long 3
  order < order + 1 => int 1
  grid => int [2][3] at 0x7ffc00000040
  grid[1] => int [3] at 0x7ffc0000004c
  grid[1][2] => int 50
  *grid[1] => int 30
  **(grid + 1) => int 30
  sizeof grid => unsigned long 24
  sizeof grid[0] => unsigned long 12
  grid[0][5] => int 50
  pair => struct pair = 8877665544332211
  pair.a => int 1432778632
  pair.b => short 13124
  &pair => absent unsupported: pair is not in memory here: it has no address
  total_orders => long 123456
  ::total_orders => long 123456
  'stats.c'::hits => int 7
  gone => absent optimized-out: optimised out here
  gone + 1 => absent optimized-out: optimised out here
  1 ? order : NULL => struct order * 0x7f0000001000
  (1 ? *order : *nothing).id => long 42
  $rip => void (*)() 0x500000401136
  $pc == 0x500000401136 => int 1
  $rax => long 1234605616436508552
  $eax => int 1432778632
  $ax => short 30600
  $al => signed char -120
  $ah => signed char 119
  $rdi == order => int 1
  $rbx => absent unwind-failed: register 3 is not known
  $tid => int 101
  $pid + 1 => int 101
  $comm => char [16] = 776f726b657200000000000000000000
  $comm == "worker" => int 1
  $comm.startsWith("work") => int 1
`;

const texts = `
  order->customer->name == "Ada Lovelace" => int 1
  order->customer->name == "Ada" => int 0
  order->customer->name != "Ada" => int 1
  "Ada Lovelace" == order->customer->name => int 1
  order->customer->name == "Ada Lovelace the first" => int 0
  startsWith(order->customer->name, "Ada") => int 1
  order->customer->name.startsWith("Ada ") => int 1
  order->customer->name.startsWith("Ida") => int 0
  order->customer->name.startsWith("") => int 1
  order->customer->name.contains("Love") => int 1
  contains(order->customer->name, "hate") => int 0
  order->customer->name.matches("^Ada .*ace$") => int 1
  matches(order->customer->name, "^[0-9]+$") => int 0
  order->customer->code == "ABC-1234" => int 1
  order->customer->code == "ABC-12345" => int 0
  order->customer->code == "ABC-123" => int 0
  order->customer->code.startsWith("ABC-") => int 1
  order->customer->code.contains("C-1") => int 1
  order->customer->parts[1] == "Lovelace" => int 1
  (char *)order->data == "Ada Lovelace" => int 1
  order->customer->name[0:3] == "Ada" => int 1
  "abc" == "abc" => int 1
  "abc" == "abd" => int 0
  "abc"[1] => char 98
  !(order->customer->name == "x") && order->total > 1 => int 1
`;

const slices = `
  order->items[0:2] => short [2] at 0x7f0000001018
  order->items[1:] => short [3] at 0x7f000000101a
  order->items[:3] => short [3] at 0x7f0000001018
  order->items[:] => short [4] at 0x7f0000001018
  order->customer->name[4:8] => char [4] at 0x7f0000003004
  order->customer->name @ 3 => char [3] at 0x7f0000003000
  order->customer->name + 4 @ 1 + 2 => char [3] at 0x7f0000003004
  order->customer->parts @ 2 => char *[2] at 0x7f0000004000
  *order->customer->parts @ 2 => char *[2] at 0x7f0000004000
  order->count @ 2 => unsigned int [2] at 0x7f0000001030
  order->items @ i + 9 => short [2] at 0x7f0000001018
  order->items[0:i] => absent limit: order->items[0:i] would have -7 elements
  (order->items[1:3])[1] => short 3
  *order @ 2 => struct order [2] at 0x7f0000001000
`;

describe.each([
  ['literals', literals],
  ['arithmetic', arithmetic],
  ['objects', objects],
  ['texts', texts],
  ['slices', slices],
])('%s', (_name, table) => {
  const program = orderProgram();
  test.each(rows(table))('%s => %s', (expression, result) => {
    expect(show(expression, program)).toBe(result);
  });
});

describe('what is missing', () => {
  const absentOf = (expression: string, program: Program): unknown => {
    const { place } = evaluate(checkExpression(expression, program), program.frame());
    return place.kind === 'absent' ? place.absent : undefined;
  };

  test('names the address, the length, the path and the flag that would bring it', () => {
    const program = orderProgram();
    program.integer(orderAddress + 8n, 0x6000_0000_0000n, 8);
    expect(absentOf('order->customer->tier == GOLD', program)).toEqual({
      absent: 'not-captured',
      detail: 'order->customer->tier was not captured: 4 bytes at 0x600000000008',
      address: 0x6000_0000_0008n,
      length: 4,
      hint: "capture it with --capture 'order->customer->tier'",
    });
    expect(absentOf("'stats.c'::hits + *order->customer->name", program)).toMatchObject({
      detail: 'order->customer->name was not captured: 8 bytes at 0x600000000000',
    });
    // An object is where it is, whether its bytes are there or not; whoever shows it reads them.
    expect(show('order->customer->tier', program)).toBe(
      'absent not-captured: order->customer->tier was not captured: 4 bytes at 0x600000000008',
    );
  });

  test('an object of which a part is there counts from the first missing byte', () => {
    const program = orderProgram().variable('half', t.long, { kind: 'memory', address: 0x9000n });
    program.integer(0x9000n, 1, 4);
    expect(absentOf('half + 0', program)).toMatchObject({ address: 0x9004n, length: 4 });
  });

  test('a string is compared as far as it is there', () => {
    const program = orderProgram().variable('s', t.pointer(t.char), { kind: 'memory', address: 0x9000n });
    program.integer(0x9000n, 0xa000n, 8).write(0xa000n, [0x61, 0x62]);
    expect(show('s == "xy"', program)).toBe('int 0');
    expect(show('s == "ax"', program)).toBe('int 0');
    expect(show('s.startsWith("ab")', program)).toBe('int 1');
    expect(show('s != "ax"', program)).toBe('int 1');
    expect(absentOf('s == "ab"', program)).toEqual({
      absent: 'not-captured',
      detail: 's was not captured: 1 byte at 0xa002',
      address: 0xa002n,
      length: 1,
      hint: "capture it with --capture 's'",
    });
    expect(absentOf('s == "abcd"', program)).toMatchObject({ address: 0xa002n, length: 3 });
  });

  test('a string without an end is a limit', () => {
    const program = orderProgram().variable('s', t.pointer(t.char), { kind: 'memory', address: 0x9000n });
    program.integer(0x9000n, 0xa000n, 8).write(0xa000n, new Uint8Array(2000).fill(0x61));
    expect(absentOf('s.contains("b")', program)).toEqual({
      absent: 'limit',
      detail: 's is longer than 1024 bytes',
    });
    expect(show('s.startsWith("aaa")', program)).toBe('int 1');
  });

  test('provenance is the weakest of what was read', () => {
    const program = orderProgram();
    const frame: EvaluationFrame = {
      ...program.frame(),
      memory: {
        read: (address, length) => {
          const found = program.memory.read(address, length);
          if (isAbsent(found)) return found;
          return { ...found, provenance: address === stackAddress ? 'racy' : 'at-hit' };
        },
      },
    };
    const provenance = (text: string): unknown => evaluate(checkExpression(text, program), frame).place;
    expect(provenance('l + 1')).toMatchObject({ provenance: 'at-hit' });
    expect(provenance('l + i')).toMatchObject({ provenance: 'racy' });
    expect(provenance('1 + 1')).not.toHaveProperty('provenance');
  });
});
