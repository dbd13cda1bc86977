/** Every variable of a Go program's frames, in a core that the kernel wrote, as delve reads it from the same core. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { threadStack } from '../../../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { showLocals } from '../../../../controller/snapshot/show.js';
import type { VariableDocument } from '../../../../controller/types/value-document.js';
import { defaultLimits } from '../../../../format/limits.js';
import { compareWithDelve, type DelveTally, newDelveTally } from '../../../support/compare-delve.js';
import { compileNative, go } from '../../../support/compile-native.js';
import { crashCore } from '../../../support/core.js';
import { Delve } from '../../../support/delve.js';
import { newerGo } from '../../../support/fixtures.js';
import { repositoryRoot } from '../../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/go-values/values.go'), 'utf8');
const limits = { ...defaultLimits, maxElements: 150, maxStringBytes: 4096 };

async function compare(program: string, dlv = 'dlv'): Promise<DelveTally> {
  using core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
  using snapshot = openSnapshot(core.path, { limits });
  await using delve = await Delve.open(program, core.path, dlv);
  const tally = newDelveTally();
  const theirs = await delve.stack(1);
  const frames = framesOf(snapshot);
  for (const { locals, name, pc } of frames) {
    const frame = theirs.findIndex((each) => each.pc === pc && each.function?.name === name);
    if (frame < 0) {
      tally.differences.push(`${name}: delve has no such frame`);
      continue;
    }
    // The last of a name is that of the innermost block.
    const variables = await delve.variables(1, frame, { ...limits, depth: 3 });
    const byName = new Map(variables.map((each) => [each.name, each]));
    for (const ours of locals) {
      const found = byName.get(ours.name);
      if (ours.shadowed === true) continue;
      if (found !== undefined) compareWithDelve(ours, found, `${name}: ${ours.name}`, tally);
      else if (ours.absent === undefined) tally.skipped.push(`${name}: delve has no ${ours.name}`);
    }
    // Delve also gives those of what is inlined there, which for us is a frame of its own.
    const here = frames.filter((each) => each.pc === pc).flatMap((each) => each.locals);
    for (const missing of byName.keys())
      if (!missing.startsWith('.') && !here.some((each) => each.name === missing))
        tally.differences.push(`${name}: we have no ${missing}`);
  }
  return tally;
}

function framesOf(snapshot: Snapshot): { name: string; pc: number; locals: readonly VariableDocument[] }[] {
  const [thread] = snapshot.threads;
  if (thread === undefined) return [];
  return threadStack(snapshot, thread).frames.flatMap((frame) =>
    frame.function?.startsWith('main.') === true
      ? [{ name: frame.function, pc: Number(frame.pc), locals: showLocals(snapshot, frame, { depth: 3 }) }]
      : [],
  );
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
  ])('%s', async (_, flags, leaves) => {
    const { go: command, dlv } = newerGo();
    const tally = await compare(compileNative(source, 'values', { ...go(flags), command }), dlv);
    expect(tally.differences).toEqual([]);
    expect(tally.withheld.filter((each) => !each.includes('optimized-out'))).toEqual([]);
    expect(tally.withheld.length).toBeLessThan(3);
    expect(tally.skipped.length).toBeLessThan(10);
    expect(tally.leaves).toBeGreaterThan(leaves);
  });
});
