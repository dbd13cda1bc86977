import { describe, expect, test } from 'vitest';

import { ByteWriter } from '../../../format/bytes.js';
import type { Mapping } from '../../../format/capture.js';
import { AT, parseAuxv } from '../../../format/core/auxv.js';
import { encodeFileNote, parseFileNote, pristineMappings } from '../../../format/core/file-note.js';
import { encodePrpsinfo, parsePrpsinfo } from '../../../format/core/prpsinfo.js';
import { encodePrstatus, parsePrstatus } from '../../../format/core/prstatus.js';
import { openCore } from '../../../format/core/read.js';
import { ET, PT } from '../../../format/elf/constants.js';
import { bufferSource } from '../../../format/elf/open.js';
import { defaultLimits } from '../../../format/limits.js';
import { registersOf } from '../../support/captures.js';
import { noteBytes, writeElf } from '../../support/elf-writer.js';
import { x86_64Machine } from '../../../format/registers/x86-64.js';
import { thrown } from '../../support/thrown.js';

const status = { tid: 77, parentPid: 3, signal: 11, registers: registersOf({ rip: 0x401000n, gs: 5n }) };

test('prstatus: where struct elf_prstatus has its fields', () => {
  const bytes = encodePrstatus(status);
  const view = new DataView(bytes.buffer);
  expect(bytes.length).toBe(336);
  expect([
    view.getInt32(0, true),
    view.getInt16(12, true),
    view.getInt32(32, true),
    view.getInt32(36, true),
  ]).toEqual([11, 11, 77, 3]);
  expect(view.getBigUint64(112 + 16 * 8, true)).toBe(0x401000n);
  expect(parsePrstatus(bytes, 'core', x86_64Machine)).toEqual(status);
});

test('prpsinfo: names are cut to what fits, with their NUL', () => {
  const info = { pid: 1, parentPid: 2, uid: 3, gid: 4, comm: 'a'.repeat(40), args: 'b'.repeat(200) };
  const bytes = encodePrpsinfo(info);
  expect(bytes.length).toBe(136);
  expect(parsePrpsinfo(bytes, 'core')).toEqual({ ...info, comm: 'a'.repeat(15), args: 'b'.repeat(79) });
});

test('auxv: up to AT_NULL, the first of each key', () => {
  const pairs = [AT.AT_ENTRY, 0x1000, AT.AT_ENTRY, 0x2000, AT.AT_NULL, 0, AT.AT_BASE, 1];
  const out = new ByteWriter();
  for (const each of pairs) out.u64(BigInt(each));
  expect([...parseAuxv(out.finish(), 'core')]).toEqual([[AT.AT_ENTRY, 0x1000n]]);
});

const row = (start: bigint, permissions: string, changes: Partial<Mapping> = {}): Mapping => ({
  start,
  end: start + 0x1000n,
  fileOffset: Number(start),
  permissions,
  inode: 1,
  device: '8:1',
  path: '/app',
  deleted: false,
  ...changes,
});

test('file note: encode and parse', () => {
  const files = [
    { start: 0x1000n, end: 0x3000n, fileOffset: 0x2000, path: '/usr/bin/app' },
    { start: 0x7fff_0000_0000n, end: 0x7fff_0000_1000n, fileOffset: 0, path: '/lib/ü.so' },
  ];
  expect(parseFileNote(encodeFileNote(files), 'core')).toEqual(files);
});

test('pristine mappings: code, and read-only data that is not what RELRO left', () => {
  const kept = (rows: readonly Mapping[]) => pristineMappings(rows).map((each) => [each.start, each.path]);
  const relro = [
    row(0x1000n, 'r--p'),
    row(0x2000n, 'r-xp'),
    row(0x3000n, 'r--p'),
    row(0x4000n, 'r--p'),
    row(0x5000n, 'rw-p'),
  ];
  expect(kept(relro)).toEqual([
    [0x1000n, '/app'],
    [0x2000n, '/app'],
    [0x3000n, '/app'],
  ]);
  expect(kept([row(0x1000n, 'r-xp'), row(0x2000n, 'r--p'), row(0x3000n, 'rw-p', { path: '' })])).toEqual([
    [0x1000n, '/app'],
  ]);
  expect(kept([row(0x1000n, 'r-xp', { deleted: true }), row(0x2000n, 'r-xp', { path: '[vdso]' })])).toEqual([
    [0x1000n, '/app (deleted)'],
  ]);
});

const note = (owner: string, type: number, description: Uint8Array) => noteBytes(owner, type, description);
const coreOf = (...notes: readonly Uint8Array[]) =>
  bufferSource(
    'core',
    writeElf({ type: ET.ET_CORE, segments: [{ type: PT.PT_NOTE, bytes: Buffer.concat(notes), align: 4n }] }),
  );
const u64s = (...values: readonly bigint[]): Uint8Array => {
  const out = new ByteWriter();
  for (const each of values) out.u64(each);
  return out.finish();
};

describe('bad cores', () => {
  test.each<[string, () => unknown, string]>([
    [
      'a program',
      () => openCore(bufferSource('a.out', writeElf({ type: ET.ET_EXEC }))),
      'bad-data: cannot open "a.out" as a core: its ELF type is 2, not ET_CORE (4)',
    ],
    [
      'another machine',
      () => openCore(bufferSource('core', writeElf({ type: ET.ET_CORE, machine: 243 }))),
      'bad-data: cannot open "core" as a core: its machine is 243, and only x86-64 (62) and AArch64 (183) are supported',
    ],
    [
      'registers of another size',
      () => openCore(coreOf(note('CORE', 1, new Uint8Array(144)))),
      'bad-data: cannot parse NT_PRSTATUS of "core": 144 bytes where one of x86-64 has 336 at offset 0x0',
    ],
    [
      'process of another size',
      () => openCore(coreOf(note('CORE', 3, new Uint8Array(124)))),
      'bad-data: cannot parse NT_PRPSINFO of "core": 124 bytes where one has 136 at offset 0x0',
    ],
    [
      'too many files',
      () => openCore(coreOf(note('CORE', 0x46494c45, u64s(9n, 4096n, 1n, 2n, 3n)))),
      'bad-data: cannot parse NT_FILE of "core": 9 mappings at offset 0x0',
    ],
    [
      'a mapping turned round',
      () => openCore(coreOf(note('CORE', 0x46494c45, u64s(1n, 4096n, 0x2000n, 0x1000n, 0n)))),
      'bad-data: cannot parse NT_FILE of "core": a mapping that ends before it starts at offset 0x28',
    ],
    [
      'a path without end',
      () => openCore(coreOf(note('CORE', 0x46494c45, u64s(1n, 4096n, 0x1000n, 0x2000n, 0n)))),
      'bad-data: cannot parse NT_FILE of "core": string without end at offset 0x28',
    ],
    [
      'a path offset that is no number',
      () =>
        openCore(
          coreOf(
            note(
              'CORE',
              0x46494c45,
              Buffer.concat([u64s(1n, 1n << 52n, 0n, 1n, 1n << 52n), Uint8Array.of(0)]),
            ),
          ),
        ),
      'bad-data: cannot parse NT_FILE of "core": a file offset beyond 2^53 at offset 0x28',
    ],
    [
      'too many threads',
      () =>
        openCore(coreOf(...[1, 2, 3].map(() => note('CORE', 1, encodePrstatus(status)))), {
          ...defaultLimits,
          maxThreads: 2,
        }),
      'bad-data: cannot read "core": more than 2 threads',
    ],
    [
      'registers to write',
      () => encodePrstatus({ ...status, registers: new Uint8Array(168) }),
      'bad-data: cannot write NT_PRSTATUS: registers of 168 bytes',
    ],
  ])('%s', (_, action, message) => {
    expect(thrown(action)).toBe(message);
  });

  test('a core without notes has nothing, and says so', () => {
    const core = openCore(bufferSource('core', writeElf({ type: ET.ET_CORE })));
    expect([core.threads, core.process, core.mappings, core.note, core.auxv.size]).toEqual([
      [],
      undefined,
      [],
      undefined,
      0,
    ]);
  });

  test('memory: a segment has what is in the file, not what it claims', () => {
    const core = openCore(
      bufferSource(
        'core',
        writeElf({
          type: ET.ET_CORE,
          segments: [
            { virtualAddress: 0x1000n, bytes: Uint8Array.of(1, 2), memorySize: 0x1000n },
            { virtualAddress: 0x1002n, bytes: Uint8Array.of(3) },
            { virtualAddress: 0x4000n, memorySize: 0x1000n },
          ],
        }),
      ),
    );
    expect(core.memory.read(0x1000n, 3)).toEqual({ bytes: Uint8Array.of(1, 2, 3), provenance: 'stopped' });
    expect(core.memory.read(0x1001n, 4)).toEqual({
      absent: 'not-captured',
      detail: '2 bytes at 0x1003 are not in the core',
      address: 0x1003n,
      length: 2,
    });
    expect(core.memory.read(0x4000n, 1)).toMatchObject({ absent: 'not-captured', address: 0x4000n });
  });
});
