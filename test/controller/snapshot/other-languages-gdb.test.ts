/**
 * Cores of programs in C++ and Rust: frames are gdb's, nothing throws, and no scalar differs from gdb's. How their own types are named and
 * shown (templates, enums with data) is not compared here.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { showSnapshot } from '../../../controller/snapshot/show.js';
import { compareCore } from '../../support/compare-gdb.js';
import { cplusplusProgram, rustProgram } from '../symbols/other-languages.js';

const folder = mkdtempSync(join(tmpdir(), 'other-languages-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Names and shapes of types that are not C's. */
const ofTypes = /: gdb's type is |: gdb has fields |: no such field$|: gdb "\w+::/;

test.each<[string, () => string, string, string]>([
  ['g++ -O0', () => cplusplusProgram('g++', '-g', '-O0'), 'shop::Order::total', 'shop::Order::total'],
  ['g++ -O2', () => cplusplusProgram('g++', '-g', '-O2'), 'shop::Order::total', 'shop::Order::total'],
  ['clang++ -O2', () => cplusplusProgram('clang++', '-g', '-O2'), 'shop::Order::total', 'shop::Order::total'],
  ['rustc', () => rustProgram('-g'), 'shapes::total', 'shapes::total'],
  ['rustc -O', () => rustProgram('-g', '-O'), 'shapes::total', 'shapes::total'],
])('%s', (name, build, place, innermost) => {
  const program = build();
  const core = join(folder, `core.${name.replaceAll(/\W/g, '')}`);
  const commands = [`break ${place}`, 'run', `gcore ${core}`, 'kill'].flatMap((each) => ['-ex', each]);
  const settings = ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off', ...commands, program];
  execFileSync('gdb', settings, { stdio: 'ignore' });
  const tally = compareCore(program, core);
  expect(tally.differences.filter((each) => !ofTypes.test(each))).toEqual([]);
  const known = /not preserved across calls|the compiler counts from the stack pointer/;
  expect(tally.withheld.filter((each) => !known.test(each))).toEqual([]);
  expect(tally.compared).toBeGreaterThan(0);
  using snapshot = openSnapshot(core);
  expect(showSnapshot(snapshot, { raw: true, allThreads: true, depth: 3 }).frames[0]?.function).toBe(
    innermost,
  );
});
