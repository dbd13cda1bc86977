/**
 * The programs that tests look into, built from source when they are first wanted. Builds run under a file lock, because
 * test files run side by side.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, repositoryRoot } from './paths.js';

export interface FixtureOptions {
  readonly cc?: 'gcc' | 'clang';
  readonly opt?: 'O0' | 'O2';
  readonly dwarf?: 4 | 5;
  readonly pie?: boolean;
  readonly static?: boolean;
}

/** Builds `native-fixtures/NAME` and gives the path of the program. */
export function buildFixture(name: string, options: FixtureOptions = {}): string {
  const args = [name];
  if (options.cc !== undefined) args.push('--cc', options.cc);
  if (options.opt !== undefined) args.push('--opt', options.opt);
  if (options.dwarf !== undefined) args.push('--dwarf', String(options.dwarf));
  if (options.pie === false) args.push('--no-pie');
  if (options.static === true) args.push('--static');
  return runBuilder('build.mjs', args);
}

/** redis-server 7.0 from Debian's source, -O2 -g; takes half a minute the first time. */
export function buildRedis(compiler: 'gcc' | 'clang' = 'gcc'): string {
  return runBuilder('redis.mjs', [compiler]);
}

/** memcached from Debian's source, -O2 -g; takes half a minute the first time. */
export function buildMemcached(): string {
  return runBuilder('memcached.mjs', []);
}

/** A newer Go than the machine's own, and its delve, from Debian's packages; takes ten seconds the first time. */
export function newerGo(): { readonly go: string; readonly dlv: string } {
  const [go = '', dlv = ''] = runBuilder('go-toolchain.mjs', []).split('\n');
  return { go, dlv };
}

/** The line of `native-fixtures/NAME/FILE` that is marked `PROBE: mark`. */
export function probeLine(name: string, file: string, mark: string): number {
  const path = join(repositoryRoot, 'native-fixtures', name, file);
  const lines = readFileSync(path, 'utf8').split('\n');
  const index = lines.findIndex(
    (line) => line.includes(`PROBE: ${mark} `) || line.endsWith(`PROBE: ${mark}`),
  );
  if (index < 0) throw new Error(`no line of ${path} is marked "PROBE: ${mark}"`);
  return index + 1;
}

function runBuilder(script: string, args: readonly string[]): string {
  mkdirSync(cacheFolder, { recursive: true });
  const builder = join(repositoryRoot, 'native-fixtures', script);
  const command = [join(cacheFolder, 'build.lock'), process.execPath, builder, ...args];
  const run = spawnSync('flock', command, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`cannot build a fixture: ${run.stderr}`);
  return run.stdout.trim();
}

/** The text of `native-fixtures/PATH`. */
export function fixtureText(path: string): string {
  return readFileSync(join(repositoryRoot, 'native-fixtures', path), 'utf8');
}
