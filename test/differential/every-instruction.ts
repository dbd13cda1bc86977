/**
 * The whole comparison of unwinding with gdb: every build of the fixtures, every instruction. Takes a quarter of an hour.
 * usage: node dist/test/differential/every-instruction.js [PATTERN]; prints a line for each run and the sums. Status 1 when something differs.
 */
import { compareEveryInstruction } from '../support/every-instruction.js';
import { compileFixture } from '../support/compile.js';
import { isExplained } from '../support/explained-frames.js';

const gcc = [
  ['-O0'],
  ['-O1', '-gdwarf-4'],
  ['-O2'],
  ['-Os'],
  ['-O3', '-static'],
  ['-O2', '-mno-red-zone', '-fno-omit-frame-pointer'],
  ['-O2', '-fcf-protection=full', '-fstack-protector-all'],
  ['-O2', '-fno-shrink-wrap', '-maccumulate-outgoing-args'],
  ['-O2', '-no-pie', '-fno-pie', '-fno-plt'],
  ['-O2', '-fno-asynchronous-unwind-tables'],
  ['-O2', '-fno-asynchronous-unwind-tables', '-gz=zlib'],
  ['-O2', '-flto'],
];
const clang = [
  ['-O0'],
  ['-O1', '-gdwarf-4'],
  ['-O2'],
  ['-Os', '-fno-omit-frame-pointer'],
  ['-O2', '-static'],
  ['-O2', '-mno-red-zone', '-fcf-protection=full'],
];
const builds = [
  ...gcc.map((flags) => ({ cc: 'gcc', flags }) as const),
  ...clang.map((flags) => ({ cc: 'clang', flags }) as const),
];
const modes = ['shapes', 'jumps', 'signals', 'contexts', 'clock', 'assembly'];

interface Run {
  readonly fixture: string;
  readonly mode: string;
  readonly outside: number;
  readonly environment: Readonly<Record<string, string>>;
}

const bound = { LD_BIND_NOW: '1' };
const runs: Run[] = [
  ...modes.map((mode) => ({ fixture: 'frames/shapes.c', mode, outside: 60, environment: bound })),
  // Bound late: through the resolver of the dynamic linker.
  { fixture: 'frames/shapes.c', mode: 'jumps', outside: 3000, environment: {} },
  { fixture: 'frames/alloca.c', mode: '', outside: 20, environment: bound },
];

const sums = {
  instructions: 0,
  frames: 0,
  tailCalls: 0,
  registers: 0,
  explained: 0,
  differences: 0,
  withheld: 0,
};
const pattern = process.argv[2];
for (const { cc, flags } of builds) {
  const program = (fixture: string): string => compileFixture(fixture, { cc, flags: ['-g', '-w', ...flags] });
  for (const { fixture, mode, outside, environment } of runs) {
    const name = `${cc} ${flags.join(' ')} ${fixture} ${mode} ${outside}`;
    if (pattern !== undefined && !name.includes(pattern)) continue;
    const tally = compareEveryInstruction(program(fixture), mode === '' ? [] : [mode], {
      outside,
      environment,
    });
    const differences = tally.differences.filter((each) => !isExplained(mode, each));
    const explained = tally.differences.length - differences.length;
    sums.instructions += tally.instructions;
    sums.frames += tally.frames;
    sums.tailCalls += tally.tailCalls;
    sums.registers += tally.registers;
    sums.explained += explained;
    sums.differences += differences.length;
    sums.withheld += tally.withheld.length;
    console.log(
      `${name}: ${tally.instructions} instructions, ${tally.frames} frames, ${differences.length} differences, ${explained} explained`,
    );
    for (const each of [...new Set(differences)].slice(0, 10)) console.log(`  ${each}`);
  }
}
console.log(JSON.stringify(sums));
process.exitCode = sums.differences === 0 ? 0 : 1;
