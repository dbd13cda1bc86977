/** Address to line, with inlined functions, against addr2line at the rows of line tables; `test/differential/lines.ts` takes all rows of anything. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compileC } from '../../support/compile-c.js';
import { compareLines, type LineOptions } from '../../support/compare-lines.js';
import { buildRedis } from '../../support/fixtures.js';
import { repositoryRoot } from '../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures', 'locations', 'optimised.c'), 'utf8');

function compile(compiler: string, ...flags: readonly string[]): string {
  return compileC(source, { name: 'lines', compiler, flags });
}

function expectSame(program: string, options: LineOptions, atLeast: number): void {
  const { compared, differences } = compareLines(program, options);
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThan(atLeast);
}

test.each(['-gdwarf-2', '-gdwarf-3', '-gdwarf-4', '-gdwarf-5'])('gcc -O2 %s', (version) => {
  expectSame(compile('gcc', '-O2', version, '-gno-strict-dwarf'), { every: 1 }, 100);
});

test('clang -O2 -gdwarf-4', () => expectSame(compile('clang', '-O2', '-gdwarf-4'), { every: 1 }, 50));

test('clang -O2 -gdwarf-5', () => {
  expectSame(compile('clang', '-O2', '-gdwarf-5'), { every: 1, tool: 'llvm-addr2line' }, 50);
});

test('files that are named in partial units of dwz', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lines-dwz-'));
  try {
    const program = join(folder, 'redis-server');
    copyFileSync(buildRedis(), program);
    execFileSync('dwz', [program], { stdio: 'pipe' });
    // binutils looks for inlined functions in the unit itself.
    expectSame(program, { every: 40, tool: 'llvm-addr2line' }, 1000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('redis-server -O2', () => expectSame(buildRedis(), { every: 40 }, 1000));
