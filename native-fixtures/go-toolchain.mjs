// A newer Go than the machine's, and the delve that knows it, out of Debian's packages: unpacked into .cache, not installed.
// usage: node native-fixtures/go-toolchain.mjs; prints the paths of go and of dlv, a line each.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');
const version = '1.24';
const suite = 'trixie';

/** The stock lists of Debian's own archive, for the suite that has the packages (same keyring, same hosts). */
function packageLists() {
  const files = ['/etc/apt/sources.list'];
  const parts = '/etc/apt/sources.list.d';
  if (existsSync(parts)) files.push(...readdirSync(parts).map((file) => join(parts, file)));
  const lists = [];
  for (const file of files) {
    if (!existsSync(file)) continue;
    const text = readFileSync(file, 'utf8');
    if (file.endsWith('.sources')) {
      const archives = text.split(/\n\s*\n/).filter((part) => /^URIs:.*\/debian\/?\s*$/m.test(part));
      const moved = archives.map((part) =>
        part
          .replace(/^Types:.*$/m, 'Types: deb')
          .replace(/^Suites:.*$/m, `Suites: ${suite}`)
          .replace(/^Components:.*$/m, 'Components: main'),
      );
      if (moved.length > 0) lists.push({ suffix: 'sources', text: `${moved.join('\n\n')}\n` });
    } else if (file.endsWith('.list')) {
      const lines = text.split('\n').filter((line) => /^deb\s.*\/debian\/?\s/.test(line));
      const moved = lines.map((line) => line.replace(/(\/debian\/?\s+).*$/, `$1${suite} main`));
      if (moved.length > 0) lists.push({ suffix: 'list', text: `${[...new Set(moved)].join('\n')}\n` });
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

/** @returns {{ go: string, dlv: string }} */
export function fetchGoToolchain() {
  const folder = join(process.env.STILLFRAME_FIXTURE_CACHE ?? cache, `go-${version}`);
  const paths = { go: join(folder, `usr/lib/go-${version}/bin/go`), dlv: join(folder, 'usr/bin/dlv') };
  if (existsSync(folder)) return paths;
  const work = `${folder}.${process.pid}`;
  const apt = join(work, 'apt');
  try {
    for (const part of ['lists/partial', 'sources', 'cache/archives/partial']) {
      mkdirSync(join(apt, part), { recursive: true });
    }
    packageLists().forEach(({ suffix, text }, i) =>
      writeFileSync(join(apt, 'sources', `${i}.${suffix}`), text),
    );
    const settings = {
      'Dir::Etc::sourcelist': '/dev/null',
      'Dir::Etc::sourceparts': join(apt, 'sources'),
      'Dir::State::lists': join(apt, 'lists'),
      'Dir::Cache': join(apt, 'cache'),
      'APT::Sandbox::User': 'root',
    };
    const config = join(apt, 'apt.conf');
    const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
    writeFileSync(config, lines.join(''));
    const env = { ...process.env, APT_CONFIG: config, DEBIAN_FRONTEND: 'noninteractive' };
    run('apt-get', ['update', '-q'], { env });
    const packages = [`golang-${version}-go`, `golang-${version}-src`, 'delve'].map(
      (name) => `${name}/${suite}`,
    );
    run('apt-get', ['download', '-q', ...packages], { env, cwd: work });
    rmSync(apt, { recursive: true });
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) {
      run('dpkg', ['-x', file, '.'], { cwd: work });
      rmSync(join(work, file));
    }
    // Under its name at last: an unfinished one must not be taken for it.
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return paths;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { go, dlv } = fetchGoToolchain();
  console.log(`${go}\n${dlv}`);
}
