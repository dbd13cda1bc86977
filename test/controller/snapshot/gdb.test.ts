/** Frames, lines and every local of every frame, compared with gdb on the same core. */
import { describe, expect, test } from 'vitest';
import { compareCore, type Tally } from '../../support/compare-gdb.js';
import { compileFixture } from '../../support/compile.js';
import { crashCore, liveCore } from '../../support/core.js';

/** What gdb shows and we withhold, and why that is right or bearable. Anything else that is withheld fails. */
const bearable: readonly RegExp[] = [
  // clang's location lists say that an argument is still in its register at the call that it is passed to, which clobbers it.
  // gdb shows what the register holds in the innermost frame; that is not the variable's value.
  / is not preserved across calls, so its value in the caller is lost$/,
  // gdb shows a "synthetic pointer", which has no value.
  /: it points to an object that the compiler kept nowhere in memory$/,
  // clang describes one byte of it; gdb shows that byte and the others as optimised out.
  / text: unsupported: an object of 16 bytes in pieces of 8 bits$/,
];

const unbearable = (tally: Tally): string[] =>
  tally.withheld.filter((each) => !bearable.some((pattern) => pattern.test(each)));

const flagsOf = (opt: string, dwarf: string): string[] => ['-g', '-w', '-pthread', opt, dwarf];
const builds = (['gcc', 'clang'] as const).flatMap((cc) =>
  ['-O0', '-O2'].flatMap((opt) => ['-gdwarf-4', '-gdwarf-5'].map((dwarf) => [cc, opt, dwarf] as const)),
);
const modes = ['abort', 'deep', 'inline', 'signal', 'fault', 'null', 'values', 'crash-threads'];

describe.each(builds)('by %s %s %s', (cc, opt, dwarf) => {
  const program = (): string => compileFixture('frames/stack.c', { cc, flags: flagsOf(opt, dwarf) });

  test.each(modes)('a crash: %s', (mode) => {
    using core = crashCore(program(), [mode]);
    const tally = compareCore(program(), core.path);
    expect(tally.differences).toEqual([]);
    expect(unbearable(tally)).toEqual([]);
    expect(tally.compared).toBeGreaterThan(0);
  });

  test('gcore of threads that wait in libc', async () => {
    using core = await liveCore(program(), ['threads']);
    const tally = compareCore(program(), core.path);
    expect(tally.differences).toEqual([]);
    expect(unbearable(tally)).toEqual([]);
  });
});
