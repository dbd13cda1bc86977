/** Every variable of a Go program's frames, in a core that the kernel wrote or where gdb stopped it, as delve reads it from the same core. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DelveTally } from '../../../support/compare-delve.js';
import { compareFramesWithDelve } from '../../../support/compare-delve-frames.js';
import { compileNative, go } from '../../../support/compile-native.js';
import { coreAt, crashCore } from '../../../support/core.js';
import { newerGo } from '../../../support/fixtures.js';
import { repositoryRoot } from '../../../support/paths.js';

const fixture = (name: string): string =>
  readFileSync(join(repositoryRoot, 'native-fixtures/go-values', name), 'utf8');
const source = fixture('values.go');
const registers = fixture('registers.go');

async function compare(program: string, dlv = 'dlv'): Promise<DelveTally> {
  using core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
  // NB: the core is gone when this returns.
  return await compareFramesWithDelve(program, core.path, dlv);
}

describe('values of Go', () => {
  test('without optimisation', async () => {
    const tally = await compare(compileNative(source, 'values', go('-gcflags=-N -l')));
    expect(tally.differences).toEqual([]);
    expect(tally.withheld).toEqual([]);
    expect(tally.skipped.length).toBeLessThan(10);
    expect(tally.leaves).toBeGreaterThan(1500);
  });

  test('optimised', async () => {
    const tally = await compare(compileNative(source, 'values', go()));
    expect(tally.differences).toEqual([]);
    // Delve shows an empty string for one whose pointer is kept nowhere.
    expect(tally.withheld).toEqual([expect.stringMatching(/handle: path: optimized-out/)]);
    expect(tally.skipped.length).toBeLessThan(10);
    expect(tally.leaves).toBeGreaterThan(800);
  });

  test.each([
    ['Go 1.24, without optimisation', '-gcflags=-N -l', 1500],
    ['Go 1.24, optimised', '-gcflags=', 600],
  ])(
    '%s',
    async (_, flags, leaves) => {
      const { go: command, dlv } = newerGo();
      const tally = await compare(compileNative(source, 'values', { ...go(flags), command }), dlv);
      expect(tally.differences).toEqual([]);
      expect(tally.withheld.filter((each) => !each.includes('optimized-out'))).toEqual([]);
      expect(tally.withheld.length).toBeLessThan(3);
      expect(tally.skipped.length).toBeLessThan(10);
      expect(tally.leaves).toBeGreaterThan(leaves);
    },
    300_000,
  ); // Its standard library is compiled first.
});

describe('arguments where they are passed', () => {
  const places = [
    ['main.many', 20],
    ['main.spilled', 20],
    ['main.sum[go.shape.float64_0]', 4],
    ['main.(*Stack[go.shape.string_0]).Push', 2],
  ] as const;

  test.each(places)('in %s', async (name, leaves) => {
    const program = compileNative(registers, 'registers', go());
    using core = coreAt(program, `*'${name}'`);
    const tally = await compareFramesWithDelve(program, core.path);
    expect(tally.differences).toEqual([]);
    expect(tally.leaves).toBeGreaterThanOrEqual(leaves);
  });

  test('by Go 1.24', async () => {
    const { go: command, dlv } = newerGo();
    const program = compileNative(registers, 'registers', { ...go(), command });
    using core = coreAt(program, "*'main.many'");
    const tally = await compareFramesWithDelve(program, core.path, dlv);
    expect(tally.differences).toEqual([]);
    expect(tally.leaves).toBeGreaterThanOrEqual(15);
  }, 300_000);
});
