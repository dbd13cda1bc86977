/** Libraries that a process has not loaded, by path and by name, on files that are there. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentModule, TargetFacts } from '../../../controller/rpc/agent-facts.js';
import { findUnloadedModule } from '../../../controller/service/unloaded-module.js';
import { compileC } from '../../support/compile-c.js';
import { buildIdOf } from '../../agent/engines/uprobe/lab.js';

const flags = ['-g', '-O1', '-shared', '-fPIC'];
const library = compileC('int later(void) { return 1; }', { name: 'liblater.so', flags });
const anonymous = compileC('int later(void) { return 2; }', {
  name: 'libanonymous.so',
  flags: [...flags, '-Wl,--build-id=none'],
});

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'unloaded-'));
  for (const name of ['one', 'other']) mkdirSync(join(folder, name));
  copyFileSync(library, join(folder, 'one', 'liblater.so'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const moduleAt = (path: string): AgentModule => ({
  path,
  buildId: 'aa',
  start: 0x1000n,
  end: 0x2000n,
  bias: 0n,
  deleted: false,
});

/** A process of this host that has loaded something of each folder. */
const facts = (): TargetFacts =>
  ({
    target: { pid: process.pid },
    modules: ['one', 'other'].map((name) => moduleAt(join(folder, name, 'libloaded.so'))),
  }) as unknown as TargetFacts;

test('by its path, and by its name beside what is loaded', () => {
  const path = join(folder, 'one', 'liblater.so');
  const expected = { path, buildId: buildIdOf(library), start: 0n, end: 0n, bias: 0n, deleted: false };
  expect(findUnloadedModule(facts(), path, true)).toEqual(expected);
  expect(findUnloadedModule(facts(), path, false)).toEqual(expected);
  expect(findUnloadedModule(facts(), 'liblater.so', true)).toEqual(expected);
});

test('not where there is no such file', () => {
  expect(findUnloadedModule(facts(), join(folder, 'liblater.so'), true)).toBeUndefined();
  expect(findUnloadedModule(facts(), 'libnever.so', true)).toBeUndefined();
  expect(findUnloadedModule(facts(), 'one/liblater.so', true)).toBeUndefined();
});

test('not by a name that two files have', () => {
  const twin = join(folder, 'other', 'liblater.so');
  copyFileSync(library, twin);
  expect(() => findUnloadedModule(facts(), 'liblater.so', true)).toThrow(
    expect.objectContaining({
      code: 'ambiguous',
      message: 'more than one file "liblater.so" could be loaded',
      candidates: [join(folder, 'one', 'liblater.so'), twin],
    }),
  );
  rmSync(twin);
});

test('not without a build id', () => {
  expect(() => findUnloadedModule(facts(), anonymous, true)).toThrow(
    expect.objectContaining({
      code: 'unsupported',
      message: `cannot wait for "${anonymous}": it has no build id, and nothing would prove that what is loaded is this file`,
    }),
  );
});
