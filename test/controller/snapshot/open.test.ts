/** Which files a core's modules are found in, and which are refused. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSnapshot, type Snapshot, type SnapshotOptions } from '../../../controller/snapshot/open.js';
import { isAbsent } from '../../../format/absent.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import { compileFixture } from '../../support/compile.js';
import { crashCore, type CoreFile } from '../../support/core.js';

const openSymbols = (): never => {
  throw new Error('symbols are not wanted here');
};
const buildIdOf = (path: string): string => openElf(bufferSource(path, readFileSync(path))).buildId ?? '';

describe('a core of the kernel', () => {
  let folder: string;
  let program: string;
  let other: string;
  let core: CoreFile;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'open-'));
    const built = compileFixture('frames/stack.c', { cc: 'gcc', flags: ['-g', '-w', '-pthread', '-O2'] });
    other = compileFixture('frames/stack.c', { cc: 'gcc', flags: ['-g', '-w', '-pthread', '-O1'] });
    program = join(folder, 'stack');
    copyFileSync(built, program);
    core = crashCore(program, ['abort']);
  });

  afterAll(() => {
    core[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  function executableOf(snapshot: Snapshot): unknown {
    const elf = snapshot.executable?.elf;
    return elf === undefined || isAbsent(elf) ? elf : elf.buildId;
  }

  function open(options: Partial<SnapshotOptions> = {}): Snapshot {
    return openSnapshot(core.path, { openSymbols, ...options });
  }

  test('its modules are the program, the libraries and the vdso', () => {
    using snapshot = open();
    const names = snapshot.modules.modules.map((module) => module.path.replace(/.*\//, ''));
    expect(names).toEqual(expect.arrayContaining(['stack', 'libc.so.6', '[vdso]']));
    expect(snapshot.executable?.path).toBe(program);
    for (const module of snapshot.modules.modules) {
      expect(isAbsent(module.elf)).toBe(false);
      if (!isAbsent(module.elf)) expect(module.facts.buildId).toBe(module.elf.buildId);
    }
  });

  test('a program that was replaced is refused, saying both build ids', () => {
    copyFileSync(other, `${program}.new`);
    using snapshot = open({ exe: `${program}.new` });
    expect(executableOf(snapshot)).toEqual({
      absent: 'no-debug-info',
      detail: `"${program}.new" has build id ${buildIdOf(other)}, but the file that was running has build id ${buildIdOf(program)}`,
      hint: '--exe FILE or --sysroot DIR say where the binary that was running is',
    });
    // Its frames are not guessed from the wrong file.
    const [thread] = snapshot.threads;
    const stack = thread === undefined ? undefined : snapshot.stackOf(thread);
    expect(stack?.stopped?.absent).toBe('no-debug-info');
  });

  test('a program that is gone says so; --exe and --sysroot find it', () => {
    const moved = join(folder, 'moved');
    copyFileSync(program, moved);
    rmSync(program);
    try {
      {
        using snapshot = open();
        expect(executableOf(snapshot)).toEqual({
          absent: 'no-debug-info',
          detail: `cannot open "${program}": ENOENT`,
          hint: '--exe FILE or --sysroot DIR say where binaries are',
        });
      }
      {
        using snapshot = open({ exe: moved });
        expect(executableOf(snapshot)).toBe(buildIdOf(moved));
      }
      const sysroot = join(folder, 'sysroot');
      mkdirSync(dirname(join(sysroot, program)), { recursive: true });
      copyFileSync(moved, join(sysroot, program));
      {
        using snapshot = open({ sysroot });
        expect(executableOf(snapshot)).toBe(buildIdOf(moved));
        // Libraries are looked for there too, and nowhere else.
        const libc = snapshot.modules.modules.find((module) => module.path.endsWith('libc.so.6'));
        expect(libc?.elf).toMatchObject({ absent: 'no-debug-info' });
      }
      const flat = join(folder, 'flat');
      mkdirSync(flat);
      copyFileSync(moved, join(flat, 'stack'));
      using snapshot = open({ sysroot: flat });
      expect(executableOf(snapshot)).toBe(buildIdOf(moved));
    } finally {
      copyFileSync(moved, program);
    }
  });

  test('a core that was cut short gives what was written, and the rest is absent', () => {
    const bytes = readFileSync(core.path);
    const cut = bytes.subarray(0, Math.floor(bytes.length / 2));
    using snapshot = openSnapshot(bufferSource('cut', cut), { openSymbols });
    const [thread] = snapshot.threads;
    const stack = thread === undefined ? undefined : snapshot.stackOf(thread);
    expect(stack?.frames.length).toBeGreaterThan(0);
    expect(stack?.stopped).toMatchObject({ absent: 'not-captured' });
  });

  test.each([
    [
      'nothing there',
      () => join(folder, 'missing'),
      () => `cannot open "${join(folder, 'missing')}": ENOENT`,
    ],
    ['a folder', () => folder, () => `cannot open "${folder}": not a regular file`],
    [
      'a program',
      () => program,
      () => `cannot open "${program}" as a core: its ELF type is 3, not ET_CORE (4)`,
    ],
  ])('%s is an error', (_, path, message) => {
    expect(() => openSnapshot(path(), { openSymbols })).toThrow(message());
  });
});
