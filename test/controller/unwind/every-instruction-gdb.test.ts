/** Programs stepped through by gdb, a sample: the stack at each instruction. `test/differential/every-instruction.ts` takes all of many builds. */
import { describe, expect, test } from 'vitest';
import { compareEveryInstruction } from '../../support/every-instruction.js';
import { compileFixture } from '../../support/compile.js';
import { isExplained } from '../../support/explained-frames.js';

const samples = [
  ['gcc', ['-O2'], 'shapes', 4],
  ['gcc', ['-O2'], 'jumps', 1],
  ['gcc', ['-O2'], 'signals', 1],
  ['gcc', ['-O2'], 'contexts', 1],
  ['gcc', ['-O2'], 'assembly', 1],
  ['gcc', ['-Os', '-static', '-fcf-protection=full'], 'shapes', 4],
  ['clang', ['-O0', '-gdwarf-4'], 'shapes', 12],
  ['clang', ['-O2', '-fno-omit-frame-pointer'], 'signals', 1],
] as const;

describe.each(samples)('%s %j: %s, every %i', (cc, flags, mode, every) => {
  test('frames as gdb has them', () => {
    const program = compileFixture('frames/shapes.c', { cc, flags: ['-g', '-w', ...flags] });
    const tally = compareEveryInstruction(program, [mode], {
      every,
      outside: 20,
      environment: { LD_BIND_NOW: '1' },
    });
    expect(tally.differences.filter((each) => !isExplained(mode, each))).toEqual([]);
    expect(tally.instructions).toBeGreaterThan(60);
    expect(tally.frames).toBeGreaterThan(2 * tally.instructions - 100);
    if (mode !== 'assembly') expect(tally.withheld).toEqual([]);
  });
});
