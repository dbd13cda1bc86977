/**
 * Cores against gdb: those that the kernel and gcore wrote, read by us and by gdb; and a snapshot made of parts of one, read by gdb. What
 * a snapshot lacks gdb must report, never show as zeros or as the initial values of the program file.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isAbsent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import type { CapturedRange, Mapping } from '../../../format/capture.js';
import { AT } from '../../../format/core/auxv.js';
import { type CoreFile, openCore } from '../../../format/core/read.js';
import { writeCore } from '../../../format/core/write.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import { readUserRegister, userRegisterNames } from '../../../format/registers/x86-64.js';
import { captureOf, factsOf, heading } from '../../support/captures.js';
import { compileC } from '../../support/compile-c.js';
import { crashCore, liveCore } from '../../support/core.js';
import { thrown } from '../../support/thrown.js';

const source = `
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int known = 5;
int hidden = 11;
int empty;
const char message[] = "read only";
static void *wait_for_ever(void *unused) { for (;;) pause(); return unused; }
int main(int argc, char **argv) {
  (void)argv;
  pthread_t thread;
  pthread_create(&thread, NULL, wait_for_ever, NULL);
  known = 7;
  hidden = 12;
  empty = 13;
  puts("ready");
  fflush(stdout);
  if (argc > 1) abort();
  for (;;) pause();
}
`;

let program = '';
let folder = '';
let live: CoreFile;
let livePath = '';
let crashed: CoreFile;
let crashedPath = '';
const held: Disposable[] = [];

beforeAll(async () => {
  program = compileC(source, { name: 'pausing' });
  folder = mkdtempSync(join(tmpdir(), 'snapshot-'));
  const [running, died] = [await liveCore(program, []), crashCore(program, ['abort'])];
  held.push(running, died);
  [livePath, crashedPath] = [running.path, died.path];
  live = openCore(bufferSource(livePath, readFileSync(livePath)));
  crashed = openCore(bufferSource(crashedPath, readFileSync(crashedPath)));
});
afterAll(() => {
  for (const each of held) each[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function gdb(core: string, commands: readonly string[]): string {
  const settings = ['set debuginfod enabled off', 'set width 0', 'set print thread-events off'];
  const args = [
    '-q',
    '-nx',
    '-batch',
    ...settings.flatMap((each) => ['-iex', each]),
    program,
    core,
    ...commands.flatMap((each) => ['-ex', each]),
  ];
  const run = spawnSync('gdb', args, { encoding: 'utf8' });
  return `${run.stdout}\n${run.stderr}`;
}

/** The values of `print/x` in order. */
function printed(output: string): bigint[] {
  return [...output.matchAll(/^\$\d+ = (0x[0-9a-f]+)$/gm)].map(([, value]) => BigInt(value ?? ''));
}

function biasOf(core: CoreFile): bigint {
  const elf = openElf(bufferSource(program, readFileSync(program)));
  return (core.auxv.get(AT.AT_ENTRY) ?? 0n) - elf.entry;
}

function addressOf(core: CoreFile, name: string): bigint {
  const elf = openElf(bufferSource(program, readFileSync(program)));
  const symbol = elf.symbols().find((each) => each.name === name);
  return linkAddress((symbol?.value ?? 0n) + biasOf(core));
}

function bytesOf(core: CoreFile, address: bigint, length: number): Uint8Array {
  const read = core.memory.read(address, length);
  if (isAbsent(read)) throw new Error(read.detail);
  return Uint8Array.from(read.bytes);
}

describe.each([
  ['gcore', () => [live, livePath] as const, 0],
  ['the kernel', () => [crashed, crashedPath] as const, 6],
])('a core of %s', (_, given, signal) => {
  test('registers of all threads are those that gdb shows', () => {
    const [core, path] = given();
    expect(core.threads).toHaveLength(2);
    // Segment and system registers have other names or none in gdb.
    const names = userRegisterNames.filter((name) => !['orig_rax', 'eflags'].includes(name));
    for (const thread of core.threads) {
      const out = gdb(path, [
        `python [t.switch() for t in gdb.selected_inferior().threads() if t.ptid[1] == ${thread.tid}]`,
        ...names.map((name) => `print/x (unsigned long) $${name}`),
      ]);
      expect(printed(out)).toEqual(names.map((name) => readUserRegister(thread.registers, name)));
    }
  });

  test('process, files and memory', () => {
    const [core, path] = given();
    expect(core.note).toBeUndefined();
    expect(core.process).toMatchObject({ comm: 'pausing', args: expect.stringContaining(program) as string });
    expect(core.threads[0]?.signal).toBe(signal);
    expect(core.threads.map((thread) => thread.fpRegisters?.length)).toEqual([512, 512]);
    const rows = [
      ...gdb(path, ['info proc mappings']).matchAll(
        /^ +(0x[0-9a-f]+) +(0x[0-9a-f]+) +0x[0-9a-f]+ +(0x[0-9a-f]+) +(\S+)/gm,
      ),
    ].map(([, start, end, offset, file]) => ({
      start: BigInt(start ?? ''),
      end: BigInt(end ?? ''),
      fileOffset: Number(offset),
      path: file,
    }));
    expect(rows.length).toBeGreaterThan(5);
    expect(core.mappings).toEqual(rows);
    expect(bytesOf(core, addressOf(core, 'known'), 4)).toEqual(Uint8Array.of(7, 0, 0, 0));
    expect(core.memory.read(addressOf(core, 'known'), 4)).toMatchObject({ provenance: 'stopped' });
    expect(core.memory.read(8n, 4)).toMatchObject({ absent: 'not-captured', address: 8n });
  });
});

test('a core of the kernel cut short has its threads, and what is before the cut', () => {
  const whole = readFileSync(crashedPath);
  const last = crashed.elf.segments.findLast((segment) => segment.type === 1 && segment.fileSize > 0);
  const cut = openCore(bufferSource(crashedPath, whole.subarray(0, (last?.offset ?? 0) + 5)));
  expect(cut.threads.map((thread) => thread.tid)).toEqual(crashed.threads.map((thread) => thread.tid));
  const at = last?.virtualAddress ?? 0n;
  expect(cut.memory.read(at, 5)).toMatchObject({ provenance: 'stopped' });
  expect(cut.memory.read(at, 6)).toMatchObject({ absent: 'not-captured', address: at + 5n, length: 1 });
});

test('a core of gcore cut short has lost its notes, which stand at its end', () => {
  const whole = readFileSync(livePath);
  const notes = live.elf.segments.find((segment) => segment.type === 4);
  const size = (notes?.offset ?? 0) + 100;
  expect(thrown(() => openCore(bufferSource('core', whole.subarray(0, size))))).toBe(
    `bad-data: cannot parse ELF file "core": the notes of segment 0, ${notes?.fileSize} bytes, reach past the end of its ${size} bytes at offset 0x${notes?.offset.toString(16)}`,
  );
});

describe('a snapshot in gdb', () => {
  function mappingsOf(core: CoreFile): Mapping[] {
    return core.elf.segments
      .filter((segment) => segment.type === 1)
      .map((segment) => {
        const start = segment.virtualAddress;
        const file = core.mappings.find((each) => each.start <= start && start < each.end);
        const has = (flag: number, letter: string): string => ((segment.flags & flag) === 0 ? '-' : letter);
        return {
          start,
          end: start + segment.memorySize,
          fileOffset: file?.fileOffset ?? 0,
          permissions: `${has(4, 'r')}${has(2, 'w')}${has(1, 'x')}p`,
          inode: file === undefined ? 0 : 1,
          device: '0:0',
          path: file?.path ?? '',
          deleted: false,
        };
      });
  }

  /** One thread, its stack, and the variable `known`. */
  function snapshot(core: CoreFile, more: readonly CapturedRange[] = []): string {
    const [thread] = core.threads;
    if (thread === undefined) throw new Error('no thread');
    const rsp = readUserRegister(thread.registers, 'rsp');
    const range = (path: string, address: bigint, length: number): CapturedRange => ({
      path,
      address,
      bytes: bytesOf(core, address, length),
      provenance: 'at-hit',
    });
    const auxv = core.elf.notes().find((note) => note.type === 6)?.description ?? new Uint8Array(0);
    const chunks = writeCore({
      heading,
      facts: factsOf({ mappings: mappingsOf(core), auxv }),
      capture: captureOf({
        pid: thread.tid,
        tid: thread.tid,
        threads: core.threads.map((each) => ({
          ...each,
          comm: 'pausing',
          state: 'S',
          unknownRegisters: [],
          provenance: 'stopped',
        })),
        ranges: [range('stack', rsp - 128n, 1024), range('known', addressOf(core, 'known'), 4), ...more],
      }),
    });
    const path = join(folder, 'snapshot.core');
    writeFileSync(path, Buffer.concat(chunks));
    return path;
  }

  test('registers, threads, captured memory, files', () => {
    const path = snapshot(crashed);
    const [thread] = crashed.threads;
    const names = userRegisterNames.filter((name) => !['orig_rax', 'eflags'].includes(name));
    const out = gdb(path, [
      ...names.map((name) => `print/x (unsigned long) $${name}`),
      'print/x known',
      'x/2gx $rsp',
      'print message',
      'info threads',
      'info proc mappings',
      'x/i main',
    ]);
    expect(printed(out)).toEqual([
      ...names.map((name) => thread && readUserRegister(thread.registers, name)),
      7n,
    ]);
    const rsp = thread === undefined ? 0n : readUserRegister(thread.registers, 'rsp');
    const words = new BigUint64Array(bytesOf(crashed, rsp, 16).buffer);
    const rows = [...out.matchAll(/^0x[0-9a-f]+.*:\t(0x[0-9a-f]{16})\t(0x[0-9a-f]{16})$/gm)][0];
    expect([rows?.[1], rows?.[2]].map((word) => BigInt(word ?? '0'))).toEqual([...words]);
    expect(out).toContain('= "read only"');
    expect(out).toMatch(/\* 1 +.*LWP \d+/);
    expect(out).toMatch(/ {2}2 +.*LWP \d+/);
    expect(out).toContain(program);
    expect(out).toMatch(/<main(\+\d+)?>:\t\w+/);
  });

  test('what was not captured cannot be read: no zeros, no initial values', () => {
    const out = gdb(snapshot(crashed), ['print hidden', 'print empty', 'x/4bx $rsp - 200']);
    expect(out.match(/Cannot access memory at address 0x[0-9a-f]+/g)).toHaveLength(3);
    expect(out).not.toMatch(/\$\d+ =/);
  });

  test('a program that was replaced on disk is not read as if it were mapped', () => {
    const core: CoreFile = crashed;
    const path = join(folder, 'deleted.core');
    const mappings = mappingsOf(core).map((each) => ({ ...each, deleted: true }));
    const chunks = writeCore({ heading, facts: factsOf({ mappings }), capture: captureOf() });
    writeFileSync(path, Buffer.concat(chunks));
    const read = openCore(bufferSource(path, readFileSync(path)));
    expect(read.mappings.length).toBeGreaterThan(0);
    for (const each of read.mappings) expect(each.path).toMatch(/ \(deleted\)$/);
  });
});
