// Fetches the source of a Debian package by name, with an apt state of its own: the machine's lists stay as they are.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The stock package lists, in both of apt's syntaxes, rewritten to bring sources (same keyring, same hosts). */
function sourceLists() {
  const files = ['/etc/apt/sources.list'];
  const parts = '/etc/apt/sources.list.d';
  if (existsSync(parts)) files.push(...readdirSync(parts).map((file) => join(parts, file)));
  const lists = [];
  for (const file of files) {
    if (!existsSync(file) || !/\.(list|sources)$/.test(file)) continue;
    const text = readFileSync(file, 'utf8');
    if (file.endsWith('.sources')) {
      lists.push({ suffix: 'sources', text: text.replace(/^Types:.*$/gm, 'Types: deb-src') });
    } else {
      lists.push({ suffix: 'list', text: text.replace(/^deb(?=\s)/gm, 'deb-src') });
    }
  }
  return lists;
}

function run(command, args, options) {
  const result = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (result.error) throw new Error(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) {
    throw new Error(`${[command, ...args].join(' ')} failed:\n${result.stdout}${result.stderr}`);
  }
}

/**
 * @param {string} name the source package
 * @param {string} folder a folder of the caller's; made when missing
 * @param {string} [version] the newest when left out
 * @returns {string} the unpacked source tree
 */
export function fetchDebianSource(name, folder, version) {
  const isTree = (entry) => entry.isDirectory() && entry.name.startsWith(`${name}-`);
  const tree = () =>
    existsSync(folder)
      ? readdirSync(folder, { withFileTypes: true })
          .filter(isTree)
          .map((entry) => join(folder, entry.name))[0]
      : undefined;
  const done = join(folder, 'fetched');
  const before = tree();
  if (before !== undefined && existsSync(done)) return before;
  const apt = join(folder, 'apt');
  rmSync(folder, { recursive: true, force: true });
  for (const part of ['lists/partial', 'sources', 'cache/archives/partial']) {
    mkdirSync(join(apt, part), { recursive: true });
  }
  sourceLists().forEach(({ suffix, text }, i) => writeFileSync(join(apt, 'sources', `${i}.${suffix}`), text));
  const config = join(apt, 'apt.conf');
  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(apt, 'sources'),
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::Cache': join(apt, 'cache'),
    'APT::Sandbox::User': 'root',
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
  writeFileSync(config, lines.join(''));
  const env = { ...process.env, APT_CONFIG: config, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-q'], { env });
  run('apt-get', ['source', '-q', '--only-source', version === undefined ? name : `${name}=${version}`], {
    env,
    cwd: folder,
  });
  const after = tree();
  if (after === undefined) throw new Error(`apt-get source ${name} left no folder ${name}-*`);
  rmSync(apt, { recursive: true });
  writeFileSync(done, '');
  return after;
}
