/** Every variable of `native-fixtures/rust-values`, as the program's own `{:?}` wrote it, at both levels of optimisation. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import type { Value } from '../../../../controller/types/value.js';
import { debugText } from '../../../support/rust-debug.js';
import { runRustValues, rustContext, rustLocals, type RustRun } from '../../../support/rust-program.js';

/** What the library writes in other words than what it holds, or says where we say that we do not know. */
const otherwiseTold: Readonly<Record<string, string>> = {
  locked: 'Mutex { data: <locked>, poisoned: false, .. }',
  manual: 'ManuallyDrop { value: 18 }',
  largest: "Letter('\u{10FFFF}')",
};
/** An error of the system in the bits of a pointer; a null pointer; a type of the library that its debug information does not describe. */
const notComparable: ReadonlySet<string> = new Set(['io_error', 'atomic_pointer', 'error']);

describe.each([['0'], ['2']])('opt-level %s', (level) => {
  let run: RustRun;
  let snapshot: Snapshot;
  let variables: ReadonlyMap<string, Value>;
  beforeAll(() => {
    run = runRustValues('-C', `opt-level=${level}`);
    snapshot = openSnapshot(run.core);
    variables = rustLocals(snapshot);
  });
  afterAll(() => {
    snapshot[Symbol.dispose]();
    run[Symbol.dispose]();
  });

  test('as the program tells them', () => {
    const context = rustContext(snapshot);
    const different: string[] = [];
    const absent: string[] = [];
    for (const [path, told] of run.told) {
      const name = path.slice(path.lastIndexOf('::') + 2);
      if (notComparable.has(name)) continue;
      const value = variables.get(path);
      const shown = value === undefined ? 'no such variable' : debugText(value, context);
      if (level === '2' && /^<absent: (?:optimized out|the compiler kept it nowhere)/.test(shown))
        absent.push(name);
      else if (shown !== (otherwiseTold[name] ?? told)) different.push(`${name}: ${shown}, not ${told}`);
    }
    expect(different).toEqual([]);
    expect(absent.length).toBeLessThan(20);
  });
});
