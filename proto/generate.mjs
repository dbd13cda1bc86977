// Turns proto/stillframe/v1/*.proto into proto/generated/stillframe.{js,d.ts} and descriptors.bin (a FileDescriptorSet, for server
// reflection), and puts them where compiled files look for them. Does nothing when all is newer than its sources.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
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

const outputs = ['stillframe.js', 'stillframe.d.ts', 'descriptors.bin'];
if (!outputs.every((name) => fresh(join(out, name)))) {
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
  writeFileSync(`${scratch}.bin`, await describe(require));
  renameSync(`${scratch}.bin`, join(out, 'descriptors.bin'));
  renameSync(`${scratch}.d.ts`, join(out, 'stillframe.d.ts'));
  renameSync(`${scratch}.js`, join(out, 'stillframe.js'));
}
mkdirSync(compiled, { recursive: true });
for (const name of ['stillframe.js', 'descriptors.bin']) {
  if ((mtime(join(compiled, name)) ?? 0) >= (mtime(join(out, name)) ?? 0)) continue;
  copyFileSync(join(out, name), join(compiled, name));
}

async function describe(require) {
  const { default: protobuf } = await import(require.resolve('protobufjs'));
  const { default: descriptor } = await import(require.resolve('protobufjs/ext/descriptor.js'));
  const loaded = new protobuf.Root();
  loaded.resolvePath = (_, target) => (sources.includes(target) ? target : join(here, target));
  loaded.loadSync(sources).resolveAll();
  const set = loaded.toDescriptor('proto3');
  for (const file of set.file) for (const message of file.messageType) spellAsProtoc(message, file.package);
  return descriptor.FileDescriptorSet.encode(set).finish();
}

// What protoc would write and readers in other languages insist on: types by their whole name, entries of maps by a fixed one.
function spellAsProtoc(message, scope) {
  const name = `${scope}.${message.name}`;
  for (const field of message.field) {
    if (!field.typeName || field.typeName.startsWith('.')) continue;
    const nested = message.nestedType.find((type) => type.name === field.typeName);
    if (nested?.options?.mapEntry) nested.name = `${pascalCase(field.name)}Entry`;
    field.typeName = nested ? `.${name}.${nested.name}` : `.${scope}.${field.typeName}`;
  }
  for (const nested of message.nestedType) spellAsProtoc(nested, name);
}

function pascalCase(name) {
  return name.replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
}
