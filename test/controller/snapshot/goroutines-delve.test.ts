/** The goroutines of a Go program in a core, with their stacks, as delve lists them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FrameDocument, GoroutineDocument } from '../../../controller/snapshot/document.js';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { evaluateExpressions, showSnapshot } from '../../../controller/snapshot/show.js';
import { isAbsent } from '../../../format/absent.js';
import { StillframeError } from '../../../format/error.js';
import { runtimeAddress, toLink } from '../../../format/address.js';
import { compileNative, go } from '../../support/compile-native.js';
import { crashCore, liveCore } from '../../support/core.js';
import { Delve } from '../../support/delve.js';
import { repositoryRoot } from '../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/go-values/values.go'), 'utf8');

function goroutinesOf(core: string): readonly GoroutineDocument[] {
  using snapshot = openSnapshot(core);
  return showSnapshot(snapshot, { allThreads: true }).goroutines ?? [];
}

const isOwn = ({ function: name }: FrameDocument): boolean =>
  name !== undefined && name !== 'runtime.raise' && name !== 'runtime.dieFromSignal';

/** Delve takes what the signal handler returns to for a function, and skips what it interrupted there; where `main.main` begins it goes on into the runtime. */
const inDelveOnly = /^runtime\.(sigreturn(__sigaction)?|main|goexit|raise|dieFromSignal)$/;

async function compare(program: string, core: string): Promise<{ goroutines: number; frames: number }> {
  const ours = goroutinesOf(core);
  await using delve = await Delve.open(program, core);
  const theirs = await delve.goroutines();
  expect(ours.map(({ id }) => Number(id)).toSorted((a, b) => a - b)).toEqual(
    theirs.map(({ id }) => id).toSorted((a, b) => a - b),
  );
  let frames = 0;
  for (const goroutine of ours) {
    const stack = await delve.stack(Number(goroutine.id));
    const wanted = stack
      .filter((each) => each.function !== null && !inDelveOnly.test(each.function.name))
      .map((each) => `${each.function?.name}:${each.line}`);
    const found = goroutine.frames
      .filter((frame) => isOwn(frame) && frame.function !== '<signal handler called>')
      .map((frame) => `${frame.function}:${frame.line}`)
      .filter((name) => !inDelveOnly.test(name.slice(0, name.lastIndexOf(':'))));
    expect(found, `goroutine ${goroutine.id}`).toEqual(wanted);
    expect(goroutine.frames.every((frame) => frame.absent === undefined)).toBe(true);
    frames += found.length;
  }
  return { goroutines: ours.length, frames };
}

const ends = (goroutines: readonly GoroutineDocument[]): (string | undefined)[] =>
  goroutines.map(({ frames }) => frames.at(-1)?.function);

describe('goroutines', () => {
  test.each([
    ['without optimisation', '-gcflags=-N -l'],
    ['optimised', '-gcflags='],
  ])('of a program that died, %s', async (_, flags) => {
    const program = compileNative(source, 'values', go(flags));
    using core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
    const { goroutines, frames } = await compare(program, core.path);
    expect(goroutines).toBeGreaterThan(9);
    expect(frames).toBeGreaterThan(40);
    const all = goroutinesOf(core.path);
    expect(
      all.filter(({ state }) => state === 'running').map(({ id, thread }) => [id, thread !== undefined]),
    ).toEqual([['1', true]]);
    expect(ends(all).filter((name) => name !== 'runtime.goexit')).toEqual(['main.main']);
    const reasons = all.flatMap(({ waitReason }) => waitReason ?? []);
    expect(reasons).toEqual(
      expect.arrayContaining(['chan receive', 'sleep', 'select (no cases)', 'semacquire']),
    );
  });

  test('of a program that lives', async () => {
    const program = compileNative(source, 'values', go());
    using core = await liveCore('/usr/bin/env', ['WAIT=1', program]);
    const { goroutines } = await compare(program, core.path);
    expect(goroutines).toBeGreaterThan(9);
    const main = goroutinesOf(core.path).find(({ id }) => id === '1');
    expect(main).toMatchObject({ state: 'waiting', waitReason: 'sleep' });
    expect(main?.frames.map((frame) => frame.function)).toEqual(
      expect.arrayContaining(['time.Sleep', 'main.crash', 'main.(*Server).handle', 'main.main']),
    );
    const handle = main?.frames.find((frame) => frame.function === 'main.(*Server).handle');
    expect(handle?.locals.find(({ name }) => name === 'n')).toMatchObject({ kind: 'int', value: '5' });
  });

  test('that wait have their variables, and answer expressions', async () => {
    const text = readFileSync(join(repositoryRoot, 'native-fixtures/casts/casts.go'), 'utf8');
    const program = compileNative(text, 'casts', go('-gcflags=-N -l'));
    using core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
    using snapshot = openSnapshot(core.path);
    const waiting = (showSnapshot(snapshot, { allThreads: true }).goroutines ?? []).filter(({ frames }) =>
      frames.some((frame) => frame.function === 'main.worker'),
    );
    expect(waiting.length).toBe(3);
    await using delve = await Delve.open(program, core.path);
    const seen = new Set<string>();
    for (const { id, frames } of waiting) {
      const goroutine = Number(id);
      const frame = frames.findIndex((each) => each.function === 'main.worker');
      const theirs = await delve.variables(goroutine, frame, {
        depth: 1,
        maxStringBytes: 100,
        maxElements: 10,
      });
      const wanted = new Map(theirs.map(({ name, value }) => [name, value]));
      const names = ['n', 'local', 'text'];
      const ours = evaluateExpressions(snapshot, names, { goroutine, frame }).map((each) =>
        each instanceof StillframeError ? each.message : (each.text?.replaceAll('"', '') ?? each.value),
      );
      expect(ours).toEqual(names.map((name) => wanted.get(name)));
      seen.add(String(ours[2]));
      const document = showSnapshot(snapshot, { goroutine, frame });
      expect(document).toMatchObject({ goroutine: { id, state: 'waiting', waitReason: 'chan receive' } });
      expect(document.frames[frame]?.locals.find(({ name }) => name === 'n')?.value).toBe(ours[0]);
      const facts = evaluateExpressions(
        snapshot,
        ['local == n * 10', 'text == "worker 1"', '$tid', '$comm'],
        {
          goroutine,
          frame,
        },
      ).map((each) => (each instanceof StillframeError ? each.message : (each.value ?? each.absent?.detail)));
      expect(facts).toEqual([
        '1',
        ours[0] === '1' ? '1' : '0',
        '$tid is not known: no thread runs the goroutine',
        '$comm is not known: no thread runs the goroutine',
      ]);
    }
    expect([...seen].toSorted()).toEqual(['worker 0', 'worker 1', 'worker 2']);
    expect(() => evaluateExpressions(snapshot, ['n'], { goroutine: 9999 })).toThrow(
      'cannot find goroutine 9999 in the core',
    );
  });

  test('have nothing in registers but where they stand', () => {
    const program = compileNative(source, 'values', go());
    using core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
    using snapshot = openSnapshot(core.path);
    // rbx, rbp, r12 to r15: other code keeps them over calls, Go's does not.
    const kept = [3, 6, 12, 13, 14, 15];
    const known = snapshot.threads.flatMap((thread) =>
      snapshot
        .stackOf(thread)
        .frames.filter(({ foundBy }) => foundBy === 'call-frame')
        .flatMap(({ registers }) => kept.filter((register) => !isAbsent(registers.get(register)))),
    );
    expect(known).toEqual([]);
    const [thread] = snapshot.threads;
    const frames = thread === undefined ? [] : snapshot.stackOf(thread).frames;
    expect(frames.length).toBeGreaterThan(20);
    // The instruction that faulted was not called, and is looked at where it is.
    const names = frames.map(({ lookupPc, module }) => {
      const symbols = module?.symbols();
      if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
      return symbols.functionAt(toLink(runtimeAddress(lookupPc), module.bias))?.name;
    });
    const faulted = frames[names.indexOf('runtime.sigpanic') + 1];
    expect(faulted?.lookupPc).toBe(faulted?.pc);
  });

  test('are not looked for in what is not of Go', () => {
    const program = compileNative('int main(void) { __builtin_trap(); }', 'trap', {
      command: 'gcc',
      extension: 'c',
      args: (from, to) => ['-g', '-o', to, from],
    });
    using core = crashCore(program, []);
    using snapshot = openSnapshot(core.path);
    expect(showSnapshot(snapshot, { allThreads: true })).not.toHaveProperty('goroutines');
    expect(() => showSnapshot(snapshot, { goroutine: 1 })).toThrow(
      'cannot find goroutine 1: the program is none of Go',
    );
  });
});
