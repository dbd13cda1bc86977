// Joins the modules of the programs that are started again and again into few files, and keeps the code that V8 makes of them. Workers go on
// using the modules.
// usage: node bin/bundle.mjs
import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tmpdir } from 'node:os';
import { rolldown } from 'rolldown';
import bundled from './bundled.js';
import { makeCore } from './warm-up/make-core.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const folder = join(dist, bundled.bundleFolder);
const keepCode = join(root, 'bin', 'warm-up', 'keep-code.js');
const maxWarmUpMs = 60_000;

const controller = 'controller/daemon/main.js';
/** Packages of a controller that read files beside themselves, and what they share with it. */
const ownFiles = ['grpc-health-check', '@grpc/reflection', '@grpc/grpc-js'];

/** What is joined at once shares files. The agent's side shares none with the controller's, nor daemons with commands, which have other flags. */
const groups = [
  ['controller/cli/main.js', 'controller/cli/warm-up.js', 'bench/reader-child.js'],
  ['agent/main.js', 'agent/tracer/main.js'],
  [controller],
  // Tests start these by the hundred.
  [
    'test/agent/engines/fork/copier.js',
    'test/agent/engines/ptrace/stopper.js',
    'test/soak/front.js',
    'test/soak/storm-tracer.js',
  ],
];

/** Modules find workers and files by where they are: they go on doing so. */
const ownPlace = {
  name: 'own-place',
  transform(code, id) {
    if (!code.includes('import.meta.url')) return undefined;
    const place = `require('node:url').pathToFileURL(require('node:path').join(__dirname, ${JSON.stringify(relative(folder, id))})).href`;
    return { code: code.replaceAll('import.meta.url', `(${place})`) };
  },
};

async function joinModules(programs) {
  const bundle = await rolldown({
    input: Object.fromEntries(
      programs.map((program) => [bundled.bundleName(program).replace(/\.cjs$/, ''), join(dist, program)]),
    ),
    platform: 'node',
    external: [/\.node$/, 'better-sqlite3', 'ffi-rs', ...(programs.includes(controller) ? ownFiles : [])],
    plugins: [ownPlace],
    onLog(level, log, handle) {
      // Packages of others have their reasons.
      if (log.code !== 'EVAL') handle(level, log);
    },
  });
  await bundle.write({
    dir: folder,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
  });
  await bundle.close();
}

async function keepCommands(scratch, env) {
  const sample = await makeCore(scratch);
  const args = sample === undefined ? [] : [sample.core, sample.program];
  const run = spawnSync(process.execPath, [keepCode, 'controller/cli/warm-up.js', ...args], {
    env,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`the commands cannot be run: ${run.stderr}`);
}

/** Ends it as systemd would, when it says that it is ready. */
async function keepDaemon(env, [program, ...args]) {
  const child = spawn(process.execPath, [keepCode, program, ...args], { env, timeout: maxWarmUpMs });
  let said = '';
  child.stdout.once('data', () => child.kill('SIGTERM'));
  child.stderr.on('data', (chunk) => (said += chunk));
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(said);
}

/** Has it try what the engines can do on this host, which takes most of its start. */
async function keepTracer(env, journal) {
  const child = fork(keepCode, ['agent/tracer/main.js', journal], {
    env,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    timeout: maxWarmUpMs,
  });
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  child.on('message', ({ kind }) => {
    child.send(kind === 'ready' ? { id: 1, call: 'probeEngines', parameters: {} } : 'keep', () => undefined);
  });
  const [, signal] = await once(child, 'close');
  if (signal !== 'SIGKILL') throw new Error(said);
}

/** A host where nobody may run an agent is one to build on. */
async function keepDaemons(scratch, env) {
  try {
    await keepTracer(env, join(scratch, 'journal'));
    const at = (name) => `unix:${join(scratch, name)}`;
    await keepDaemon(env, ['agent/main.js', '--listen', at('agent'), '--spool', join(scratch, 'spool')]);
    const store = `sqlite:${join(scratch, 'store')}`;
    await keepDaemon(env, [controller, '--listen', at('controller'), '--store', store]);
  } catch (error) {
    process.stderr.write(`bundle: agent and controller start without kept code: ${error.message}\n`);
  }
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const programs of groups) await joinModules(programs);
const scratch = mkdtempSync(join(tmpdir(), 'stillframe-bundle-'));
try {
  const env = {
    ...process.env,
    XDG_DATA_HOME: scratch,
    XDG_CACHE_HOME: scratch,
    STILLFRAME_SYMBOL_CACHE: 'off',
  };
  await keepCommands(scratch, env);
  await keepDaemons(scratch, env);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
