import { describe, expect, test } from 'vitest';
import type { FrameDocument, SnapshotDocument } from '../../../controller/snapshot/document.js';
import type { ValueDocument } from '../../../controller/types/value-document.js';
import { renderSnapshot } from '../../../controller/cli/render-snapshot.js';
import { renderValueText } from '../../../controller/cli/render-value.js';
import { clean } from '../../../controller/cli/style.js';

const int = (value: number): ValueDocument => ({ type: 'int', kind: 'int', value: String(value) });
const options = { indent: 2, width: 60 };

describe('values as text', () => {
  test.each<[string, ValueDocument, string]>([
    ['an integer', int(-3), '-3'],
    ['an enumerator', { type: 'enum tier', kind: 'enum', value: '2', text: 'GOLD' }, 'GOLD'],
    ['a character', { type: 'char', kind: 'char', value: '97', text: "'a'" }, "'a' (97)"],
    ['a null pointer', { type: 'int *', kind: 'pointer', value: '0x0' }, 'NULL'],
    ['a pointer to an int', { type: 'int *', kind: 'pointer', value: '0x10', target: int(5) }, '0x10 → 5'],
    [
      'a string behind a pointer',
      {
        type: 'char *',
        kind: 'pointer',
        value: '0x10',
        text: 'a"b\n',
        target: { type: 'char', kind: 'char', value: '97' },
      },
      '0x10 "a\\"b\\n"',
    ],
    [
      'a function pointer',
      { type: 'int (*)(void)', kind: 'pointer', value: '0x10', text: 'main' },
      '0x10 <main>',
    ],
    [
      'a function of Rust',
      { type: 'fn(&i32) -> u8', kind: 'pointer', value: '0x10', text: 'shop::total' },
      '0x10 <shop::total>',
    ],
    [
      'a function of Go',
      { type: 'func(int) error', kind: 'pointer', value: '0x10', text: 'main.f' },
      '0x10 <main.f>',
    ],
    [
      'a function of Go by a name of its type',
      { type: 'context.CancelFunc', kind: 'pointer', value: '0x10', text: 'context.f.func1' },
      '0x10 <context.f.func1>',
    ],
    [
      'characters of an array',
      {
        type: 'char [4]',
        kind: 'array',
        text: 'EUR',
        length: 4,
        elements: [int(69), int(85), int(82), int(0)],
      },
      '"EUR"',
    ],
    [
      'equal elements, and those beyond the limit',
      { type: 'int [9]', kind: 'array', length: 9, elements: [int(1), int(0), int(0), int(0), int(2)] },
      '[1, 0 × 3, 2, … 4 more]',
    ],
    [
      'what is absent',
      { type: 'int', kind: 'int', absent: { reason: 'optimized-out', detail: 'available at lines 3-5' } },
      '<optimized out: available at lines 3-5>',
    ],
  ])('%s', (_, value, text) => {
    expect(renderValueText(value, options)).toBe(text);
  });

  test('a struct on one line where it fits, else a line a field', () => {
    const point: ValueDocument = {
      type: 'struct point',
      kind: 'struct',
      fields: [
        { name: 'x', ...int(1) },
        { name: 'y', ...int(2) },
      ],
    };
    expect(renderValueText(point, options)).toBe('{x = 1, y = 2}');
    expect(renderValueText(point, { indent: 2, width: 10 })).toBe('{\n    x = 1\n    y = 2\n  }');
  });

  test('a target cannot write to the terminal', () => {
    const value: ValueDocument = {
      type: 'char *',
      kind: 'pointer',
      value: '0x1',
      text: '\u001B[31mred\u0007\u202Eabc',
    };
    expect(renderValueText(value, options)).toBe(String.raw`0x1 "\x1b[31mred\x07\u{202e}abc"`);
    expect(clean('a\u009Bb')).toBe(String.raw`a\x9bb`);
  });
});

test('a snapshot as text', () => {
  const document: SnapshotDocument = {
    id: 's1',
    point: 'p1',
    pid: 7,
    tid: 8,
    comm: 'worker\u001B',
    host: 'here',
    buildId: 'ab',
    time: '2026-11-23T05:00:00.000000001Z',
    engine: 'uprobe',
    location: { function: 'charge', file: '/nowhere/orders.c', line: 70, address: '0x1234' },
    frames: [
      {
        index: 0,
        function: 'charge',
        file: '/nowhere/orders.c',
        line: 70,
        address: '0x1234',
        inlined: true,
        locals: [{ name: 'due', ...int(12) }],
      },
      {
        index: 1,
        address: '0x9999',
        inlined: false,
        locals: [],
        absent: { reason: 'unwind-failed', detail: 'no call frame information' },
      },
    ],
    captures: [
      {
        expression: 'a->b',
        type: 'int',
        kind: 'int',
        absent: { reason: 'not-captured', detail: '4 bytes at 0x10', hint: "--capture 'a->b'" },
      },
    ],
    threads: [{ tid: 8, comm: 'worker', state: 'R' }],
    cost: { hits: 12345, conditionFalse: 12344, dropped: 0, faults: 1, bytes: 20000, stoppedNs: 0 },
  };
  expect(renderSnapshot(document)).toBe(
    [
      String.raw`snapshot s1  worker\x1b (pid 7, thread 8) on here  2026-11-23T05:00:00.000000001Z`,
      'in charge at orders.c:70, engine uprobe, point p1',
      '',
      '#0   charge  orders.c:70  (inlined)',
      '     due int = 12',
      '#1   ??  0x9999',
      '     <unwind failed: no call frame information>',
      '',
      'captured',
      "  a->b int = <not captured: 4 bytes at 0x10>\n    hint: --capture 'a->b'",
      '',
      'cost  12,345 hits, condition false 12,344 times, 1 fault, 19.5 KiB captured, nothing stopped',
    ].join('\n'),
  );
});

test('a core of others without the stacks of its other threads, and with its goroutines', () => {
  const frame = (name: string, address: string): FrameDocument => ({
    index: 0,
    function: name,
    address,
    inlined: false,
    locals: [],
  });
  const core: SnapshotDocument = {
    id: 'core',
    point: '',
    pid: 7,
    tid: 7,
    comm: 'server',
    host: '',
    buildId: '',
    engine: 'core',
    location: { function: 'main.main', address: '0x10' },
    frames: [frame('main.main', '0x10')],
    captures: [],
    threads: [
      { tid: 7, comm: '', state: '?' },
      { tid: 8, comm: '', state: '?' },
    ],
  };
  const heading = ['snapshot core  server (pid 7, thread 7)', 'in main.main, engine core', ''];
  expect(renderSnapshot(core)).toBe([...heading, '#0   main.main  0x10'].join('\n'));
  const whole: SnapshotDocument = {
    ...core,
    threads: core.threads.map((thread) => ({ ...thread, frames: thread.tid === 7 ? core.frames : [] })),
    goroutines: [
      { id: '1', state: 'running', thread: 7, frames: core.frames },
      { id: '4', state: 'waiting', waitReason: 'chan receive', frames: [frame('runtime.gopark', '0x20')] },
      { id: '', state: '?', frames: [], absent: { reason: 'unreadable', detail: 'nothing is there' } },
    ],
  };
  expect(renderSnapshot(whole, { allThreads: true })).toBe(
    [
      ...heading,
      'thread 7   state ?',
      '#0   main.main  0x10',
      '',
      'thread 8   state ?',
      '',
      'goroutine 1  running, thread 7',
      '     the stack of thread 7',
      '',
      'goroutine 4  waiting, chan receive',
      '#0   runtime.gopark  0x20',
      '',
      'goroutine ?  ?',
      '  <unreadable: nothing is there>',
    ].join('\n'),
  );
});
