// Turns proto/stillframe/v1/*.proto into proto/generated/stillframe.{js,d.ts}, and puts the code where compiled files look for
// it. Does nothing when all is newer than its sources.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const sources = readdirSync(join(here, 'stillframe/v1'))
  .filter((name) => name.endsWith('.proto'))
  .toSorted()
  .map((name) => join(here, 'stillframe/v1', name));
const out = join(here, 'generated');
const compiled = join(root, 'dist/proto/generated');

const mtime = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
const newest = Math.max(...[...sources, fileURLToPath(import.meta.url)].map(mtime));
const fresh = (path) => (mtime(path) ?? 0) > newest;

if (!['stillframe.js', 'stillframe.d.ts'].every((name) => fresh(join(out, name)))) {
  mkdirSync(out, { recursive: true });
  const require = createRequire(import.meta.url);
  const bin = join(dirname(require.resolve('protobufjs-cli/package.json')), 'bin');
  const run = (tool, args) => execFileSync(process.execPath, [join(bin, tool), ...args], { cwd: root });
  // NB: Node resolves ES modules by full name, hence `minimal.js`.
  const scratch = join(out, `scratch-${process.pid}`);
  const options = [
    '-t',
    'static-module',
    '-w',
    'es6',
    '--force-long',
    '--no-verify',
    '--no-delimited',
    '--no-typeurl',
    '--dependency',
    'protobufjs/minimal.js',
  ];
  run('pbjs', [...options, '-p', here, '-o', `${scratch}.js`, ...sources]);
  run('pbts', ['-o', `${scratch}.d.ts`, `${scratch}.js`]);
  renameSync(`${scratch}.d.ts`, join(out, 'stillframe.d.ts'));
  renameSync(`${scratch}.js`, join(out, 'stillframe.js'));
}
if (!((mtime(join(compiled, 'stillframe.js')) ?? 0) >= (mtime(join(out, 'stillframe.js')) ?? 0))) {
  mkdirSync(compiled, { recursive: true });
  copyFileSync(join(out, 'stillframe.js'), join(compiled, 'stillframe.js'));
}
