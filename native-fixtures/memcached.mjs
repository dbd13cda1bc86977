// Builds memcached from Debian's source as a user would meet it: -O2 with its own -g, libevent as Debian ships it. Built once, kept in .cache.
// usage: node native-fixtures/memcached.mjs; prints the path of memcached. Needs libevent-dev.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchDebianSource } from './debian-source.mjs';

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');

function build(tree, command, args, env = {}) {
  const run = spawnSync(command, args, { cwd: tree, encoding: 'utf8', env: { ...process.env, ...env } });
  if (run.error) throw new Error(`cannot run ${command}: ${run.error.message}`);
  if (run.status !== 0)
    throw new Error(
      `cannot build memcached: ${command}:\n${run.stdout.slice(-2000)}${run.stderr.slice(-2000)}`,
    );
}

/** @returns {string} the path of memcached */
export function buildMemcached() {
  const folder = process.env.STILLFRAME_FIXTURE_CACHE ?? cache;
  const program = join(folder, 'memcached', 'memcached');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const tree = fetchDebianSource('memcached', join(folder, 'memcached-source'));
  build(tree, './configure', ['--quiet', '--disable-docs', '--disable-extstore'], { CFLAGS: '-g -O2' });
  build(tree, 'make', ['-j2', 'memcached']);
  mkdirSync(dirname(program), { recursive: true });
  // A copy under another name first: a killed build must not leave half a program.
  copyFileSync(join(tree, 'memcached'), `${program}.partial`);
  renameSync(`${program}.partial`, program);
  return program;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(buildMemcached());
