/** What benchmarks of hits share: their programs, and how results are printed and kept. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { machineFacts } from './machine.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The value that a tenth stays below: what it costs when nothing else gets in the way. */
export function best(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)] ?? Number.NaN;
}

/** Compiles `native-fixtures/SOURCE` for a benchmark and gives the program's path. */
export function compileBenchProgram(source: string, flags: readonly string[]): string {
  const folder = join(root, '.cache', 'bench');
  mkdirSync(folder, { recursive: true });
  const isCplusplus = source.endsWith('.cc');
  const program = join(folder, basename(source, isCplusplus ? '.cc' : '.c'));
  const unfinished = `${program}.${process.pid}`;
  execFileSync(isCplusplus ? 'g++' : 'gcc', [
    ...flags,
    '-pthread',
    '-o',
    unfinished,
    join(root, 'native-fixtures', source),
  ]);
  renameSync(unfinished, program);
  return program;
}

/** Named tables of numbers. */
export type Report = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Prints a report for people; with `--json`, also keeps it in `bench/results/NAME.json`. */
export function report(name: string, tables: Report): void {
  const load = loadavg()[0] ?? 0;
  const machine = `${machineFacts()}, load ${load.toFixed(1)}`;
  console.log(`${name}: ${machine}`);
  for (const [table, rows] of Object.entries(tables)) {
    console.log(table);
    for (const [row, value] of Object.entries(rows)) console.log(`  ${row}: ${value.toFixed(2)}`);
  }
  if (!process.argv.includes('--json')) return;
  const folder = join(root, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify({ machine, ...tables }, null, 2)}\n`);
}
