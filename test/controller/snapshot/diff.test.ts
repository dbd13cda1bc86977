import { describe, expect, test } from 'vitest';
import { compareLeaves } from '../../../controller/snapshot/compare-leaves.js';
import { diffSnapshots } from '../../../controller/snapshot/diff.js';
import {
  callersUnknown,
  type FrameDocument,
  type SnapshotDocument,
} from '../../../controller/snapshot/document.js';
import { leavesOf, type Leaves } from '../../../controller/snapshot/leaves.js';
import type { ValueDocument, VariableDocument } from '../../../controller/types/value-document.js';

const int = (value: number, more: Partial<ValueDocument> = {}): ValueDocument => ({
  type: 'int',
  kind: 'int',
  value: String(value),
  ...more,
});
const text = (content: string): ValueDocument => ({
  type: 'const char *',
  kind: 'pointer',
  value: '0x5000',
  text: content,
  target: { type: 'const char', kind: 'char', value: '97', text: 'a' },
});
const nothing: ValueDocument = { type: 'struct s *', kind: 'pointer', value: '0x0' };
const gone = (detail: string, reason: 'not-captured' | 'optimized-out' = 'not-captured'): ValueDocument => ({
  type: 'int',
  kind: 'int',
  absent: { reason, detail },
});
const struct = (fields: Record<string, ValueDocument>): ValueDocument => ({
  type: 'struct s',
  kind: 'struct',
  fields: Object.entries(fields).map(([name, value]) => ({ name, ...value })),
});
const pointer = (target: ValueDocument, value = '0x7000'): ValueDocument => ({
  type: 'struct s *',
  kind: 'pointer',
  value,
  target,
});
const named = (values: Record<string, ValueDocument>): VariableDocument[] =>
  Object.entries(values).map(([name, value]) => ({ name, ...value }));
const leaves = (values: Record<string, ValueDocument>): Leaves => leavesOf(named(values));
const told = (all: Leaves): Record<string, string> =>
  Object.fromEntries([...all.byName].map(([name, leaf]) => [name, leaf.text]));

describe('leaves', () => {
  test.each<[string, Record<string, ValueDocument>, Record<string, string>]>([
    ['a number', { n: int(-5) }, { n: '-5' }],
    ['an enum by its name', { e: { type: 'enum e', kind: 'enum', value: '2', text: 'GOLD' } }, { e: 'GOLD' }],
    ['an enum without a name for it', { e: { type: 'enum e', kind: 'enum', value: '7' } }, { e: '7' }],
    ['a character', { c: { type: 'char', kind: 'char', value: '97', text: 'a' } }, { c: 'a (97)' }],
    ['a string', { s: text('say "hi"\n\u001B[31m') }, { s: String.raw`"say \"hi\"\n\u001b[31m"` }],
    [
      'an array of characters',
      { s: { type: 'char[4]', kind: 'array', text: 'EUR', elements: [int(69), int(85)], length: 4 } },
      { s: '"EUR"' },
    ],
    ['NULL', { p: nothing }, { p: 'NULL' }],
    [
      'a function',
      { f: { type: 'int (*)(void)', kind: 'pointer', value: '0x401136', text: 'main' } },
      { f: '<main>' },
    ],
    [
      'a pointer to what is not shown',
      { p: { type: 'void *', kind: 'pointer', value: '0x1234' } },
      { p: '0x1234' },
    ],
    [
      'what a pointer leads to, by its expression',
      { p: pointer(struct({ a: int(1), b: pointer(struct({ c: int(2) })) })) },
      { p: '0x7000', 'p->a': '1', 'p->b': '0x7000', 'p->b->c': '2' },
    ],
    ['a pointer to a number', { p: pointer(int(3)) }, { p: '0x7000', '*p': '3' }],
    [
      'elements',
      { a: { type: 'struct s[2]', kind: 'array', elements: [struct({ x: int(1) }), struct({ x: int(2) })] } },
      { 'a[0].x': '1', 'a[1].x': '2' },
    ],
    [
      'members of what has no name, and of a base class',
      {
        v: {
          type: 'struct s',
          kind: 'struct',
          fields: [
            { name: '', ...struct({ inner: int(1) }) },
            { name: 'Base', base: true, ...struct({ deep: int(2) }) },
          ],
        },
      },
      { 'v.inner': '1', 'v.deep': '2' },
    ],
    [
      'what is absent, with the reason',
      { x: gone('optimized out', 'optimized-out'), y: gone('8 bytes at 0x10 were not captured') },
      { x: '<optimized out>', y: '<not captured: 8 bytes at 0x10 were not captured>' },
    ],
    [
      'what was not read in the moment of the hit',
      {
        n: int(1, { provenance: 'racy' }),
        s: { ...struct({ m: int(2) }), provenance: 'after-hit' },
        sure: int(3, { provenance: 'at-hit' }),
      },
      { n: '1 [racy]', 's.m': '2 [after-hit]', sure: '3' },
    ],
  ])('%s', (_, values, expected) => {
    expect(told(leaves(values))).toEqual(expected);
  });

  test('a variable that another one hides has a name of its own', () => {
    const shadowed = (value: number): VariableDocument => ({ name: 'i', shadowed: true, ...int(value) });
    expect(told(leavesOf([{ name: 'i', ...int(1) }, shadowed(2), shadowed(3)]))).toEqual({
      i: '1',
      'i (shadowed)': '2',
      'i (shadowed 2)': '3',
    });
  });

  test('what was asked for stands before locals, and one name once: the one that is known', () => {
    const captures = [
      { expression: 'p->a', ...gone('no') },
      { expression: 'x + 1', ...int(4) },
    ];
    const all = leavesOf(named({ p: pointer(struct({ a: int(1) })) }), captures);
    expect(told(all)).toEqual({ 'p->a': '1', 'x + 1': '4', p: '0x7000' });
    expect(all.byName.get('x + 1')?.asked).toBe(true);
  });

  test('a variable of thousands leaves room for the others, and what is left out is said', () => {
    const many = {
      type: 'int[]',
      kind: 'array' as const,
      elements: Array.from({ length: 5000 }, (_, i) => int(i)),
    };
    const a = leaves({ many, last: int(1) });
    expect(a.byName.get('last')?.text).toBe('1');
    expect(a.byName.size).toBe(500);
    expect(a.missing).toBe('<limit: more than 500 values>');
  });

  test('a long text is cut, and compared whole', () => {
    const [a, b] = ['x', 'y'].map((end) => leaves({ s: text(`${'a'.repeat(1000)}${end}`) }));
    if (a === undefined || b === undefined) throw new Error('no leaves');
    expect(a.byName.get('s')?.text).toMatch(/^"a{255}… \(1003 characters\)$/);
    expect(compareLeaves([a, b])[0]?.same).toBe(false);
  });
});

describe('what is the same', () => {
  const compare = (...columns: Record<string, ValueDocument>[]): Record<string, string[] | 'same'> =>
    Object.fromEntries(
      compareLeaves(columns.map(leaves)).map(({ name, same, texts }) => [name, same ? 'same' : [...texts]]),
    );

  test.each<[string, Record<string, ValueDocument>[], Record<string, string[] | 'same'>]>([
    ['equal numbers', [{ n: int(1) }, { n: int(1) }], { n: 'same' }],
    ['different ones', [{ n: int(1) }, { n: int(2) }], { n: ['1', '2'] }],
    ['one of three', [{ n: int(1) }, { n: int(1) }, { n: int(2) }], { n: ['1', '1', '2'] }],
    [
      'absent in both is not equal',
      [{ n: gone('optimized out', 'optimized-out') }, { n: gone('optimized out', 'optimized-out') }],
      { n: ['<optimized out>', '<optimized out>'] },
    ],
    ['absent in one', [{ n: int(1) }, { n: gone('not captured') }], { n: ['1', '<not captured>'] }],
    [
      'a string that goes on is not known to be equal',
      ['', ''].map(() => ({ s: { ...text('aaa'), absent: { reason: 'limit', detail: 'it goes on' } } })),
      { s: ['"aaa" <limit: it goes on>', '"aaa" <limit: it goes on>'] },
    ],
    [
      'strings, wherever they are',
      [{ s: text('a') }, { s: { ...text('a'), value: '0x6000' } }],
      { s: 'same' },
    ],
    [
      'pointers that lead to equal things elsewhere',
      [{ p: pointer(struct({ a: int(1) })) }, { p: pointer(struct({ a: int(1) }), '0x9000') }],
      { 'p->a': 'same' },
    ],
    [
      'a pointer that leads nowhere in one',
      [{ p: pointer(struct({ a: int(1) })) }, { p: nothing }],
      { p: ['0x7000', 'NULL'], 'p->a': ['1', '<none: p is NULL>'] },
    ],
    [
      'a pointer that is not known in one',
      [{ p: pointer(struct({ a: int(1) })) }, { p: gone('not captured') }],
      { p: ['0x7000', '<not captured>'], 'p->a': ['1', '<not captured>'] },
    ],
    [
      'a name that the other has not',
      [{ p: int(1) }, { pq: int(1) }],
      { p: ['1', '<none>'], pq: ['<none>', '1'] },
    ],
  ])('%s', (_, columns, expected) => {
    expect(compare(...columns)).toEqual(expected);
  });

  test('the most telling first', () => {
    const column = (
      id: number,
      kind: number,
      hex: string,
      known: boolean,
    ): Record<string, ValueDocument> => ({
      absent: gone('not captured'),
      address: { type: 'void *', kind: 'pointer', value: hex },
      id: int(id),
      half: known ? int(4) : gone('not captured'),
      kind: int(kind),
    });
    const order = compareLeaves(
      [column(1, 7, '0x1', true), column(2, 7, '0x2', false), column(3, 8, '0x3', true)].map(leaves),
    ).map(({ name }) => name);
    expect(order).toEqual(['kind', 'id', 'address', 'half', 'absent']);
  });

  test('of one snapshot all that is known is the same', () => {
    expect(compare({ n: int(1), p: pointer(int(2)), x: gone('no') })).toEqual({
      n: 'same',
      '*p': 'same',
      x: ['<not captured: no>'],
    });
  });
});

describe('two snapshots', () => {
  const frame = (
    name: string | undefined,
    line: number,
    more: Partial<FrameDocument> = {},
  ): FrameDocument => ({
    index: 0,
    ...(name === undefined ? {} : { function: name, file: `/src/${name}.c`, line }),
    address: `0x${(0x1000 + line).toString(16)}`,
    inlined: false,
    locals: [],
    ...more,
  });
  const snapshot = (
    frames: readonly FrameDocument[],
    more: Partial<SnapshotDocument> = {},
  ): SnapshotDocument => ({
    id: 'a',
    point: 'p',
    pid: 1,
    tid: 1,
    comm: 'c',
    host: 'h',
    buildId: 'b',
    engine: 'uprobe',
    location: {},
    frames,
    captures: [],
    threads: [],
    ...more,
  });
  const broken = {
    absent: { reason: 'not-captured' as const, detail: `${callersUnknown}: 8 bytes were not captured` },
  };

  test.each<[string, FrameDocument[], FrameDocument[], object]>([
    [
      'equal',
      [frame('f', 1), frame('main', 2)],
      [frame('f', 1), frame('main', 2)],
      { same: 'yes', common: 2 },
    ],
    [
      'another line of the caller',
      [frame('f', 1), frame('main', 2)],
      [frame('f', 1), frame('main', 3)],
      { same: 'no', common: 1, a: 'main main.c:2', b: 'main main.c:3' },
    ],
    [
      'another caller',
      [frame('f', 1), frame('g', 2)],
      [frame('f', 1), frame('h', 2)],
      { same: 'no', common: 1, a: 'g g.c:2', b: 'h h.c:2' },
    ],
    [
      'one ends before',
      [frame('f', 1), frame('main', 2)],
      [frame('f', 1)],
      { same: 'no', common: 1, a: 'main main.c:2', b: 'the stack ends' },
    ],
    [
      'one breaks off before',
      [frame('f', 1), frame('main', 2)],
      [frame('f', 1, broken)],
      { same: 'unknown', common: 1, a: 'main main.c:2', b: broken.absent.detail },
    ],
    [
      'both break off',
      [frame('f', 1, broken)],
      [frame('f', 1, broken)],
      { same: 'unknown', common: 1, a: broken.absent.detail, b: broken.absent.detail },
    ],
    ['no frames', [], [frame('f', 1)], { same: 'unknown', common: 0, a: 'no frame is known', b: 'f f.c:1' }],
  ])('stacks: %s', (_, a, b, expected) => {
    expect(diffSnapshots(snapshot(a), snapshot(b)).stack).toEqual(expected);
  });

  test('a frame without a name is equal by its address, in one process only', () => {
    const [a, b] = [snapshot([frame(undefined, 1)]), snapshot([frame(undefined, 1)])];
    expect(diffSnapshots(a, b).stack.same).toBe('yes');
    expect(diffSnapshots(a, snapshot([frame(undefined, 2)])).stack.same).toBe('no');
    expect(diffSnapshots(a, { ...b, pid: 2 }).stack).toEqual({
      same: 'unknown',
      common: 0,
      a: '0x1001',
      b: '0x1001',
    });
  });

  test('variables of each frame that both have, until the stacks part', () => {
    const caller = (n: number): FrameDocument => frame('caller', n, { locals: named({ n: int(n) }) });
    const locals = (n: number): Partial<FrameDocument> => ({ locals: named({ n: int(n), same: int(5) }) });
    const difference = diffSnapshots(
      snapshot([frame('f', 1, locals(1)), caller(7), frame('g', 9, locals(1))], {
        captures: [{ expression: 'x', ...int(1) }],
      }),
      snapshot([frame('f', 2, locals(2)), caller(7), frame('h', 9, locals(2))], { captures: [] }),
    );
    expect(difference.frames).toEqual([
      {
        index: 0,
        function: 'f',
        a: 'f.c:1',
        b: 'f.c:2',
        different: [{ name: 'n', a: '1', b: '2' }],
        same: [{ name: 'same', text: '5' }],
      },
      {
        index: 1,
        function: 'caller',
        a: 'caller.c:7',
        b: 'caller.c:7',
        different: [],
        same: [{ name: 'n', text: '7' }],
      },
    ]);
    expect(difference.captures).toEqual({ different: [{ name: 'x', a: '1', b: '<none>' }], same: [] });
  });
});
