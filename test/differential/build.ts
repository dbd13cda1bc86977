/** A program of the corpus: how it is built, and cores of it at places that a seed chooses. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { repositoryRoot } from '../support/paths.js';
import type { Source } from './corpus.js';

export interface Build {
  readonly compiler: string;
  readonly flags: readonly string[];
}

const buildMs = 60_000;
const stopMs = 40_000;

/**
 * All that is tried, in turn: the seed says where in the list a program begins. NB: not split units of clang with DWARF 5 and optimisation:
 * gdb 13 does not find the entries of their location lists, and takes much for optimised out.
 */
export const builds: readonly Build[] = ['-O0', '-O2', '-O1', '-Os'].flatMap((opt, i) =>
  ['gcc', 'clang'].flatMap((compiler) =>
    [
      ['-gdwarf-5', '-fPIE', '-pie'],
      ['-gdwarf-4', '-fno-pie', '-no-pie'],
      ['-gdwarf-5', '-fno-pie', '-no-pie', '-static'],
      ['-gdwarf-4', '-gsplit-dwarf', '-fPIE', '-pie'],
      ['-gdwarf-5', '-gsplit-dwarf', '-fno-pie', '-no-pie'],
    ]
      .slice(0, i === 0 || (i === 1 && compiler === 'gcc') ? 5 : i === 1 ? 4 : 1)
      .map((flags) => ({ compiler, flags: [opt, '-g', ...flags] })),
  ),
);

/** The program's path, or why there is none. */
export function buildProgram(
  source: Source,
  build: Build,
  folder: string,
): { program?: string; why?: string } {
  const program = join(folder, 'program');
  const isStatic = build.flags.includes('-static');
  const compiler = source.path.endsWith('.cc')
    ? { gcc: 'g++', clang: 'clang++' }[build.compiler]
    : build.compiler;
  const dynamic = isStatic ? [] : (source.libraries ?? []);
  for (const library of [...dynamic, ...(source.plugins ?? [])]) {
    const args = [...build.flags.filter((flag) => !/pie$|^-static$/i.test(flag)), '-w', '-fPIC', '-shared'];
    const run = compile(
      compiler ?? 'cc',
      [...args, '-o', join(folder, `lib${basename(library, '.c')}.so`), library],
      folder,
    );
    if (run !== undefined) return { why: run };
  }
  const linked =
    dynamic.length === 0
      ? []
      : [`-L${folder}`, `-Wl,-rpath,${folder}`, ...dynamic.map((each) => `-l${basename(each, '.c')}`)];
  const args = [...build.flags, '-w', '-pthread', ...(source.flags ?? []), '-o', program, source.path];
  const whole = [...args, ...(isStatic ? (source.libraries ?? []) : linked), '-lm'];
  const why = compile(compiler ?? 'cc', whole, folder);
  return why === undefined ? { program } : { why };
}

function compile(compiler: string, args: readonly string[], cwd: string): string | undefined {
  const run = spawnSync(compiler, args, { encoding: 'utf8', cwd, timeout: buildMs });
  if (run.status === 0) return undefined;
  return run.stderr.split('\n').find((line) => line.includes('error')) ?? `status ${run.status}`;
}

/** Paths of the cores, none where the program ended before it came to any of the places. */
export function takeCores(program: string, seed: number, count: number, folder: string): string[] {
  const settings = [
    'set debuginfod enabled off',
    'set auto-load safe-path /',
    `set $seed = ${seed}`,
    `set $count = ${count}`,
    `set $prefix = "${join(folder, 'core')}"`,
  ];
  const script = join(repositoryRoot, 'test', 'differential', 'stop.py');
  const args = ['-q', '-nx', '-batch', ...settings.flatMap((each) => ['-iex', each]), '-x', script, program];
  spawnSync('gdb', args, { cwd: folder, timeout: stopMs, stdio: 'ignore', killSignal: 'SIGKILL' });
  return readdirSync(folder)
    .filter((name) => name.startsWith('core.'))
    .toSorted()
    .map((name) => join(folder, name));
}
