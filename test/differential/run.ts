/**
 * Compares what we and gdb say of many programs: built in turn by each way of building, stopped at places that a seed chooses, every
 * variable of every frame of every thread, globals and expressions. Needs gdb, gcc, clang, and csmith for `--csmith`.
 * usage: node dist/test/differential/run.js [--generated N] [--csmith N] [--folder DIR]... [--seed N] [--cores N] [--every N] [--out FILE]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareCore } from '../support/compare-gdb.js';
import { newTally, type Tally } from '../support/compare-value.js';
import { builds, buildProgram, takeCores, type Build } from './build.js';
import { csmithSource, folderSources, generatedSource, type Source } from './corpus.js';
import { Report } from './report.js';

const { values: options } = parseArgs({
  options: {
    generated: { type: 'string', default: '0' },
    csmith: { type: 'string', default: '0' },
    folder: { type: 'string', multiple: true, default: [] },
    only: { type: 'string' },
    build: { type: 'string' },
    seed: { type: 'string', default: '1' },
    cores: { type: 'string', default: '2' },
    every: { type: 'string', default: '1' },
    out: { type: 'string' },
    keep: { type: 'string' },
    'debug-directory': { type: 'string' },
  },
});

type Maker = (folder: string) => Source;

function sources(seed: number): Maker[] {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => seed + i);
  return [
    ...numbers(Number(options.generated)).map((i) => (folder: string) => generatedSource(i, folder)),
    ...numbers(Number(options.csmith)).map((i) => (folder: string) => csmithSource(i, folder)),
    ...options.folder.flatMap((folder) => folderSources(folder)).map((source) => () => source),
  ];
}

function runCase(make: Maker, build: Build, seed: number, report: Report): void {
  const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'differential-'));
  if (options.keep !== undefined) mkdirSync(folder, { recursive: true });
  try {
    const source = make(folder);
    if (options.only !== undefined && !source.name.includes(options.only)) return;
    const name = `${source.name} ${build.compiler} ${build.flags.join(' ')} seed ${seed}`;
    const { program, why } = buildProgram(source, build, folder);
    if (program === undefined) {
      report.unbuilt(name, why ?? '');
      return;
    }
    const cores = takeCores(program, seed, Number(options.cores), folder);
    if (cores.length === 0) report.unbuilt(name, 'no core');
    for (const core of cores) report.add(`${name} ${core.slice(folder.length + 1)}`, compared(program, core));
  } finally {
    if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function compared(program: string, core: string): Tally {
  try {
    const debugDirectory = options['debug-directory'];
    return compareCore(program, core, {
      depth: 1,
      more: true,
      ...(debugDirectory === undefined ? {} : { debugDirectory }),
    });
  } catch (error) {
    const tally = newTally();
    tally.differences.push(
      `failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return tally;
  }
}

const report = new Report();
const seed = Number(options.seed);
for (const [i, make] of sources(seed).entries()) {
  if (i % Number(options.every) !== seed % Number(options.every)) continue;
  const index = options.build === undefined ? (i + seed) * 7 : Number(options.build);
  const build = builds[index % builds.length];
  if (build !== undefined) runCase(make, build, seed + i, report);
  if (options.out !== undefined) writeFileSync(options.out, report.text());
}
process.stdout.write(report.summary());
