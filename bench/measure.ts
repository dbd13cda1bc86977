/** What all benchmarks share: medians, the machine's facts, and how results are printed and kept. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The value that a tenth stays below: what it costs when nothing else gets in the way. */
export function best(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)] ?? Number.NaN;
}

export interface MachineFacts {
  readonly kernel: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly virtual: boolean;
  readonly node: string;
  readonly load: string;
}

export function machineFacts(): MachineFacts {
  return {
    kernel: release(),
    cpu: cpus()[0]?.model ?? '',
    cpus: cpus().length,
    memoryMib: Math.round(totalmem() / 1024 / 1024),
    virtual: readFileSync('/proc/cpuinfo', 'utf8').includes('hypervisor'),
    node: process.version,
    load: readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 2).join(' '),
  };
}

/** Compiles `native-fixtures/SOURCE` for a benchmark and gives the program's path. */
export function compileBenchProgram(source: string, flags: readonly string[]): string {
  const folder = join(root, '.cache', 'bench');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, basename(source, '.c'));
  const unfinished = `${program}.${process.pid}`;
  execFileSync('gcc', [...flags, '-pthread', '-o', unfinished, join(root, 'native-fixtures', source)]);
  renameSync(unfinished, program);
  return program;
}

export interface Report {
  readonly machine: MachineFacts;
  /** Named tables of numbers. */
  readonly [table: string]: Readonly<Record<string, number>> | MachineFacts;
}

/** Prints a report for people; with `--json`, also keeps it in `bench/results/NAME.json`. */
export function report(name: string, result: Report): void {
  console.log(`${name}: ${Object.values(result.machine).join(', ')}`);
  for (const [table, rows] of Object.entries(result)) {
    if (table === 'machine') continue;
    console.log(table);
    for (const [row, value] of Object.entries(rows)) console.log(`  ${row}: ${Number(value).toFixed(2)}`);
  }
  if (!process.argv.includes('--json')) return;
  const folder = join(root, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}
