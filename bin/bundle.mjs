// Joins the modules of the command line into few files and keeps the code that V8 makes of them. Workers and daemons go on using the modules.
// usage: node bin/bundle.mjs
import { spawnSync } from 'node:child_process';
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

/** Modules find workers and files by where they are: they go on doing so. */
const ownPlace = {
  name: 'own-place',
  transform(code, id) {
    if (!code.includes('import.meta.url')) return undefined;
    const place = `require('node:url').pathToFileURL(require('node:path').join(__dirname, ${JSON.stringify(relative(folder, id))})).href`;
    return { code: code.replaceAll('import.meta.url', `(${place})`) };
  },
};

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const bundle = await rolldown({
  input: {
    stillframe: join(dist, 'controller', 'cli', 'main.js'),
    'warm-up': join(dist, 'controller', 'cli', 'warm-up.js'),
    'reader-child': join(dist, 'bench', 'reader-child.js'),
  },
  platform: 'node',
  external: [/\.node$/, 'better-sqlite3', 'ffi-rs'],
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

const scratch = mkdtempSync(join(tmpdir(), 'stillframe-bundle-'));
try {
  const sample = await makeCore(scratch);
  const args = sample === undefined ? [] : [sample.core, sample.program];
  const env = {
    ...process.env,
    XDG_DATA_HOME: scratch,
    XDG_CACHE_HOME: scratch,
    STILLFRAME_SYMBOL_CACHE: 'off',
  };
  const run = spawnSync(process.execPath, [join(root, 'bin', 'warm-up', 'keep-code.js'), ...args], {
    env,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`the commands cannot be run: ${run.stderr}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
