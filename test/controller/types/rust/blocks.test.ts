/** What the views of Rust's containers say that a plan must bring is enough for their walks: with nothing else in memory they show all. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { absent, isAbsent } from '../../../../format/absent.js';
import { defaultLimits } from '../../../../format/limits.js';
import type { MemoryReader } from '../../../../format/memory.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { typeOfDescriptor } from '../../../../controller/snapshot/type-descriptors.js';
import { sizeOf } from '../../../../controller/types/layout.js';
import type { ObjectView } from '../../../../controller/types/object-view.js';
import { computeRecipe, type Recipe } from '../../../../format/recipe/recipe.js';
import { renderValue } from '../../../../controller/types/render.js';
import type { Value } from '../../../../controller/types/value.js';
import type { ValueDocument } from '../../../../controller/types/value-document.js';
import type { Block } from '../../../../controller/types/view.js';
import { viewOf } from '../../../../controller/types/views.js';
import { runRustValues, rustLocals, type RustRun } from '../../../support/rust-program.js';

let run: RustRun;
let snapshot: Snapshot;
const variables = new Map<string, Value>();

beforeAll(() => {
  run = runRustValues('-C', 'opt-level=0');
  snapshot = openSnapshot(run.core);
  for (const [path, value] of rustLocals(snapshot)) {
    const name = path.slice(path.lastIndexOf('::') + 2);
    if (!variables.has(name)) variables.set(name, value);
  }
});
afterAll(() => {
  snapshot[Symbol.dispose]();
  run[Symbol.dispose]();
});

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** The ranges of a view's blocks, as a plan finds them. */
function rangesOf(object: ObjectView, blocks: readonly Block[], left: { count: number }): Range[] {
  const numberOf = (recipe: Recipe, over: ObjectView = object): bigint => {
    const computed = computeRecipe(recipe, over, snapshot.memory);
    return isAbsent(computed) ? 0n : computed;
  };
  return blocks.flatMap((block) => {
    const start = numberOf(block.address);
    if (start < 0x1_0000n || left.count-- <= 0) return [];
    const bytes = numberOf(block.bytes);
    expect(bytes).toBeLessThanOrEqual(BigInt(block.maxBytes));
    const ranges: Range[] = [];
    for (const address of itemsOf(block, object, { start, numberOf })) {
      const inner: ObjectView = { type: object.type, address };
      ranges.push({ start: address, end: address + bytes }, ...rangesOf(inner, block.next?.() ?? [], left));
    }
    return ranges;
  });
}

/** Where a block is found, again and again where it says so. */
function itemsOf(
  { again }: Block,
  object: ObjectView,
  of: { readonly start: bigint; readonly numberOf: (recipe: Recipe, over: ObjectView) => bigint },
): bigint[] {
  const { start, numberOf } = of;
  const items = [start];
  if (again === undefined) return items;
  const count = again.count === undefined ? defaultLimits.maxElements : numberOf(again.count, object);
  for (let at = start; BigInt(items.length) < BigInt(count);) {
    at = numberOf(again.next, { type: object.type, address: at });
    if (at === 0n || at === start) break;
    items.push(at);
  }
  return items;
}

function only(ranges: readonly Range[]): MemoryReader {
  return {
    read(address, length) {
      const end = address + BigInt(length);
      return ranges.some((range) => address >= range.start && end <= range.end)
        ? snapshot.memory.read(address, length)
        : absent('not-captured', `${length} bytes`, { address });
    },
  };
}

test.each([
  ['big_map'],
  ['holes'],
  ['full_map'],
  ['wide_map'],
  ['empty_map'],
  ['thinned'],
  ['full_leaf'],
  ['empty_tree'],
  ['big_tree_set'],
  ['deque'],
  ['wrapped'],
  ['empty_deque'],
  ['list'],
  ['empty_list'],
  ['boxed_circle'],
  ['shared_number'],
])('%s', (name) => {
  const value = variables.get(name);
  if (value?.place.kind !== 'memory') throw new Error(`${name} is not in memory`);
  const { type, place } = value;
  const view = viewOf(type);
  if (view?.kind !== 'walked' && view?.kind !== 'map' && view?.kind !== 'dynamic')
    throw new Error(`${name} has no walk`);
  const own = { start: place.address, end: place.address + BigInt(sizeOf(type) ?? 0) };
  const blocks = rangesOf({ type, address: place.address }, view.blocks?.() ?? [], { count: 31 });
  const shown = (memory: MemoryReader): ValueDocument =>
    renderValue(value, {
      memory,
      limits: { ...defaultLimits, maxElements: 1000 },
      depth: 1,
      typeOfDescriptor: (address, kind) => typeOfDescriptor(snapshot, address, kind),
    });
  const whole = shown(snapshot.memory);
  expect(whole.absent).toBeUndefined();
  expect(shown(only([own, ...blocks]))).toEqual(whole);
});
