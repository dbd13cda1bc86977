// Builds redis-server from Debian's source as a user would meet it: -O2 with its own -g. Built once, kept in .cache.
// usage: node native-fixtures/redis.mjs [gcc|clang]; prints the path of redis-server.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchDebianSource } from './debian-source.mjs';

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');

/**
 * @param {'gcc' | 'clang'} compiler
 * @returns {string} the path of redis-server
 */
export function buildRedis(compiler = 'gcc') {
  const folder = process.env.STILLFRAME_FIXTURE_CACHE ?? cache;
  const name = compiler === 'gcc' ? 'redis' : `redis-${compiler}`;
  const program = join(folder, name, 'redis-server');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const tree = fetchDebianSource('redis', join(folder, `${name}-source`));
  const flags = [
    '-j2',
    `CC=${compiler}`,
    'MALLOC=libc',
    'OPTIMIZATION=-O2',
    'BUILD_TLS=no',
    'USE_SYSTEMD=no',
  ];
  const make = spawnSync('make', [...flags, 'redis-server'], { cwd: join(tree, 'src'), encoding: 'utf8' });
  if (make.status !== 0)
    throw new Error(`cannot build redis:\n${make.stdout.slice(-2000)}${make.stderr.slice(-2000)}`);
  mkdirSync(dirname(program), { recursive: true });
  // A copy under another name first: a killed build must not leave half a program.
  copyFileSync(join(tree, 'src', 'redis-server'), `${program}.partial`);
  renameSync(`${program}.partial`, program);
  return program;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(buildRedis(process.argv[2] === 'clang' ? 'clang' : 'gcc'));
}
