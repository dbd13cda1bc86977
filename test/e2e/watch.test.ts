/** `stillframe watch`: who wrote, the value before and after, and what cannot be watched. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { probeLine } from '../support/fixtures.js';
import type { SnapshotJson } from '../support/documents.js';
import { compileFixture } from '../support/compile.js';
import { type RunningProgram, startProgram } from '../support/running-program.js';
import { checkerProgram } from '../soak/kill-storm.js';

interface WatchedJson extends SnapshotJson {
  readonly written: {
    readonly expression: string;
    readonly address: string;
    readonly bytes: number;
    readonly before: { readonly type: string; readonly value?: string; readonly text?: string };
    readonly after: { readonly type: string; readonly value?: string; readonly text?: string };
    readonly changed: boolean;
    readonly by?: { readonly function?: string; readonly line?: number };
  };
}

let workplace: Workplace;
let checker: RunningProgram;
let writes: RunningProgram;

beforeAll(async () => {
  workplace = openWorkplace();
  await workplace.startAgent();
  checker = startProgram(checkerProgram(), ['2']);
  const path = compileFixture('probe-lab/writes.c', { cc: 'gcc', flags: ['-g', '-O0', '-pthread'] });
  writes = startProgram(path);
  await checker.nextLine();
  await writes.nextLine();
});
afterAll(async () => {
  await checker?.[Symbol.asyncDispose]();
  await writes?.[Symbol.asyncDispose]();
  await workplace?.[Symbol.asyncDispose]();
});

const watch = async (...args: string[]): Promise<readonly WatchedJson[]> =>
  (await workplace.json('watch', ...args)) as WatchedJson[];

test('a write of a busy service: the line that wrote, the stack, the values', async () => {
  const pid = String(checker.pid);
  const snapshots = await watch(pid, 'latest', '--if', 'latest % 2 == 0', '--hits', '2', '--every', '10ms');
  expect(snapshots).toHaveLength(2);
  for (const { engine, location, written, frames, point } of snapshots) {
    const line = probeLine('probe-lab', 'checker.c', 'latest');
    expect(engine).toBe('watch');
    expect(location).toMatchObject({ function: 'step', line });
    expect(written).toMatchObject({
      expression: 'latest',
      bytes: 8,
      changed: true,
      by: { function: 'step', line },
    });
    const [before = 0n, after = 1n] = [written.before.value, written.after.value].map((value) =>
      BigInt(value ?? '0'),
    );
    expect(after % 2n).toBe(0n);
    // Each of the two threads writes three times its own numbers.
    for (const value of [before, after]) expect([3n, 6n]).toContain(value >> 40n);
    expect(frames.slice(0, 2).map((frame) => frame.function)).toEqual(['step', 'run']);
    const work = frames[0]?.locals.find(({ name }) => name === 'work');
    expect(work?.target?.fields?.find(({ name }) => name === 'result')?.value).toBe(written.after.value);
    const [known] = (await workplace.json('points', point)) as [
      { readonly location: string; readonly why: string },
    ];
    expect(known.location).toBe('writes of latest');
    const [listed] = (await workplace.json('snapshots', '--point', point)) as [
      { readonly location: { readonly function?: string } },
    ];
    expect(listed.location.function).toBe('writes of latest');
  }
});

test('an enumeration behind a pointer, by its names; as text, too', async () => {
  const pid = String(writes.pid);
  const told = setInterval(() => writes.child.stdin.write('head 1\n'), 300);
  try {
    const [snapshot] = await watch(pid, 'head->mode', '--changed', '--capture', 'head->id');
    const names = ['IDLE', 'BUSY', 'GONE'];
    const at = names.indexOf(snapshot?.written.before.text ?? '');
    expect(at).toBeGreaterThanOrEqual(0);
    expect(snapshot?.written.after.text).toBe(names[(at + 1) % 3]);
    expect(snapshot?.location).toMatchObject({
      function: 'main',
      line: probeLine('probe-lab', 'writes.c', 'head'),
    });
    expect(snapshot?.captures).toMatchObject([{ expression: 'head->id', value: '0' }]);
    const text = await workplace.run('watch', pid, 'head->mode', '--wait', '110s');
    expect(text.stdout).toMatch(
      /^head->mode {2}(IDLE → BUSY|BUSY → GONE|GONE → IDLE) {2}4 bytes at 0x[0-9a-f]+\nwritten by main at writes\.c:\d+$/m,
    );
    expect(text.status).toBe(0);
  } finally {
    clearInterval(told);
  }
});

test('explained: the address, the condition, how often it is written', async () => {
  const of = [String(checker.pid), 'latest', '--watch', '--if', 'latest > 0'];
  const [explained] = (await workplace.json('explain', ...of, '--measure', '500ms')) as [
    {
      readonly watch: object;
      readonly sites: readonly object[];
      readonly measured: { readonly hits: number };
    },
  ];
  expect(explained.watch).toMatchObject({ expression: 'latest', type: 'int64_t', bytes: 8 });
  expect(explained.sites).toEqual([]);
  expect(explained.measured.hits).toBeGreaterThan(100);
  const text = await workplace.run('explain', ...of);
  expect(text.stdout).toMatch(/^latest {2}int64_t, 8 bytes, in an address register of each thread$/m);
});

test('what repeats itself is still at its instruction', async () => {
  const told = setInterval(() => writes.child.stdin.write(`fill ${1 + (Date.now() % 100)}\n`), 300);
  try {
    const [snapshot] = await watch(String(writes.pid), 'bytes[5]');
    expect(snapshot?.location).toMatchObject({
      function: 'main',
      line: probeLine('probe-lab', 'writes.c', 'fill'),
    });
  } finally {
    clearInterval(told);
  }
});

test.each([
  [['valve'], 6, /did you mean "value"/],
  [['line'], 6, /a local ends with its frame/],
  [['bytes'], 6, /of 16 bytes, and the processor watches 1, 2, 4 or 8/],
  [['head->count', '--wait', '2s'], 4, /nobody has written there yet/],
])('%j', async (args, status, message) => {
  const result = await workplace.run('watch', String(writes.pid), ...args);
  expect(result.stderr).toMatch(message);
  expect(result.status).toBe(status);
});
