import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { debugSectionNames } from '../../../controller/dwarf/sections.js';
import { SHF } from '../../../format/elf/constants.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import type { ElfFile } from '../../../format/elf/file.js';
import { program } from '../symbols/programs.js';

const folder = mkdtempSync(join(tmpdir(), 'stillframe-compressed-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open = (path: string): ElfFile => openElf(bufferSource(path, readFileSync(path)));

describe('sections that binutils compressed are what they were', () => {
  test.each([
    ['zlib', '.debug_info', true],
    ['zlib-gnu', '.zdebug_info', false],
    ['zstd', '.debug_info', true],
  ] as const)('%s', (method, name, isFlagged) => {
    const original = program({ compiler: 'gcc', opt: '-O2', dwarf: 5 });
    const packed = join(folder, method);
    execFileSync('objcopy', [`--compress-debug-sections=${method}`, original, packed]);
    const [before, after] = [open(original), open(packed)];
    const section = after.findSection(name);
    expect(section).toBeDefined();
    expect(((section?.flags ?? 0n) & SHF.SHF_COMPRESSED) !== 0n).toBe(isFlagged);
    let compared = 0;
    for (const each of debugSectionNames) {
      const bytes = before.sectionBytes(`.${each}`);
      if (bytes !== undefined) compared++;
      expect(
        Buffer.compare(after.sectionBytes(`.${each}`) ?? Buffer.alloc(0), bytes ?? Buffer.alloc(0)),
      ).toBe(0);
    }
    expect(compared).toBeGreaterThan(7);
  });
});
