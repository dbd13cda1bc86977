// Starts a program from few files instead of hundreds, with the code that V8 compiled when they were made (bundle.mjs): a command is
// answered in the time that reading the modules one by one would take alone. Where there is no bundle, or it is older than the modules that it
// was made of, the modules are loaded: what runs is always the same code.
'use strict';
const { readFileSync, statSync } = require('node:fs');
const Module = require('node:module');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const v8 = require('node:v8');
const vm = require('node:vm');

const folder = 'bundle';
// Most commands are over before optimised code has paid for itself: V8 waits eight times as long as usual until it makes any, which saves
// a fifth of the CPU time and 8 MiB. NB: the code cache is of code made under the same flags.
const flagsOfCommands = ['--interrupt-budget=1000000', '--no-flush-bytecode'];
const commands = ['controller/cli/main.js', 'controller/cli/warm-up.js', 'bench/reader-child.js'];

/** The bundle's file of a program, which is named by its module in `dist`. */
const bundleName = (program) => program.replaceAll('/', '-').replace(/\.js$/, '.cjs');

/** By the bundle if there is one that could be used, else by its modules. */
function start(dist, program) {
  if (!startBundle(dist, program)) void import(pathToFileURL(join(dist, program)).href);
}

/** False where there is no bundle that could be used. */
function startBundle(dist, program) {
  const file = join(dist, folder, bundleName(program));
  if (!isFresh(dist, file)) return false;
  if (commands.includes(program)) for (const flag of flagsOfCommands) v8.setFlagsFromString(flag);
  const compile = Module.prototype._compile;
  Module.prototype._compile = function (content, filename) {
    return filename.startsWith(join(dist, folder))
      ? run(this, content, filename)
      : compile.call(this, content, filename);
  };
  require(file);
  return true;
}

/** The compiler touches its record whenever it has written modules. */
function isFresh(dist, file) {
  try {
    return statSync(file).mtimeMs >= statSync(join(dist, 'modules.tsbuildinfo')).mtimeMs;
  } catch {
    return false;
  }
}

/** Scripts that were run, by their file: for bundle.mjs, which keeps their code. */
const scripts = new Map();

function run(module, content, filename) {
  const script = new vm.Script(Module.wrap(content), {
    filename,
    cachedData: codeOf(filename),
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  scripts.set(filename, script);
  const require = Module.createRequire(filename);
  script
    .runInThisContext()
    .call(module.exports, module.exports, require, module, filename, join(filename, '..'));
}

function codeOf(filename) {
  try {
    return readFileSync(`${filename}.code`);
  } catch {
    return undefined;
  }
}

module.exports = { start, startBundle, scripts, bundleName, bundleFolder: folder };
