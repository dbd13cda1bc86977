/** Compiles one C source for a test; the result is kept by the hash of source and flags. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { keepFirst } from './keep-first.js';
import { cacheFolder, repositoryRoot } from './paths.js';

export interface CompileOptions {
  readonly cc: 'gcc' | 'clang' | 'aarch64-linux-gnu-gcc';
  readonly flags: readonly string[];
}

/** Compiles `native-fixtures/PATH` and gives the path of the program. */
export function compileFixture(path: string, options: CompileOptions): string {
  const source = join(repositoryRoot, 'native-fixtures', path);
  const hash = createHash('sha256')
    .update(readFileSync(source))
    .update(JSON.stringify(options))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder, 'compiled', hash);
  const program = join(folder, basename(path, '.c'));
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  // clang puts the file of a split unit where it runs.
  const run = spawnSync(options.cc, [...options.flags, '-o', unfinished, source], {
    encoding: 'utf8',
    cwd: folder,
  });
  if (run.status !== 0) throw new Error(`cannot compile ${path}: ${run.stderr}`);
  keepFirst(unfinished, program);
  return program;
}
