/** Where the programs of a differential run come from: a folder of sources, csmith, or the generator of this folder. */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { generateProgram } from './generate.js';

export interface Source {
  readonly name: string;
  readonly path: string;
  /** Sources of shared libraries that it is linked with. */
  readonly libraries?: readonly string[];
  /** Sources of shared libraries that it opens. */
  readonly plugins?: readonly string[];
  readonly flags?: readonly string[];
}

export function folderSources(folder: string): Source[] {
  return readdirSync(folder)
    .filter((name) => /\.(c|cc)$/.test(name) && statSync(join(folder, name)).isFile())
    .toSorted()
    .map((name) => ({ name, path: join(folder, name), flags: [`-I${folder}`] }));
}

export function csmithSource(seed: number, folder: string): Source {
  const options = ['--seed', String(seed), '--no-argc', '--max-funcs', '5', '--max-block-depth', '3'];
  const run = spawnSync(
    'csmith',
    [...options, '--max-array-len-per-dim', '6', '--bitfields', '--packed-struct'],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      timeout: 60_000,
      cwd: folder,
    },
  );
  if (run.status !== 0) throw new Error(`csmith failed: ${run.error?.message ?? run.stderr}`);
  const path = join(folder, `csmith-${seed}.c`);
  writeFileSync(path, run.stdout);
  return { name: basename(path), path, flags: ['-I/usr/include/csmith'] };
}

export function generatedSource(seed: number, folder: string): Source {
  const { main, library, plugin } = generateProgram(seed);
  const path = join(folder, `generated-${seed}.c`);
  writeFileSync(path, main);
  const write = (name: string, text: string | undefined): string[] => {
    if (text === undefined) return [];
    writeFileSync(join(folder, name), text);
    return [join(folder, name)];
  };
  return {
    name: basename(path),
    path,
    libraries: write('library.c', library),
    plugins: write('plugin.c', plugin),
  };
}
