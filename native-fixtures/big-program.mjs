// Builds a C++ program with more than 100 MB of .debug_info, for benchmarks: many units, each with its own instantiations of the
// standard library's templates. One is compiled; its assembly, renamed, is each of the others, for compiling them all takes half an hour.
// Built once, kept in .cache. usage: node native-fixtures/big-program.mjs; prints the path of the program.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const cache = join(dirname(here), '.cache');
/** Of 2.8 MB each. */
const units = 48;
/** Of one length, so that names keep theirs in mangled form. */
const nameOf = (unit) => `unit_${String(unit).padStart(3, '0')}`;

/** @returns {string} the path of the program */
export function buildBigProgram() {
  const folder = join(process.env.STILLFRAME_FIXTURE_CACHE ?? cache, 'big-program');
  const program = join(folder, 'big-program');
  if (existsSync(program)) return program;
  const scratch = join(folder, 'build');
  mkdirSync(scratch, { recursive: true });
  const run = (command, args) => {
    const result = spawnSync(command, args, { cwd: scratch, encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${result.stderr}`);
  };
  const first = nameOf(1);
  writeFileSync(join(scratch, `${first}.cpp`), readFileSync(join(here, 'big-program', 'unit.cpp')));
  run('g++', ['-std=c++17', '-O2', '-g', '-DUNIT=001', '-S', `${first}.cpp`]);
  const assembly = readFileSync(join(scratch, `${first}.s`), 'latin1');
  const objects = [];
  for (let unit = 1; unit <= units; unit++) {
    const name = nameOf(unit);
    writeFileSync(join(scratch, `${name}.s`), assembly.replaceAll(first, name), 'latin1');
    run('as', ['-o', `${name}.o`, `${name}.s`]);
    rmSync(join(scratch, `${name}.s`));
    objects.push(`${name}.o`);
  }
  const calls = Array.from({ length: units }, (_, i) => nameOf(i + 1));
  writeFileSync(
    join(scratch, 'main.cpp'),
    `${calls.map((name) => `long run_${name}(int);\n`).join('')}int main(int argc, char **) {\n  long sum = 0;\n` +
      `${calls.map((name) => `  sum += run_${name}(argc);\n`).join('')}  return sum == 0;\n}\n`,
  );
  run('g++', ['-std=c++17', '-O2', '-g', '-c', 'main.cpp']);
  run('g++', ['-o', 'big-program', 'main.o', ...objects]);
  renameSync(join(scratch, 'big-program'), program);
  rmSync(scratch, { recursive: true });
  return program;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(buildBigProgram());
