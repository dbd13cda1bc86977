/**
 * Compares what we show of random Rust programs with what their own `{:?}` wrote: each variable, at each level of optimisation. What was optimised out is counted
 * apart. Needs rustc.
 * usage: node dist/test/differential/rust-values.js [--programs N] [--seed N] [--variables N] [--level 0,2]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openSnapshot } from '../../controller/snapshot/open.js';
import { debugText } from '../support/rust-debug.js';
import { runRust, rustContext, rustLocals } from '../support/rust-program.js';
import { generateRust } from './generate-rust.js';

const { values: options } = parseArgs({
  options: {
    programs: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    variables: { type: 'string', default: '150' },
    level: { type: 'string', default: '0,2' },
  },
});

const tally = { equal: 0, optimisedOut: 0, different: 0 };

function compare(seed: number, level: string, folder: string): void {
  const source = join(folder, 'main.rs');
  const program = join(folder, 'program');
  writeFileSync(source, generateRust(seed, Number(options.variables)));
  const flags = ['--edition', '2021', '--crate-name', 'rust_values', '-g', '-C', `opt-level=${level}`];
  execFileSync('rustc', [...flags, '-o', program, source], { stdio: ['ignore', 'ignore', 'pipe'] });
  using run = runRust(program);
  using snapshot = openSnapshot(run.core);
  const locals = rustLocals(snapshot);
  for (const [name, told] of run.told) {
    const value = locals.get(name);
    const shown = value === undefined ? 'no such variable' : debugText(value, rustContext(snapshot));
    if (shown === told) tally.equal++;
    else if (/^<absent: (?:optimized out|the compiler kept it nowhere)/.test(shown)) tally.optimisedOut++;
    else {
      tally.different++;
      console.log(`seed ${seed}, level ${level}, ${name}:\n  ${shown}\n  ${told}`);
    }
  }
}

const root = mkdtempSync(join(tmpdir(), 'rust-differential-'));
try {
  for (let i = 0; i < Number(options.programs); i++) {
    for (const level of options.level.split(',')) {
      const folder = join(root, `${i}-${level}`);
      mkdirSync(folder);
      compare(Number(options.seed) + i, level, folder);
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
const { equal, optimisedOut, different } = tally;
console.log(`${equal} equal, ${optimisedOut} optimised out, ${different} different`);
process.exitCode = different === 0 ? 0 : 1;
