/** What a person reads of Rust's values: kinds, texts and types of the documents, and expressions that name enumerators. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { threadStack } from '../../../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { evaluateExpressions, showSnapshot } from '../../../../controller/snapshot/show.js';
import type { ValueDocument } from '../../../../controller/types/value-document.js';
import { runRustValues, type RustRun } from '../../../support/rust-program.js';

let run: RustRun;
let snapshot: Snapshot;
let documents: ReadonlyMap<string, ValueDocument>;
let raw: ReadonlyMap<string, ValueDocument>;

function localsOf(isRaw: boolean): ReadonlyMap<string, ValueDocument> {
  const found = new Map<string, ValueDocument>();
  for (const frame of showSnapshot(snapshot, { raw: isRaw, depth: 2 }).frames) {
    const family = /^rust_values::(?<family>\w+)::\w+$/.exec(frame.function ?? '')?.groups?.['family'];
    if (family !== undefined) for (const local of frame.locals) found.set(`${family}::${local.name}`, local);
  }
  return found;
}

beforeAll(() => {
  run = runRustValues('-C', 'opt-level=0');
  snapshot = openSnapshot(run.core);
  documents = localsOf(false);
  raw = localsOf(true);
});
afterAll(() => {
  snapshot[Symbol.dispose]();
  run[Symbol.dispose]();
});

test.each<[name: string, kind: string, text: string | undefined]>([
  ['enums::some', 'variant', 'Some(3)'],
  ['enums::none', 'variant', 'None'],
  ['enums::some_text', 'variant', 'Some("text")'],
  ['enums::some_some', 'variant', 'Some(Some(true))'],
  ['enums::ok', 'variant', 'Ok(7)'],
  ['enums::error', 'variant', 'Err("bad")'],
  ['enums::circle', 'variant', 'Circle{radius=2}'],
  ['enums::rect', 'variant', 'Rect(2, 3)'],
  ['enums::dot', 'variant', 'Dot'],
  ['enums::top', 'variant', 'Top(1)'],
  ['enums::below', 'variant', 'Below(3)'],
  ['enums::narrow', 'variant', 'B'],
  ['enums::never', 'variant', 'None'],
  ['enums::infallible', 'variant', 'Ok(8)'],
  ['enums::low', 'enum', 'Low'],
  ['enums::owned', 'variant', 'Owned("was owned")'],
  ['text::string', 'string', 'hello'],
  ['text::str_slice', 'string', 'a literal'],
  ['text::boxed', 'string', 'boxed'],
  ['text::shared', 'string', 'shared'],
  ['text::path', 'string', '/tmp/a b'],
  ['text::c_string', 'string', 'nul ended'],
  ['text::c_str', 'string', 'nul ended'],
  ['owners::rc', 'pointer', '{strong=2, weak=1}'],
  ['owners::weak', 'pointer', '{strong=2, weak=1}'],
  ['owners::dangling', 'pointer', '{strong=0, weak=0}'],
  ['owners::dead', 'pointer', '{strong=0, weak=1}'],
  ['owners::borrowed_cell', 'int', '5 {borrow=2, borrow_mut=0}'],
  ['owners::written_cell', 'int', '6 {borrow=0, borrow_mut=1}'],
  ['owners::locked', 'int', '11 {locked=1, poisoned=0}'],
  ['owners::read_lock', 'int', '14 {readers=1, written=0, poisoned=0}'],
  ['owners::mutex', 'struct', '{locked=0, poisoned=0}'],
  ['owners::once_lock', 'variant', 'None'],
  ['owners::once_lock_set', 'variant', 'Some("set")'],
  ['owners::lazy', 'variant', undefined],
  ['owners::atomic_bool', 'bool', undefined],
  ['plain::function', 'pointer', 'rust_values::plain::double_of'],
  ['collections::vec', 'slice', undefined],
  ['collections::map', 'map', undefined],
  ['collections::set', 'slice', undefined],
  ['dynamic::boxed_circle', 'variant', 'rust_values::dynamic::Circle{radius=2}'],
  ['dynamic::boxed_square', 'variant', 'rust_values::dynamic::Square(3, "side")'],
  ['dynamic::boxed_empty', 'variant', 'rust_values::dynamic::Empty{}'],
  ['dynamic::boxed_generic', 'variant', 'alloc::vec::Vec<u8, alloc::alloc::Global>({size=2})'],
  ['dynamic::boxed_closure', 'variant', 'rust_values::dynamic::dynamic::{closure_env#4}{captured=5}'],
  ['dynamic::any', 'variant', 'u32(77)'],
])('%s', (name, kind, text) => {
  const document = documents.get(name);
  expect(document?.kind).toBe(kind);
  if (text !== undefined) expect(document?.text).toBe(text);
  expect(document?.absent).toBeUndefined();
});

describe('a future is the state that it is in', () => {
  test.each<[name: string, text: string]>([
    ['unresumed', 'Unresumed{start=1}'],
    ['first_await', 'Suspend0{start=2, name="step", __awaitee={left=0}}'],
    ['second_await', 'Suspend1{start=3, name="step", __awaitee=Suspend0{doubled=10, __awaitee={left=0}}}'],
    // What was captured is gone.
    ['returned', 'Returned'],
    [
      'spending_all',
      'Suspend0{text="given", number=7, bytes={size=2}, __awaitee={left=0}, __4=true, __5=true}',
    ],
    [
      'spent_text',
      'Suspend1{number=7, bytes={size=2}, first=5, __awaitee=Suspend0{text="given", __awaitee={left=0}}, __4=true, __5=false}',
    ],
    ['spent_most', 'Suspend2{number=7, first=5, second=10, __awaitee={left=0}, __4=false, __5=false}'],
  ])('%s', (name, text) => {
    expect(documents.get(`dynamic::${name}`)?.target?.text).toBe(text);
  });

  test('behind a trait', () => {
    expect(documents.get('dynamic::dynamic_future')?.text).toMatch(
      /^rust_values::dynamic::inner::\{async_fn_env#0\}\(Suspend0\{doubled=12, /,
    );
  });
});

describe('raw', () => {
  test('of its variants an enum has the one that it is', () => {
    expect(raw.get('enums::some')).toMatchObject({
      kind: 'struct',
      fields: [
        { name: 'Some', type: 'core::option::Option<i32>::Some', fields: [{ name: '__0', value: '3' }] },
      ],
    });
    expect(raw.get('enums::none')).toMatchObject({ kind: 'struct', fields: [{ name: 'None', fields: [] }] });
  });

  test('types of the library are as declared', () => {
    expect(raw.get('text::str_slice')?.fields?.map(({ name }) => name)).toEqual(['data_ptr', 'length']);
    expect(raw.get('collections::vec')?.fields?.map(({ name }) => name)).toEqual(['buf', 'len']);
  });
});

describe('a reference is indexed as what it leads to', () => {
  test.each<[expression: string, family: string, texts: readonly (string | undefined)[]]>([
    ['borrowed_map["one"]', 'collections', ['1']],
    ['borrowed_vec[1]', 'collections', ['2']],
    ['borrowed_vec[0:2]', 'collections', ['1', '2']],
    ['borrowed_vec @ 2', 'collections', ['1', '2']],
    ['borrowed_array[3]', 'collections', ['40']],
    ['borrowed_array[1:3]', 'collections', ['20', '30']],
    ['borrowed_map.len()', 'collections', ['3']],
  ])('%s', (expression, family, values) => {
    const [thread] = snapshot.threads;
    const stack = thread === undefined ? [] : threadStack(snapshot, thread).frames;
    const frame = stack.find((each) => each.function === `rust_values::${family}::${family}`)?.index;
    const [result] = evaluateExpressions(snapshot, [expression], { frame });
    if (result === undefined || result instanceof Error) throw result ?? new Error('nothing');
    expect((result.elements ?? [result]).map((each) => each.value)).toEqual(values);
  });
});

test.each<[expression: string, value: string]>([
  ['low == Level::Low', '1'],
  ['low == enums::Level::High', '0'],
  ['rust_values::enums::Level::High', '100'],
  ['Ordering::Less', '-1'],
])('%s', (expression, value) => {
  const [thread] = snapshot.threads;
  const stack = thread === undefined ? [] : threadStack(snapshot, thread).frames;
  const frame = stack.find((each) => each.function === 'rust_values::enums::enums')?.index;
  const [result] = evaluateExpressions(snapshot, [expression], { frame });
  if (result instanceof Error) throw result;
  expect(result?.value).toBe(value);
});
