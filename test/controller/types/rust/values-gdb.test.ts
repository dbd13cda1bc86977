/** Every variable of `native-fixtures/rust-values`, leaf by leaf against gdb on the same core: our views against rustc's providers, `--raw` against gdb alone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { showSnapshot } from '../../../../controller/snapshot/show.js';
import type { ValueDocument } from '../../../../controller/types/value-document.js';
import { defaultLimits } from '../../../../format/limits.js';
import { gdbLeaves, type Leaves, leavesOf, normalised } from '../../../support/rust-gdb.js';
import { runRustValues, type RustRun } from '../../../support/rust-program.js';

/** What rustc's providers show as declared, and we do not. */
const ofNoProvider: ReadonlySet<string> = new Set(
  [
    'list string_list empty_list heap tree_set big_tree_set',
    'c_string c_str path os_ref boxed_slice boxed shared shared_slice',
    'mutex locked guard poisoned victim rw_lock read_lock reader arc_mutex',
    'weak dangling dead arc_weak once once_set once_lock_set atomic_bool',
    // Trait objects: what they are, instead of two pointers.
    'boxed_circle boxed_square boxed_empty boxed_generic reference shared_atomic shared_number several error sent any debug',
    'optional boxed_closure dynamic_future',
  ].flatMap((names) => names.split(' ')),
);

/** Where gdb 13 is wrong: it takes the last variant where nothing tells them apart, and a tag of `i64` for one without a sign. */
const gdbIsWrong: Readonly<Record<string, string>> = {
  'enums::infallible': 'variant Ok 8',
  'enums::never': 'variant None',
  'enums::below': 'variant Below 3',
};
/** How many leaves are compared: the text of a cell of a string is its characters and nothing else. */
function countOf(key: string, leaves: Leaves, how: 'providers' | 'raw'): number {
  return how === 'providers' && key === 'owners::ref_cell' ? 1 : leaves.length;
}

/** By `family::name`; the innermost of those that have one name. */
function documentsOf(snapshot: Snapshot, raw: boolean): ReadonlyMap<string, ValueDocument> {
  const found = new Map<string, ValueDocument>();
  for (const frame of showSnapshot(snapshot, { raw, depth: 2 }).frames) {
    const family = /^rust_values::(?<family>\w+)::\w+$/.exec(frame.function ?? '')?.groups?.['family'];
    if (family === undefined) continue;
    for (const local of frame.locals) {
      const key = `${family}::${local.name}`;
      if (!found.has(key)) found.set(key, local);
    }
  }
  return found;
}

describe.each([['0'], ['2']])('opt-level %s', (level) => {
  let run: RustRun;
  let snapshot: Snapshot;
  beforeAll(() => {
    run = runRustValues('-C', `opt-level=${level}`);
    snapshot = openSnapshot(run.core, {
      limits: { ...defaultLimits, maxElements: 1000, maxStringBytes: 10_000 },
    });
  });
  afterAll(() => {
    snapshot[Symbol.dispose]();
    run[Symbol.dispose]();
  });

  test.each(['providers', 'raw'] as const)('%s', (how) => {
    const theirs = gdbLeaves(run, how);
    const ours = documentsOf(snapshot, how === 'raw');
    const different: string[] = [];
    let compared = 0;
    for (const [key, leaves] of Object.entries(theirs)) {
      const document = ours.get(key);
      const name = key.slice(key.indexOf('::') + 2);
      if (how === 'providers' && ofNoProvider.has(name)) continue;
      const shown = document === undefined ? 'no such variable' : leavesOf(document).join(' ');
      if ('error' in leaves) {
        if (/optimized out/.test(leaves.error) && !shown.includes('absent optimized-out'))
          different.push(`${key}: ${shown}, but optimized out`);
        continue;
      }
      const told =
        gdbIsWrong[key] ??
        normalised(leaves)
          .slice(0, countOf(key, leaves, how))
          .join(' ');
      // Of what has no bytes gdb misses none.
      if (shown === 'absent optimized-out' && /^(?:variant \w+)?$/.test(told)) continue;
      compared++;
      if (shown !== told) different.push(`${key}: ${shown}, not ${told}`);
    }
    expect(different).toEqual([]);
    expect(compared).toBeGreaterThan(level === '0' ? 140 : 90);
  });
});
