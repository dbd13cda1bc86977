/** The thread that reads logs: bursts, patterns that are hard to match, its own death. */
import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LogReader, type LogMatch } from '../../../agent/watch/log-reader.js';

let folder: string;
let path: string;
let reader: LogReader;
const matches: LogMatch[] = [];
const states: string[] = [];
const listener = {
  matched: (match: LogMatch): void => void matches.push(match),
  state: (detail: string): void => void states.push(detail),
};
const counted = (): number => matches.reduce((sum, { count }) => sum + count, 0);
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 120_000, interval: 20 });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-reader-'));
  path = join(folder, 'app.log');
  writeFileSync(path, '');
  matches.length = 0;
  states.length = 0;
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  reader = new LogReader({ name: 'the default limits', patterns: undefined }, log);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reader[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test('at most one event a second, with the newest line and all that matched', async () => {
  using _watch = await reader.watch({ path, pattern: 'e' }, listener);
  const startedMs = performance.now();
  for (let i = 0; i < 30; i++) {
    appendFileSync(path, `line ${i}\nother\nxyz\n`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await until(() => expect(counted()).toBe(60));
  const seconds = (performance.now() - startedMs) / 1000;
  expect(matches.length).toBeGreaterThan(2);
  expect(matches.length).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
  expect(matches.at(-1)?.line).toBe('other');
  expect(Math.abs((matches.at(-1)?.timeMs ?? 0) - Date.now())).toBeLessThan(60_000);
});

test('a line is cut at a kibibyte, between characters', async () => {
  using _watch = await reader.watch({ path, pattern: 'end$' }, listener);
  appendFileSync(path, `${'€'.repeat(1000)}end\n`);
  await until(() => expect(matches).toHaveLength(1));
  expect(matches[0]?.line).toBe('€'.repeat(341));
});

test('a burst is read in time, says how far behind it is, and does not hold up this thread', async () => {
  using _watch = await reader.watch({ path, pattern: 'needle (\\d+)' }, listener);
  const block = Buffer.from(`${'some line of a log that has nothing in it\n'.repeat(25_000)}needle 1\n`);
  const blocks = 100;
  const fd = openSync(path, 'a');
  const delay = monitorEventLoopDelay({ resolution: 10 });
  for (let i = 0; i < blocks; i++) writeSync(fd, block);
  closeSync(fd);
  delay.enable();
  await until(() => expect(counted()).toBe(blocks));
  delay.disable();
  expect(states.some((state) => /^lines come faster than they are read: \d+ bytes/.test(state))).toBe(true);
  await until(() => expect(states.at(-1)).toBe(''));
  expect(delay.percentile(50) / 1e6).toBeLessThan(100);
});

test('a pattern that is hard to match delays other watches, and not this thread', async () => {
  const hard = '(a|b)*a(a|b){200}c';
  using _hard = await reader.watch(
    { path, pattern: hard },
    { matched: () => undefined, state: () => undefined },
  );
  const easy = join(folder, 'easy.log');
  writeFileSync(easy, '');
  using _easy = await reader.watch({ path: easy, pattern: 'x' }, listener);
  let seed = 1;
  const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff);
  const line = Array.from({ length: 65_000 }, () => (random() % 7 < 3 ? 'a' : 'b')).join('');
  for (let i = 0; i < 5; i++) appendFileSync(path, `${line}c\n`);
  appendFileSync(easy, 'x\n');
  const startedMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(performance.now() - startedMs).toBeLessThan(2000);
  await until(() => expect(matches).toHaveLength(1));
});

test('a reader that dies is started again, and says what it was', async () => {
  const { Worker } = await import('node:worker_threads');
  const started: InstanceType<typeof Worker>[] = [];
  const post = vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (
    this: (typeof started)[0],
    ...args
  ) {
    if (!started.includes(this)) started.push(this);
    post.mockRestore();
    this.postMessage(...(args as [unknown]));
  });
  using _watch = await reader.watch({ path, pattern: 'x' }, listener);
  const [worker] = started;
  await worker?.terminate();
  await until(() => expect(states).toEqual(['the thread that reads logs died', '']));
  await until(() => {
    appendFileSync(path, 'x\n');
    expect(counted()).toBeGreaterThan(0);
  });
});

test('more watches than the limit are refused', async () => {
  const watches: Disposable[] = [];
  for (let i = 0; i < 512; i++) watches.push(await reader.watch({ path, pattern: 'x' }, listener));
  await expect(reader.watch({ path, pattern: 'x' }, listener)).rejects.toMatchObject({
    code: 'limit',
    message: `cannot watch "${path}": 512 logs are watched already`,
  });
  appendFileSync(path, 'x\n');
  await until(() => expect(counted()).toBe(512));
  for (const watch of watches) watch[Symbol.dispose]();
  using _again = await reader.watch({ path, pattern: 'x' }, listener);
});
