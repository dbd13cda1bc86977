/** What the language makes of objects: their dynamic types, as gdb has them; bases, members that pointers point to, closures, names. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { threadStack, type LogicalFrame } from '../../../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { evaluateExpressions, showLocals } from '../../../../controller/snapshot/show.js';
import type { ValueDocument, VariableDocument } from '../../../../controller/types/value-document.js';
import { StillframeError } from '../../../../format/error.js';
import { compileNative, cplusplus } from '../../../support/compile-native.js';
import { crashCore } from '../../../support/core.js';
import { fixtureText } from '../../../support/fixtures.js';
import { repositoryRoot } from '../../../support/paths.js';

const source = fixtureText('cplusplus/language.cc');

class Built implements Disposable {
  readonly program: string;
  readonly core: ReturnType<typeof crashCore>;
  readonly snapshot: Snapshot;
  readonly frame: LogicalFrame;

  constructor(command: 'g++' | 'clang++', flags: readonly string[]) {
    this.program = compileNative(source, 'language', cplusplus(command, '-w', '-std=c++17', ...flags));
    this.core = crashCore(this.program, []);
    this.snapshot = openSnapshot(this.core.path);
    const [thread] = this.snapshot.threads;
    const frames = thread === undefined ? [] : threadStack(this.snapshot, thread).frames;
    const frame = frames.find((each) => each.function === 'pointers');
    if (frame === undefined) throw new Error('no frame of pointers()');
    this.frame = frame;
  }

  locals(raw = false): ReadonlyMap<string, VariableDocument> {
    return new Map(showLocals(this.snapshot, this.frame, { raw }).map((local) => [local.name, local]));
  }

  evaluate(text: string): ValueDocument | string {
    const [shown] = evaluateExpressions(this.snapshot, [text], { frame: this.frame.index, depth: 1 });
    if (shown === undefined) throw new Error('nothing');
    return shown instanceof StillframeError ? `${shown.message} (${shown.candidates?.join(', ')})` : shown;
  }

  [Symbol.dispose](): void {
    this.snapshot[Symbol.dispose]();
    this.core[Symbol.dispose]();
  }
}

function gdbDynamicTypes(built: Built): Readonly<Record<string, readonly [string, string]>> {
  const out = join(dirname(built.core.path), 'dynamic.json');
  const settings = [
    'set debuginfod enabled off',
    `set $dump = "${out}"`,
    'set $function = "pointers"',
  ].flatMap((each) => ['-iex', each]);
  const script = join(repositoryRoot, 'test', 'support', 'gdb-dynamic.py');
  const run = spawnSync(
    'gdb',
    ['-q', '-nx', '-batch', ...settings, built.program, built.core.path, '-x', script],
    { encoding: 'utf8', timeout: 60_000 },
  );
  const found: unknown = JSON.parse(readFileSync(out, 'utf8'));
  if (!isDynamicTypes(found)) throw new Error(run.stderr);
  return found;
}

function isDynamicTypes(found: unknown): found is Readonly<Record<string, readonly [string, string]>> {
  return typeof found === 'object' && found !== null;
}

const builds = [
  ['g++ -O0', 'g++', ['-O0']],
  ['g++ -O2', 'g++', ['-O2']],
  ['g++ -O0 -gdwarf-4 -no-pie', 'g++', ['-O0', '-gdwarf-4', '-no-pie']],
  ['clang++ -O0 libc++', 'clang++', ['-O0', '-stdlib=libc++']],
  ['clang++ -O2 libc++', 'clang++', ['-O2', '-stdlib=libc++']],
] as const;

const open: Built[] = [];
afterAll(() => {
  for (const each of open) each[Symbol.dispose]();
});

describe.each(builds)('%s', (name, command, flags) => {
  const built = new Built(command, flags);
  open.push(built);
  const locals = built.locals();

  test('whole objects are as gdb finds them', () => {
    const theirs = gdbDynamicTypes(built);
    const compared = Object.entries(theirs).flatMap(([local, [type, address]]) => {
      const own = locals.get(local);
      const shown = own?.kind === 'pointer' ? own.target : own;
      // What gcc and clang keep no value of is not compared.
      if (own?.absent !== undefined || shown === undefined) return [];
      // gdb does not find what is local to a function; that is compared by its members.
      if (shown.type === 'Local') return [];
      const declared = own?.kind === 'pointer' ? shown.type : shown.type.replace(/^const | &$/g, '');
      expect([local, declared, shown.address]).toEqual([local, type, address]);
      return [local];
    });
    expect(compared.length).toBeGreaterThan(name.includes('-O2') ? 0 : 11);
  });

  test('--raw has them as they are declared', () => {
    const raw = built.locals(true);
    for (const [local, type] of [
      ['second', 'shop::Shape'],
      ['common', 'shop::Common'],
    ] as const) {
      const own = raw.get(local);
      if (own?.absent === undefined) expect(own?.target?.type).toBe(type);
    }
  });

  test('names of globals, types and enumerators', () => {
    expect(built.evaluate('shop::Counter::made')).toMatchObject({ type: 'int', value: '42' });
    expect(built.evaluate('other::Counter::made')).toMatchObject({ type: 'int', value: '43' });
    expect(built.evaluate('shop::Counter::limit + 1')).toMatchObject({ value: '251' });
    expect(built.evaluate('shop::Counter::top')).toMatchObject({ value: '200' });
    expect(built.evaluate('shop::Mode::slow')).toMatchObject({ value: '200', text: 'shop::Mode::slow' });
    expect(built.evaluate('sizeof(shop::Circle)')).toMatchObject({ value: '24' });
    expect(built.evaluate('sizeof(other::Circle)')).toMatchObject({ value: '4' });
    expect(built.evaluate('sizeof(Circle)')).toMatch(
      /can be one of 2 types.*\(shop::Circle, other::Circle\)/,
    );
    expect(built.evaluate('counted')).toMatchObject({ value: '5' });
  });
});

/** Types and values of fields, bases in their place. */
function outline(document: ValueDocument | undefined): unknown {
  const { value, text, fields } = document ?? { type: '?' };
  if (fields === undefined) return text ?? value;
  const own = fields.filter((field) => !field.name.startsWith('_vptr'));
  return Object.fromEntries(own.map((field) => [field.name, outline(field)]));
}

describe.each(builds.filter(([name]) => name.includes('-O0')))('%s: every value', (_name, command, flags) => {
  const built = new Built(command, flags);
  open.push(built);
  const locals = built.locals();
  const shown = (name: string): unknown => outline(locals.get(name)?.target ?? locals.get(name));

  test.each([
    ['circle', { 'shop::Shape': { id: '7' }, radius: '2.5' }],
    ['second', { 'shop::Named': { name: 'named' }, 'shop::Shape': { id: '7' }, extra: '9' }],
    ['hidden', { 'shop::Shape': { id: '7' }, hidden: '21' }],
    ['one', { 'shop::Shape': { id: '7' }, one: '31' }],
    ['two', { 'shop::Shape': { id: '7' }, pad: 'two', two: '32' }],
    [
      'common',
      {
        'shop::Left': { 'shop::Common': { common: '11' }, left: '12' },
        'shop::Right': { 'shop::Common': { common: '11' }, right: '13' },
        diamond: '14',
      },
    ],
    ['unique', { 'shop::Shape': { id: '7' }, radius: '2.5' }],
    ['shared', { 'shop::Named': { name: 'named' }, 'shop::Shape': { id: '7' }, extra: '9' }],
    ['constant', { 'shop::Named': { name: 'named' }, 'shop::Shape': { id: '7' }, extra: '9' }],
    ['data', '&Plain::second'],
    ['noData', 'NULL'],
    ['otherCircle', { different: '1' }],
    ['counter', { kind: 'shop::Counter::large', mode: 'shop::Mode::slow', count: '1' }],
  ])('%s', (name, expected) => {
    expect(shown(name)).toEqual(expected);
  });

  test('members that pointers point to, as gdb names their types', () => {
    expect(locals.get('data')).toMatchObject({ type: 'int Plain::*', value: '4' });
    const method = locals.get('method');
    expect(method?.type).toMatch(/^int \(shop::Counter::\*\)\(shop::Counter \*(?: const)?, int\)$/);
    expect(method?.fields?.[0]?.text).toBe('shop::Counter::get');
    expect(locals.get('virtualMethod')?.fields?.map((field) => field.value)).toEqual(['0x1', '0']);
  });

  test('closures have what they captured, also within a std::function', () => {
    const captured = locals
      .get('closure')
      ?.fields?.map((field) => [field.name.replace(/^__/, ''), field.text ?? field.value]);
    expect(captured?.slice(0, 2)).toEqual([
      ['number', '2'],
      ['text', 'captured'],
    ]);
    const held = locals.get('function')?.fields?.[0];
    expect(held?.fields?.map((field) => field.text ?? field.value)).toEqual(
      locals.get('closure')?.fields?.map((field) => field.text ?? field.value),
    );
  });

  test('what std::any holds', () => {
    const any = locals.get('any');
    expect(any?.kind).toBe('variant');
    expect(outline(any?.fields?.[0])).toEqual(shown('both'));
  });
});
