/** Rust programs of random types and values, that write what `{:?}` makes of each variable, and then abort with all of them in memory. */
import { Chance } from './chance.js';

interface Made {
  /** `Option<u8>`. */
  readonly type: string;
  /** An expression for one value of it, another one each time. */
  readonly value: () => string;
}

const prelude = `#![allow(dead_code, overflowing_literals)]
use std::collections::*;
use std::fmt::Debug;
use std::io::Write;
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum E3<A, B> { X(A), Y { b: B }, Z }
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum E2<A, B> { First(A, B), Second(B) }
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
enum E5<A, B> { A(A) = 250, B(B, u8) = 1, C = 7, D = 9, E { x: A, y: B } = 200 }
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Nest<A> { In(A), Out, Off }
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct W<A>(A);
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Level { Low = -3, Mid, High = 90 }
trait Show: Debug {}
impl<A: Debug> Show for W<A> {}
`;

const integers = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'u64',
  'i64',
  'usize',
  'isize',
  'u128',
  'i128',
] as const;

/** Variables of one function; each calls the next. */
const perFunction = 25;

export function generateRust(seed: number, variables: number): string {
  const chance = new Chance(seed);
  const functions: string[] = [];
  for (let first = 0; first < variables; first += perFunction) {
    const names = Array.from({ length: Math.min(perFunction, variables - first) }, (_, i) => `v${first + i}`);
    const lines = names.map((name) => {
      const { type, value } = makeType(chance, 1 + chance.below(4), false);
      return `let ${name}: ${type} = ${value()};`;
    });
    const told = names.map(
      (name) =>
        `writeln!(out, "rust_values::g::${name}\\t{}", format!("{:?}", ${name}).escape_default()).unwrap(); std::hint::black_box(&${name});`,
    );
    const next = first + perFunction < variables ? `g${first + perFunction}(out);` : 'std::process::abort();';
    const kept = names.map((name) => `std::hint::black_box(&${name});`);
    const body = [...lines, ...told, next, ...kept].map((line) => `    ${line}`).join('\n');
    functions.push(`#[inline(never)]\npub fn g${first}(out: &mut std::fs::File) {\n${body}\n}`);
  }
  const main =
    'fn main() {\n    let mut out = std::fs::File::create(std::env::args().nth(1).unwrap()).unwrap();\n    g::g0(&mut out);\n}';
  return `${prelude}mod g {\nuse super::*;\n${functions.join('\n')}\n}\n${main}\n`;
}

/** `asKey`: one that can be compared and hashed. */
function makeType(chance: Chance, depth: number, asKey: boolean): Made {
  if (depth <= 0 || chance.below(4) === 0) return makeLeaf(chance, asKey);
  const inner = (): Made => makeType(chance, depth - 1, asKey);
  const kinds = asKey ? keyed : [...keyed, ...unkeyed];
  return chance.of(kinds)(chance, inner, depth);
}

type Maker = (chance: Chance, inner: () => Made, depth: number) => Made;

const pick = <T>(chance: Chance, ...items: readonly T[]): T => chance.of(items);

function word(chance: Chance): string {
  return Array.from({ length: chance.below(7) }, () => 'abcXYZ 012'[chance.below(10)]).join('');
}

function makeLeaf(chance: Chance, asKey: boolean): Made {
  const leaves: readonly (() => Made)[] = [
    () => integer(chance, pick(chance, ...integers)),
    () => integer(chance, pick(chance, ...integers)),
    () => ({ type: 'bool', value: () => pick(chance, 'true', 'false') }),
    () => ({ type: 'char', value: () => pick(chance, "'a'", "'Z'", String.raw`'\u{1F980}'`) }),
    () => ({ type: 'String', value: () => `"${word(chance)}".to_string()` }),
    () => ({ type: "&'static str", value: () => `"${word(chance)}"` }),
    () => ({ type: '()', value: () => '()' }),
    () => ({ type: 'Level', value: () => `Level::${pick(chance, 'Low', 'Mid', 'High')}` }),
    () => nonZero(chance, pick(chance, 'u8', 'i16', 'u32', 'i64', 'u128', 'usize')),
    ...(asKey
      ? []
      : [
          () => ({ type: 'f64', value: () => pick(chance, '1.5f64', '-0.25f64', '1000.0f64') }),
          () => ({ type: 'Box<str>', value: () => `"${word(chance)}".into()` }),
          () => ({ type: 'std::rc::Rc<str>', value: () => `"${word(chance)}".into()` }),
          () => ({ type: "std::borrow::Cow<'static, str>", value: () => cow(chance) }),
        ]),
  ];
  return pick(chance, ...leaves)();
}

function integer(chance: Chance, type: (typeof integers)[number]): Made {
  return {
    type,
    value: () =>
      pick(chance, `${type}::MIN`, `${type}::MAX`, `0${type}`, `1${type}`, `${chance.below(100)}${type}`),
  };
}

function nonZero(chance: Chance, type: string): Made {
  const value = (): string => `std::num::NonZero::new(${1 + chance.below(100)}${type}).unwrap()`;
  return { type: `std::num::NonZero<${type}>`, value };
}

function cow(chance: Chance): string {
  const text = `"${word(chance)}"`;
  return pick(chance, `std::borrow::Cow::Borrowed(${text})`, `std::borrow::Cow::Owned(${text}.to_string())`);
}

const many = (chance: Chance, { value }: Made, most = 4): string =>
  Array.from({ length: chance.below(most + 1) }, () => value()).join(', ');

/** A generic type of one argument. */
const generic =
  (name: string, write: (chance: Chance, inner: Made) => string): Maker =>
  (chance, inner) => {
    const held = inner();
    return { type: `${name}<${held.type}>`, value: () => write(chance, held) };
  };

/** An enum of two arguments. */
const two =
  (name: string, write: (chance: Chance, a: () => string, b: () => string) => string): Maker =>
  (chance, inner) => {
    const [a, b] = [inner(), inner()];
    return { type: `${name}<${a.type}, ${b.type}>`, value: () => write(chance, a.value, b.value) };
  };

const option = generic('Option', (chance, { value }) =>
  chance.below(3) === 0 ? 'None' : `Some(${value()})`,
);

const keyed: readonly Maker[] = [
  option,
  option,
  two('Result', (chance, a, b) => (chance.below(2) === 0 ? `Ok(${a()})` : `Err(${b()})`)),
  two('E3', (chance, a, b) => pick(chance, `E3::X(${a()})`, `E3::Y { b: ${b()} }`, 'E3::Z')),
  two('E2', (chance, a, b) => pick(chance, `E2::First(${a()}, ${b()})`, `E2::Second(${b()})`)),
  two('E5', (chance, a, b) =>
    pick(chance, `E5::A(${a()})`, `E5::B(${b()}, 7)`, 'E5::C', 'E5::D', `E5::E { x: ${a()}, y: ${b()} }`),
  ),
  generic('Nest', (chance, { value }) => pick(chance, `Nest::In(${value()})`, 'Nest::Out', 'Nest::Off')),
  generic('W', (_, { value }) => `W(${value()})`),
  generic('Box', (_, { value }) => `Box::new(${value()})`),
  generic('Vec', (chance, inner) => `vec![${many(chance, inner)}]`),
  (chance, inner) => {
    const parts = Array.from({ length: 1 + chance.below(3) }, inner);
    const written = (each: (part: Made) => string): string =>
      `(${parts.map((part) => `${each(part)},`).join(' ')})`;
    return { type: written(({ type }) => type), value: () => written(({ value }) => value()) };
  },
  (chance, inner) => {
    const [held, count] = [inner(), chance.below(4)];
    const values = (): string => Array.from({ length: count }, () => held.value()).join(', ');
    return { type: `[${held.type}; ${count}]`, value: () => `[${values()}]` };
  },
];

const collected = (chance: Chance, inner: Made): string => `[${many(chance, inner)}].into_iter().collect()`;

const unkeyed: readonly Maker[] = [
  generic('std::rc::Rc', (_, { value }) => `std::rc::Rc::new(${value()})`),
  generic('std::sync::Arc', (_, { value }) => `std::sync::Arc::new(${value()})`),
  generic('std::cell::RefCell', (_, { value }) => `std::cell::RefCell::new(${value()})`),
  generic('std::sync::Mutex', (_, { value }) => `std::sync::Mutex::new(${value()})`),
  generic('VecDeque', collected),
  generic('LinkedList', collected),
  (chance, inner) => {
    const held = inner();
    return { type: `&'static [${held.type}]`, value: () => `(&*Vec::leak(vec![${many(chance, held)}]))` };
  },
  (chance, inner) => {
    const held = inner();
    return { type: `Box<[${held.type}]>`, value: () => `vec![${many(chance, held)}].into_boxed_slice()` };
  },
  (_, inner) => {
    const held = inner();
    return {
      type: 'Box<dyn Show>',
      value: () => `(Box::new(W::<${held.type}>(${held.value()})) as Box<dyn Show>)`,
    };
  },
  (chance, _, depth) => {
    const key = makeType(chance, Math.min(depth - 1, 1), true);
    return {
      type: `${pick(chance, 'HashSet', 'BTreeSet')}<${key.type}>`,
      value: () => collected(chance, key),
    };
  },
  (chance, inner, depth) => {
    const key = makeType(chance, Math.min(depth - 1, 1), true);
    const held = inner();
    const entry = { type: '', value: () => `(${key.value()}, ${held.value()})` };
    const name = pick(chance, 'HashMap', 'BTreeMap');
    return { type: `${name}<${key.type}, ${held.type}>`, value: () => collected(chance, entry) };
  },
];
