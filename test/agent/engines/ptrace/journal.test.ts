import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  Journal,
  type JournalEntry,
  encodeEntry,
  parseEntry,
} from '../../../../agent/engines/ptrace/journal.js';
import { CodePatcher } from '../../../../agent/linux/memory-patch.js';
import { readMaps, readStat } from '../../../../agent/linux/proc.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { askCounts, busyProgram, symbolAddress } from './target.js';

let folder = '';
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'journal-')), 'inner');
});
afterEach(() => {
  rmSync(join(folder, '..'), { recursive: true });
});

const deadTracer = { pid: 0x3fffffff, startTicks: 1n };

async function startIdle(): Promise<{ target: RunningProgram; entry: JournalEntry; addresses: bigint[] }> {
  const target = startProgram(busyProgram, ['0']);
  await target.nextLine();
  const base = readMaps(target.pid).find((mapping) => mapping.path === busyProgram)?.start ?? 0n;
  const addresses = ['work', 'second'].map((name) => base + symbolAddress(busyProgram, name));
  using patcher = new CodePatcher(target.pid);
  const { startTicks } = readStat(target.pid);
  const bytes = addresses.map((address) => ({ address, original: patcher.read(address) }));
  return { target, addresses, entry: { pid: target.pid, startTicks, tracer: deadTracer, bytes } };
}

describe('the journal, replayed after a tracer died', () => {
  /** What was patched of two bytes when it died. */
  test.each([
    ['before the first byte was patched', 0],
    ['between two bytes', 1],
    ['after the last byte was patched', 2],
  ])('%s', async (_, count) => {
    const { target, entry, addresses } = await startIdle();
    await using _target = target;
    const journal = new Journal(folder);
    journal.write(entry);
    using patcher = new CodePatcher(target.pid);
    for (const address of addresses.slice(0, count)) patcher.write(address, 0xcc);
    expect(journal.replay()).toEqual([`put back ${count} of 2 bytes in process ${target.pid}`]);
    expect(addresses.map((address) => patcher.read(address))).toEqual(
      entry.bytes.map(({ original }) => original),
    );
    expect(readdirSync(folder)).toEqual([]);
    expect(journal.replay()).toEqual([]);
    expect((await askCounts(target)).calls).toBe(0);
  });

  test('leaves alone what a living tracer owns', async () => {
    const { target, entry, addresses } = await startIdle();
    await using _target = target;
    const journal = new Journal(folder);
    journal.write({ ...entry, tracer: { pid: process.pid, startTicks: readStat(process.pid).startTicks } });
    using patcher = new CodePatcher(target.pid);
    patcher.write(addresses[0] ?? 0n, 0xcc);
    expect(journal.replay()).toEqual([]);
    expect(patcher.read(addresses[0] ?? 0n)).toBe(0xcc);
    expect(readdirSync(folder)).toHaveLength(1);
    journal.remove(entry);
    journal.remove(entry);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('never writes into another process that got the number', async () => {
    const { target, entry, addresses } = await startIdle();
    await using _target = target;
    const journal = new Journal(folder);
    journal.write({ ...entry, startTicks: entry.startTicks + 1n });
    using patcher = new CodePatcher(target.pid);
    patcher.write(addresses[0] ?? 0n, 0xcc);
    const [file = ''] = readdirSync(folder);
    expect(journal.replay()).toEqual([
      `cannot replay "${join(folder, file)}": process ${target.pid} is gone`,
    ]);
    expect(patcher.read(addresses[0] ?? 0n)).toBe(0xcc);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('an entry that was cut off is taken away', () => {
    const journal = new Journal(folder);
    journal.write({
      pid: 1,
      startTicks: 1n,
      tracer: { pid: process.pid, startTicks: readStat(process.pid).startTicks },
      bytes: [],
    });
    writeFileSync(join(folder, '5-6.json'), '{"version":1,"pid"');
    writeFileSync(join(folder, '7-8.json.999999999.unfinished'), '');
    expect(journal.replay()).toEqual([
      `cannot replay "${join(folder, '5-6.json')}": cannot parse journal "${join(folder, '5-6.json')}": it is no JSON`,
    ]);
    expect(readdirSync(folder)).toEqual(['1-1.json']);
  });

  test('a folder that others may write to is not trusted', () => {
    const journal = new Journal(folder);
    expect(journal.replay()).toEqual([]);
    expect(existsSync(folder)).toBe(false);
    journal.write({ pid: 1, startTicks: 1n, tracer: deadTracer, bytes: [] });
    chmodSync(folder, 0o777);
    const message = `cannot use the journal folder "${folder}": it is not ours alone`;
    expect(() => journal.replay()).toThrow(message);
    expect(() => journal.write({ pid: 1, startTicks: 1n, tracer: deadTracer, bytes: [] })).toThrow(message);
  });
});

describe('an entry', () => {
  const entry: JournalEntry = {
    pid: 5,
    startTicks: 6n,
    tracer: { pid: 7, startTicks: 8n },
    bytes: [{ address: 0x401136n, original: 0x55 }],
  };

  test('reads as it was written', () => {
    expect(parseEntry(encodeEntry(entry), 'x')).toEqual(entry);
  });

  test.each([
    [{ version: 2 }, 'version is not 1'],
    [{ pid: -1 }, 'pid is not a number'],
    [{ startTicks: 5 }, 'startTicks is not a number'],
    [{ tracer: null }, 'pid is not a number'],
    [{ bytes: 5 }, 'bytes is not a list'],
    [{ bytes: [['401136', 1]] }, 'an address is not hex'],
    [{ bytes: [['0x401136', 256]] }, 'an original is not a byte'],
    [{ bytes: [null] }, 'an address is not hex'],
  ])('with %j is refused', (change, reason) => {
    const json = JSON.stringify({ ...(JSON.parse(encodeEntry(entry)) as object), ...change });
    expect(() => parseEntry(json, 'x')).toThrow(`cannot parse journal "x": ${reason}`);
  });
});
