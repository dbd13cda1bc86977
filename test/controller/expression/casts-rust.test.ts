/** Casts, paths and comparisons with alternatives as Rust spells them, in a core of a program. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { compileNative, rustc } from '../../support/compile-native.js';
import { crashCore } from '../../support/core.js';
import { CoreQuestions } from '../../support/core-questions.js';
import { repositoryRoot } from '../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/casts/casts.rs'), 'utf8');

/** The questions are closed and the core is removed when the test has ended. */
function questions(): CoreQuestions {
  const program = compileNative(source, 'casts', rustc());
  const core = crashCore(program, []);
  onTestFinished(() => core[Symbol.dispose]());
  const asked = new CoreQuestions(core.path, 'casts::main');
  onTestFinished(() => asked[Symbol.dispose]());
  return asked;
}

const values: readonly (readonly [string, string])[] = [
  ['n as u8', 'u8 251'],
  ['u as i8', 'i8 -56'],
  ['f as i32', 'i32 2'],
  ['(f * 1e10) as i32', 'i32 2147483647'],
  ['(-f * 1e10) as i32', 'i32 -2147483648'],
  ['(f * 1e30) as u64', 'u64 18446744073709551615'],
  ['-f as u8', 'u8 0'],
  ['((f - f) / (f - f)) as i32', 'i32 0'],
  ['c as u32', 'u32 233'],
  ['u as char', `char 'È' (200)`],
  ['b as i32', 'i32 1'],
  ['state as i32', 'i32 2'],
  ['n as f64', 'f64 -5'],
  ['n as u128', 'u128 340282366920938463463374607431768211451'],
  ['n as usize', 'usize 18446744073709551611'],
  ['(n as i32) + 1', 'i32 -4'],
  ['*(p as *const i32)', 'i32 2'],
  ['*(p as *const [i32; 2])', 'i32 [2] [2, 3]'],
  ['v[1..3]', 'i32 [2] [2, 3]'],
  ['v[..2]', 'i32 [2] [1, 2]'],
  ['slice[0..1]', 'i32 [1] [2]'],
  ['t.0', 'i32 1'],
  ['t.1.1', '&str "two"'],
  ['t.1.0 as i32 + 1', 'i32 3'],
  ['w.t.1.1', '&str "six"'],
  ['state == State::Done', 'int 1'],
  ['state == module::inner::State::Done', 'int 1'],
  ['state == crate::module::inner::State::Done', 'int 1'],
  ['state != State::Busy', 'int 1'],
  ['State::Done == state', 'int 1'],
  ['cmd == Cmd::Stop', 'int 0'],
  ['stopc == Cmd::Stop', 'int 1'],
  ['stopc != Cmd::Stop', 'int 0'],
  ['stopc == module::inner::Cmd::Stop', 'int 1'],
  ['cmd2 == Cmd::Go(5)', 'int 1'],
  ['cmd2 == Cmd::Go(6)', 'int 0'],
  ['cmd == Cmd::Go(5)', 'int 0'],
  ['some == Some(3)', 'int 1'],
  ['some != Some(4)', 'int 1'],
  ['none == Some(3)', 'int 0'],
  ['none == None', 'int 1'],
  ['res == Err("bad")', 'int 1'],
  ['res == Ok(3)', 'int 0'],
  ['some.is_some()', 'int 1'],
  ['some == None', 'int 0'],
  ['node.next.unwrap().id', 'u32 2'],
  ['node.next->id', 'u32 2'],
  ['node.next->tags[0]', 'alloc::string::String "x"'],
  ['boxed.radius', 'f64 1.25'],
  ['rc.id', 'u32 9'],
  ['rc->id', 'u32 9'],
  ['borrowed.id', 'u32 9'],
  ['rcbox.radius', 'f64 8'],
  ['(**rcbox).radius', 'f64 8'],
  ['dynref.(Circle).radius', 'f64 2.5'],
  ['shapes[1].(Square).side', 'f64 2'],
  ['r + 1', 'i32 4'],
  ['rr == 3', 'int 1'],
  ['r == v[2]', 'int 1'],
  ['*r', 'i32 3'],
  ['**rr', 'i32 3'],
  ['*&v[1]', 'i32 2'],
  ['&*r == &v[2]', 'int 1'],
  [`c == 'é'`, 'int 1'],
  [`c == 'x'`, 'int 0'],
  ['module::LIMIT', 'u32 12'],
  ['crate::module::LIMIT + 1', 'u32 13'],
  ['module::f', 'i32 (i32) casts::module::f'],
  ['crate::module::f', 'i32 (i32) casts::module::f'],
  ['Circle::area', 'f64 (&casts::Circle) casts::{impl#0}::area'],
  ['<Circle as Shape>::area', 'f64 (&casts::Circle) casts::{impl#0}::area'],
  ['<casts::Circle as Shape>::area', 'f64 (&casts::Circle) casts::{impl#0}::area'],
  ['<Square as Shape>::area', 'f64 (&casts::Square) casts::{impl#1}::area'],
  ['Square::area', 'f64 (&casts::Square) casts::{impl#1}::area'],
  ['Circle::grow', 'void (&mut casts::Circle, f64) casts::Circle::grow'],
  ['<Circle as Shape>::name', 'alloc::string::String (&casts::Circle) casts::Shape::name<casts::Circle>'],
  ['sizeof(Vec<i32>)', 'unsigned long 24'],
  ['sizeof(Vec::<i32>)', 'unsigned long 24'],
  ['sizeof(u16)', 'unsigned long 2'],
  ['sizeof(char)', 'unsigned long 4'],
  ['sizeof([i32; 4])', 'unsigned long 16'],
  ['sizeof(Option<i32>)', 'unsigned long 8'],
  ['sizeof((i32, (u8, &str)))', 'unsigned long 32'],
  ['((f - f) / (f - f)) as i32', 'i32 0'],
  ['u + 100', 'u8 44'],
  ['u as i32 + 100', 'i32 300'],
  ['u + 1 > 255', 'int 0'],
  ['u << 1', 'u8 144'],
  ['-u', 'u8 56'],
  ['!u', 'u8 55'],
  ['!(u > 3)', 'int 0'],
  ['-r', 'i32 -3'],
  ['f + 1', 'f64 3.75'],
];

const errors: readonly (readonly [string, string])[] = [
  [
    'cmd == Cmd::Go',
    `cmd == Cmd::Go
       ^^^^^^^
"Cmd::Go" holds a value, and no value is compared here
compare with Cmd::Go(VALUE), or ask which it is: .index() == 1`,
  ],
  [
    'cmd == Cmd::Stop(1)',
    `cmd == Cmd::Stop(1)
       ^^^^^^^^^^^^
"Cmd::Stop" holds no value`,
  ],
  [
    'some == Other(3)',
    `some == Other(3)
        ^^^^^
cannot call "Other": expressions never call into the target
what can be called: startsWith, contains, matches`,
  ],
  [
    'state == State::Gone',
    `state == State::Gone
         ^^^^^^^^^^^
no variable "State::Gone" in scope`,
  ],
  [
    'crate::module::g',
    `crate::module::g
^^^^^^^^^^^^^^^^
no variable "crate::module::g" in scope`,
  ],
  [
    'Shape::area',
    `Shape::area
^^^^^^^^^^^
"casts::Shape::area" can be one of 2
say which: <casts::Circle as casts::Shape>::area, <casts::Square as casts::Shape>::area`,
  ],
  [
    'Shape::name',
    `Shape::name
^^^^^^^^^^^
"casts::Shape::name" can be one of 2
say which: casts::Shape::name<casts::Circle>, casts::Shape::name<casts::Square>`,
  ],
  [
    '<Circle as Other>::area',
    `<Circle as Other>::area
^^^^^^^^^^^^^^^^^^^^^^^
no variable "<Circle as Other>::area" in scope`,
  ],
  [
    'n as char',
    `n as char
^^^^^^^^^
cannot cast "i64" to "char"
only a u8 is a char: cast to u8 or u32`,
  ],
  [
    'n as u7',
    `n as u7
     ^^
no type "u7" in scope`,
  ],
  [
    'n as [i32',
    `n as [i32
         ^
expected ";" before the array length, found the end`,
  ],
  [
    'f as bool',
    `f as bool
^^^^^^^^^
cannot cast "f64" to "bool"
ask whether it is zero: f != 0`,
  ],
  [
    'boxed as f64',
    `boxed as f64
^^^^^^^^^^^^
cannot cast "alloc::boxed::Box<casts::Circle, alloc::alloc::Global>" to "f64"`,
  ],
  [
    '(*dynref).radius',
    `(*dynref).radius
  ^^^^^^
what type "dynref" holds only the process knows
say which: dynref.(TYPE)`,
  ],
  [
    `'ab' == c`,
    `'ab' == c
^^^^
'ab' is more than one character
strings stand in double quotes`,
  ],
  [
    'sizeof(Wrapper<u8>)',
    `sizeof(Wrapper<u8>)
       ^^^^^^^^^^^
no type "Wrapper<u8>" in scope`,
  ],
];

describe('Rust', () => {
  test('values', () => {
    const asked = questions();
    expect(values.map(([text]) => [text, asked.answer(text)])).toEqual(values);
  });

  test('errors point into the text', () => {
    const asked = questions();
    expect(errors.map(([text]) => [text, asked.answer(text)])).toEqual(errors);
  });
});
