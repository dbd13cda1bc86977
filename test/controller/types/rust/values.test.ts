/** Every variable of `native-fixtures/rust-values`, as the program's own `{:?}` wrote it, at both levels of optimisation. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runtimeAddress, toLink } from '../../../../format/address.js';
import { isAbsent } from '../../../../format/absent.js';
import { variablePlace } from '../../../../controller/snapshot/frame-evaluation.js';
import { threadStack } from '../../../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import type { Type } from '../../../../controller/types/type.js';
import type { Value } from '../../../../controller/types/value.js';
import type { ViewContext } from '../../../../controller/types/view.js';
import { debugText } from '../../../support/rust-debug.js';
import { runRustValues, type RustRun } from '../../../support/rust-program.js';

/** What the library writes in other words than what it holds, or says where we say that we do not know. */
const otherwiseTold: Readonly<Record<string, string>> = {
  locked: 'Mutex { data: <locked>, poisoned: false, .. }',
  manual: 'ManuallyDrop { value: 18 }',
  largest: "Letter('\u{10FFFF}')",
};
/** An error of the system in the bits of a pointer; a null pointer; a type of the library that its debug information does not describe. */
const notComparable: ReadonlySet<string> = new Set(['io_error', 'atomic_pointer', 'error']);

/** Variables of the program's frames, by function and name; a name that is used twice, innermost first. */
function variablesOf(snapshot: Snapshot): ReadonlyMap<string, Value> {
  const found = new Map<string, Value>();
  const [thread] = snapshot.threads;
  if (thread === undefined) return found;
  for (const frame of threadStack(snapshot, thread).frames) {
    const { evaluation, source } = frame;
    const family = /^rust_values::(?<family>\w+)::\w+$/.exec(frame.function ?? '')?.groups?.['family'];
    if (family === undefined || evaluation === undefined) continue;
    for (const variable of source?.scope?.variables ?? []) {
      const place = variablePlace(evaluation, variable, source?.scope);
      const key = `rust_values::${family}::${variable.name}`;
      if (!found.has(key)) found.set(key, { type: variable.type(), place });
    }
  }
  return found;
}

function contextOf(snapshot: Snapshot): ViewContext {
  return {
    memory: snapshot.memory,
    maxElements: 10_000,
    typeOfDescriptor: (address, kind): Type | undefined => {
      const module = snapshot.modules.find(address);
      const symbols = module?.symbols();
      if (module === undefined || symbols === undefined || isAbsent(symbols) || kind !== 'rust-vtable')
        return undefined;
      return symbols.typeOfRustVtable(toLink(runtimeAddress(address), module.bias));
    },
  };
}

describe.each([['0'], ['2']])('opt-level %s', (level) => {
  let run: RustRun;
  let snapshot: Snapshot;
  let variables: ReadonlyMap<string, Value>;
  beforeAll(() => {
    run = runRustValues('-C', `opt-level=${level}`);
    snapshot = openSnapshot(run.core);
    variables = variablesOf(snapshot);
  }, 120_000);
  afterAll(() => {
    snapshot[Symbol.dispose]();
    run[Symbol.dispose]();
  });

  test('as the program tells them', () => {
    const context = contextOf(snapshot);
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
