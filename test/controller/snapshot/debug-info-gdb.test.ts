/** Cores of programs whose debug information is of other kinds than compilers write by default: every frame and local, compared with gdb. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { compareCore } from '../../support/compare-gdb.js';
import { compileFixture } from '../../support/compile.js';
import { crashCore } from '../../support/core.js';

const root = mkdtempSync(join(tmpdir(), 'stillframe-kinds-'));
afterAll(() => rmSync(root, { recursive: true }));

const kinds = [
  ['gcc', '-O0', '-gdwarf-2', '-gstrict-dwarf'],
  ['gcc', '-O2', '-gdwarf-2'],
  ['gcc', '-O2', '-gdwarf-2', '-gstrict-dwarf'],
  ['gcc', '-O0', '-gdwarf-3'],
  // Entry values of vector registers.
  ['gcc', '-O1', '-gdwarf-5'],
  ['gcc', '-O2', '-gdwarf-4', '-fdebug-types-section'],
  ['gcc', '-O2', '-gdwarf-5', '-fdebug-types-section'],
  ['gcc', '-O2', '-gdwarf-5', '-gdwarf64'],
  ['gcc', '-O2', '-gdwarf-5', '-gz'],
  ['gcc', '-O2', '-gdwarf-5', '-flto'],
  ['clang', '-O0', '-gdwarf-2'],
  ['clang', '-O2', '-gdwarf-5', '-fdebug-types-section'],
  ['clang', '-O2', '-gdwarf-4', '-gdwarf64'],
] as const;

/** What is withheld of these is withheld of the same programs with the usual debug information: gdb.test.ts tells why. */
const bearable = /is not preserved across calls|that the compiler kept nowhere in memory|in pieces of 8 bits/;

function compare(program: string, mode: string): void {
  using core = crashCore(program, [mode]);
  const tally = compareCore(program, core.path);
  expect(tally.differences).toEqual([]);
  expect(tally.withheld.filter((each) => !bearable.test(each))).toEqual([]);
  // NB: strict DWARF 2 has no way to say where anything is in optimised code.
  expect(tally.compared + tally.absent).toBeGreaterThan(0);
}

describe.each(kinds)('%s %s %s %s', (cc, ...flags) => {
  test.each(['values', 'inline'])('%s', (mode) => {
    const own = flags.filter((flag) => flag !== undefined);
    compare(compileFixture('frames/stack.c', { cc, flags: ['-g', '-w', '-pthread', ...own] }), mode);
  });
});

test.each(['values', 'inline'])('dwz: %s', (mode) => {
  const whole = compileFixture('frames/stack.c', { cc: 'gcc', flags: ['-g', '-w', '-pthread', '-O2'] });
  const program = join(root, `stack-${mode}`);
  copyFileSync(whole, program);
  execFileSync('dwz', [program]);
  compare(program, mode);
});
