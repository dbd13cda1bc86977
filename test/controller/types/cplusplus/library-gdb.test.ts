/** Types of libstdc++ as gdb's printers show them, element by element; those of libc++ as those of libstdc++ in the same program. */
import { afterAll, describe, expect, test } from 'vitest';
import { threadStack } from '../../../../controller/snapshot/frames.js';
import { openSnapshot } from '../../../../controller/snapshot/open.js';
import { showLocals } from '../../../../controller/snapshot/show.js';
import type { ValueDocument, VariableDocument } from '../../../../controller/types/value-document.js';
import { compareShown, gdbShows } from '../../../support/compare-views.js';
import { compileNative, cplusplus } from '../../../support/compile-native.js';
import { type CoreFile, crashCore } from '../../../support/core.js';
import { fixtureText } from '../../../support/fixtures.js';

const functions = ['wrappers', 'associative', 'sequences', 'text'];
const source = fixtureText('cplusplus/library.cc');

interface Built extends CoreFile {
  readonly program: string;
}

const built = new Map<string, Built>();
afterAll(() => {
  for (const each of built.values()) each[Symbol.dispose]();
});

function build(command: 'g++' | 'clang++', ...flags: readonly string[]): Built {
  const key = [command, ...flags].join(' ');
  const known = built.get(key);
  if (known !== undefined) return known;
  const program = compileNative(source, 'library', cplusplus(command, '-w', ...flags));
  const core = crashCore(program, []);
  const made = { program, path: core.path, [Symbol.dispose]: () => core[Symbol.dispose]() };
  built.set(key, made);
  return made;
}

function localsOf(core: string, raw = false): Map<string, VariableDocument> {
  using snapshot = openSnapshot(core);
  const [thread] = snapshot.threads;
  if (thread === undefined) throw new Error('the core has no threads');
  const found = new Map<string, VariableDocument>();
  for (const frame of threadStack(snapshot, thread).frames) {
    if (!functions.includes(frame.function ?? '')) continue;
    for (const local of showLocals(snapshot, frame, { raw }))
      found.set(`${frame.function} ${local.name}`, local);
  }
  return found;
}

/** What gdb 13 cannot show. */
const notOfGdb =
  /: (Cannot create a value from NULL\.|Cannot convert value to long\.|Cannot access memory|value has been optimized out$)/;

describe('libstdc++', () => {
  test.each<['g++' | 'clang++', ...string[]]>([
    ['g++', '-std=c++20', '-O0'],
    ['g++', '-std=c++20', '-O2'],
    ['g++', '-std=c++17', '-O0', '-D_GLIBCXX_USE_CXX11_ABI=0', '-gdwarf-4'],
    ['clang++', '-std=c++17', '-O2'],
  ])('every element is as gdb has it: %s', (command, ...flags) => {
    const { program, path } = build(command, ...flags);
    const theirs = gdbShows(program, path, functions);
    const ours = localsOf(path);
    const skipped: string[] = [];
    const differences = functions.flatMap((name) =>
      Object.entries(theirs[name] ?? {}).flatMap(([local, shown]) => {
        const own = ours.get(`${name} ${local}`);
        if (own === undefined) return [`${name} ${local}: not ours`];
        return compareShown(`${name} ${local}`, shown, own, (what) => skipped.push(what));
      }),
    );
    expect(differences).toEqual([]);
    expect(skipped.filter((each) => !notOfGdb.test(each))).toEqual([]);
    expect(functions.map((name) => Object.keys(theirs[name] ?? {}).length > 15)).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });
});

describe('libc++', () => {
  const theirs = (): Map<string, VariableDocument> => localsOf(build('g++', '-std=c++20', '-O0').path);

  test.each(['-O0', '-O2'])('every element is that of libstdc++: %s', (opt) => {
    const ours = localsOf(build('clang++', '-std=c++20', '-stdlib=libc++', opt).path);
    const expected = theirs();
    const optimised: string[] = [];
    for (const [name, document] of expected) {
      const own = ours.get(name);
      if (own === undefined || own.absent?.reason === 'optimized-out') optimised.push(name);
      else expect([name, essence(own)]).toEqual([name, essence(document)]);
    }
    expect(expected.size).toBeGreaterThan(120);
    expect(optimised.length).toBeLessThan(opt === '-O0' ? 1 : 20);
  });
});

/** What a value is without where it is, and how its library calls it. */
function essence(document: ValueDocument): unknown {
  const { kind, text, value, fields, elements, target, length, absent, type } = document;
  const isAddress = kind === 'pointer' || kind === 'function';
  const parts = elements?.map((each) => essence(each));
  return {
    kind: kind === 'class' ? 'struct' : kind,
    ...(isAddress || value === undefined ? {} : { value }),
    ...(text === undefined || isAddress ? {} : { text: spoken(text) }),
    ...(kind === 'pointer' ? { isNull: value === '0x0', facts: /^\{.*\}$/.exec(text ?? '')?.[0] } : {}),
    ...(fields === undefined ? {} : { fields: fields.map((each) => [spoken(each.name), essence(each)]) }),
    // Libraries lay buckets in other orders.
    ...(parts === undefined ? {} : { elements: type.includes('unordered') ? sortedByText(parts) : parts }),
    ...(target === undefined ? {} : { target: essence(target) }),
    ...(length === undefined ? {} : { length }),
    ...(absent === undefined ? {} : { absent: absent.reason }),
  };
}

function sortedByText(parts: readonly unknown[]): unknown[] {
  return parts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** gcc writes a lambda's captures with underscores, and the name of a type as it likes. */
function spoken(name: string): string {
  return name
    .replaceAll(/std::(?:__1|__cxx11)::/g, 'std::')
    .replaceAll(/\b__(?=\w+=)|^__/g, '')
    .replaceAll(/struct \{|class \{/g, '{')
    .replaceAll(/0x[1-9a-f][0-9a-f]+/g, 'somewhere')
    .replaceAll('0x0', 'NULL');
}
