// Makes a fresh clone usable: dependencies, Debian packages by name, generated code, the build. Idempotent, quick when there is
// nothing to do. usage: node bin/prepare.mjs [demo] [automation] [test] [bench]. Plain JavaScript, for nothing is installed yet when it runs.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Programs that a purpose needs (files, where a path is given), and the Debian packages that bring each. */
const programs = {
  demo: { gcc: 'gcc', ld: 'binutils' },
  automation: {
    gcc: 'gcc',
    ld: 'binutils',
    setpriv: 'util-linux',
    prometheus: 'prometheus',
    'prometheus-alertmanager': 'prometheus-alertmanager',
  },
  test: {
    gcc: 'gcc',
    clang: 'clang',
    gdb: 'gdb',
    'gdb-multiarch': 'gdb-multiarch',
    'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
    'qemu-aarch64': 'qemu-user',
    readelf: 'binutils',
    'llvm-dwarfdump': 'llvm',
    zstd: 'zstd',
    xz: 'xz-utils',
    dwz: 'dwz',
    'eu-strip': 'elfutils',
    debuginfod: 'debuginfod',
    'g++': 'g++',
    '/usr/include/c++/v1': 'libc++-dev libc++abi-dev',
    go: 'golang-go',
    dlv: 'delve',
    'ld.gold': 'binutils',
    'llvm-dwp': 'llvm',
    'llvm-symbolizer': 'llvm',
    make: 'make',
    openssl: 'openssl',
    'redis-benchmark': 'redis-tools',
    bpftrace: 'bpftrace',
    'dpkg-source': 'dpkg-dev',
    '/usr/include/event.h': 'libevent-dev',
    '/usr/include/seccomp.h': 'libseccomp-dev',
    setpriv: 'util-linux',
    prometheus: 'prometheus',
    'prometheus-alertmanager': 'prometheus-alertmanager',
    'systemd-analyze': 'systemd',
    strace: 'strace',
  },
  bench: {
    gcc: 'gcc',
    gdb: 'gdb',
    bpftrace: 'bpftrace',
    'redis-benchmark': 'redis-tools',
    make: 'make',
    'g++': 'g++',
    'dpkg-source': 'dpkg-dev',
    lldb: 'lldb',
    drgn: 'python3-drgn',
  },
};

/** Packages that would start a service, now and at each boot. Tests and demos run these programs themselves, on ports of their own. */
const services = ['prometheus', 'prometheus-alertmanager'];
const policy = '/usr/sbin/policy-rc.d';
const policyText =
  '#!/bin/sh\n# Made by the set-up of Stillframe for the time of one installation.\nexit 101\n';

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) {
    fail(`${[command, ...args].join(' ')} failed:\n${result.stdout ?? ''}${result.stderr ?? ''}`);
  }
  return result.stdout;
}

function fail(message) {
  process.stderr.write(`prepare: ${message}\n`);
  process.exit(1);
}

function has(program) {
  if (program.startsWith('/')) return existsSync(program);
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin');
  return folders.some((folder) => folder !== '' && existsSync(join(folder, program)));
}

function say(message) {
  process.stderr.write(`prepare: ${message}\n`);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 12)) {
    fail(`Node ${process.versions.node} is too old: 20.12 or later is needed`);
  }
}

function installDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.stillframe-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  say('installing dependencies (a few minutes where better-sqlite3 must be compiled)');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, lock);
}

function installPrograms(purposes) {
  const wanted = new Map();
  for (const purpose of purposes) {
    for (const [program, pkg] of Object.entries(programs[purpose] ?? {})) wanted.set(program, pkg);
  }
  const missing = [...wanted].filter(([program]) => !has(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.flatMap(([, pkg]) => pkg.split(' ')))];
  if (!has('apt-get') || process.getuid?.() !== 0) {
    const names = missing.map(([program]) => program).join(', ');
    fail(`missing programs: ${names}; install the packages ${packages.join(' ')}`);
  }
  say(`installing ${packages.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-q'], { env });
  const quiet = packages.filter((name) => services.includes(name));
  if (quiet.length > 0) forbidServices();
  run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], { env });
  allowServices();
  for (const name of quiet) keepStopped(name);
  const still = missing.filter(([program]) => !has(program)).map(([program]) => program);
  if (still.length > 0) fail(`still missing after installation: ${still.join(', ')}`);
}

/** Packages ask policy-rc.d before they start what they bring. A policy of the machine's own is left as it is. */
function forbidServices() {
  if (existsSync(policy)) return;
  process.on('exit', allowServices);
  // Without a listener a signal would end this process without its exit handlers.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  writeFileSync(policy, policyText, { mode: 0o755 });
}

function allowServices() {
  if (existsSync(policy) && readFileSync(policy, 'utf8') === policyText) rmSync(policy);
}

/** What was only just installed is not to start at the next boot either, and must not run now. */
function keepStopped(service) {
  if (has('systemctl')) run('systemctl', ['disable', '--quiet', service]);
  else if (has('update-rc.d')) run('update-rc.d', [service, 'disable']);
  const program = `/usr/bin/${service}`;
  const running = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && executableOf(pid) === program);
  if (running.length > 0) {
    fail(
      `the package ${service} has started its service (pid ${running.join(', ')}): stop it with "service ${service} stop"`,
    );
  }
}

function executableOf(pid) {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined; // It has ended, or it is a kernel thread.
  }
}

function build() {
  if (existsSync(join(root, 'proto', 'generate.mjs'))) run('node', ['proto/generate.mjs']);
  run('node', ['node_modules/typescript/bin/tsc']);
  run('node', ['bin/bundle.mjs']);
}

checkNode();
const purposes = process.argv.slice(2);
for (const purpose of purposes) if (!(purpose in programs)) fail(`unknown purpose "${purpose}"`);
mkdirSync(join(root, '.cache'), { recursive: true });
allowServices(); // Where an earlier run was killed.
installDependencies();
installPrograms(purposes);
build();
