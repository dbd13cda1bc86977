import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CallBatch, Label, notMade } from '../../../agent/linux/call-batch.js';
import { WaitLimit } from '../../../agent/linux/wait-limit.js';
import { batchInstructions, handlerInstructions } from '../../../agent/linux/call-batch-code.js';

const SYS_getpid = 39;
const SYS_clock_gettime = 228;
const SYS_close = 3;
const CLOCK_MONOTONIC = 1n;
const SYS_nanosleep = 35;
const EBADF = 9n;
const EINTR = 4n;
const enough = 1000;
const noDescriptor = 1_000_000n;

describe('the code', () => {
  test.each([
    ['of batches', batchInstructions],
    ['of the handler', handlerInstructions],
  ])('%s is what the assembler makes of its text', (_, instructions) => {
    const folder = mkdtempSync(join(tmpdir(), 'call-batch-'));
    try {
      const file = (name: string): string => join(folder, name);
      const text = instructions.map(([assembly]) => assembly).join('\n');
      writeFileSync(file('code.s'), `${text.replaceAll(': ', ':\n')}\n`);
      execFileSync('as', ['-o', file('code.o'), file('code.s')]);
      execFileSync('objcopy', ['-O', 'binary', '-j', '.text', file('code.o'), file('code.bin')]);
      const bytes = instructions.map(([, hex]) => hex).join('');
      expect(bytes).toBe(readFileSync(file('code.bin')).toString('hex'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('batches of calls', () => {
  test('make system calls and keep their results, errors too', () => {
    using batch = new CallBatch(4, 2);
    const time = batch.reserve(2);
    const pid = batch.call({ number: SYS_getpid, args: [] });
    const clock = batch.call({ number: SYS_clock_gettime, args: [CLOCK_MONOTONIC, time] });
    const failed = batch.call({ number: SYS_close, args: [noDescriptor] });
    const end = batch.end();
    batch.seal();
    const beganNs = process.hrtime.bigint();
    expect(batch.run(pid, enough)).toBe(end);
    const endedNs = process.hrtime.bigint();
    expect(batch.result(pid)).toBe(BigInt(process.pid));
    expect(batch.result(clock)).toBe(0n);
    expect(batch.result(failed)).toBe(-EBADF);
    const ns = batch.read(time) * 1_000_000_000n + batch.read(time + 8n);
    expect(ns > beganNs && ns < endedNs).toBe(true);
  });

  test('go where the sign of a result leads', () => {
    using batch = new CallBatch(8, 2);
    const value = batch.reserve(1);
    const [below, equal, above] = [new Label(), new Label(), new Label()];
    const compare = batch.compare(
      { at: value, value: 7n, mask: 0xffn },
      { negative: below, zero: equal, positive: above },
    );
    batch.end();
    batch.place(below);
    const isBelow = batch.end();
    batch.place(equal);
    const isEqual = batch.end();
    batch.place(above);
    const isAbove = batch.end();
    batch.seal();
    const endFor = (word: bigint): number => {
      batch.write(value, word);
      return batch.run(compare, enough);
    };
    expect(endFor(6n)).toBe(isBelow);
    expect(endFor(0xf07n)).toBe(isEqual);
    expect(endFor(8n)).toBe(isAbove);
  });

  test('compare words with each other', () => {
    using batch = new CallBatch(2, 2);
    const [one, other] = [batch.reserve(1, 5n), batch.reserve(1, 9n)];
    const compare = batch.compare({ at: one, with: other });
    batch.end();
    batch.seal();
    batch.run(compare, enough);
    expect(batch.result(compare)).toBe(-4n);
  });

  test('copy words, and jump back', () => {
    using batch = new CallBatch(4, 3);
    const count = batch.reserve(1, 0n);
    const seen = batch.reserve(1);
    const again = new Label();
    batch.place(again);
    const first = batch.copy({ to: count, from: count, add: 1n });
    batch.compare({ at: count, value: 100n }, { negative: again });
    batch.copy({ to: seen, from: count, add: 0xff00n, mask: 0xf0fn });
    const end = batch.end();
    batch.seal();
    expect(batch.run(first, enough)).toBe(end);
    expect(batch.read(count)).toBe(100n);
    expect(batch.read(seen)).toBe((100n + 0xff00n) & 0xf0fn);
  });

  test('an argument can be what another record found', () => {
    using batch = new CallBatch(4, 0);
    const pid = batch.call({ number: SYS_getpid, args: [] });
    const getpgid = batch.call({ number: 121, args: [0n] });
    batch.end();
    const copy = batch.copy({ to: batch.argumentAddress(getpgid, 0), from: batch.resultAddress(pid) });
    batch.seal();
    batch.run(pid, 1);
    expect(batch.result(getpgid)).toBe(notMade);
    expect(batch.run(copy, 1)).toBe(copy + 1);
    batch.run(getpgid, enough);
    expect(batch.result(getpgid)).toBeGreaterThan(0n);
  });

  test('end after as many records as they may take', () => {
    using batch = new CallBatch(2, 1);
    const count = batch.reserve(1);
    const again = new Label();
    batch.place(again);
    const first = batch.copy({ to: count, from: count, add: 1n }, { positive: again });
    batch.end();
    batch.seal();
    expect(batch.run(first, 12_345)).toBe(first);
    expect(batch.read(count)).toBe(12_345n);
  });

  test('have bounds of their own', () => {
    using batch = new CallBatch(1, 1);
    expect(() => batch.reserve(2)).toThrow('a batch of calls has no room for more data');
    batch.end();
    expect(() => batch.end()).toThrow('a batch of calls has no room for more records');
    using other = new CallBatch(1, 0);
    other.call({ number: SYS_getpid, args: [] }, { zero: new Label() });
    expect(() => other.seal()).toThrow('a label leads nowhere');
  });
});

describe('a limit of waits', () => {
  test('ends calls that block, and leaves others alone when it is taken back', () => {
    using batch = new CallBatch(8, 16);
    using limit = new WaitLimit();
    const millisecond = 1_000_000n;
    const [set, unset] = [batch.reserve(4, 0n, millisecond, 0n, millisecond), batch.reserve(4)];
    const [long, short] = [batch.reserve(2, 600n), batch.reserve(2, 0n, 30n * millisecond)];
    const first = batch.call(limit.setCall(set));
    const ended = batch.call({ number: SYS_nanosleep, args: [long, 0n] });
    const again = batch.call({ number: SYS_nanosleep, args: [long, 0n] });
    const taken = batch.call(limit.setCall(unset));
    const slept = batch.call({ number: SYS_nanosleep, args: [short, 0n] });
    batch.end();
    batch.seal();
    batch.run(first, enough);
    expect([first, ended, again, taken, slept].map((record) => batch.result(record))).toEqual([
      0n,
      -EINTR,
      -EINTR,
      0n,
      0n,
    ]);
  });
});
