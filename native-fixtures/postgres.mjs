// Builds the server of PostgreSQL from Debian's source as a user would meet it: -O2 with -g. Built once, kept in .cache (5 CPU-minutes).
// usage: node native-fixtures/postgres.mjs; prints the path of postgres.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchDebianSource } from './debian-source.mjs';

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');

/** That of the release itself; newer ones come and go. */
const version = '15.18-0+deb12u1';

/** @returns {string} the path of postgres */
export function buildPostgres() {
  const folder = process.env.STILLFRAME_FIXTURE_CACHE ?? cache;
  const program = join(folder, 'postgres', 'postgres');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const tree = fetchDebianSource('postgresql-15', join(folder, 'postgres-source'), version);
  const run = (command, args) => {
    const env = { ...process.env, CFLAGS: '-O2 -g' };
    const result = spawnSync(command, args, { cwd: tree, env, encoding: 'utf8', maxBuffer: 1 << 28 });
    if (result.status !== 0) {
      throw new Error(`cannot build postgres:\n${result.stdout.slice(-2000)}${result.stderr.slice(-2000)}`);
    }
  };
  run('./configure', ['--without-readline', '--without-zlib', '--quiet']);
  run('make', ['-s', '-j2', '-C', 'src/backend', 'generated-headers']);
  run('make', ['-s', '-j2', '-C', 'src/backend', 'postgres']);
  mkdirSync(dirname(program), { recursive: true });
  // A copy under another name first: a killed build must not leave half a program.
  copyFileSync(join(tree, 'src', 'backend', 'postgres'), `${program}.partial`);
  renameSync(`${program}.partial`, program);
  // Debug information names source files that nobody opens: half a gigabyte that need not stay.
  rmSync(join(folder, 'postgres-source'), { recursive: true });
  return program;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(buildPostgres());
