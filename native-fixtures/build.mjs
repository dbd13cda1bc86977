// Builds a fixture: every .c of native-fixtures/NAME into native-fixtures/build/NAME-<variant>/NAME, and prints that path.
// usage: node native-fixtures/build.mjs NAME [--cc gcc|clang] [--opt O0|O2] [--dwarf 4|5] [--no-pie] [--static]
// Plain JavaScript without dependencies, so that the demo can use it before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(fileURLToPath(import.meta.url));

/** @returns {string} the path of the program */
export function buildFixture(name, { cc = 'gcc', opt = 'O2', dwarf = 5, pie = true, isStatic = false } = {}) {
  const source = join(root, name);
  const variant = [cc, opt, `dwarf${dwarf}`, pie ? 'pie' : 'nopie', ...(isStatic ? ['static'] : [])].join(
    '-',
  );
  const folder = join(root, 'build', `${name}-${variant}`);
  const program = join(folder, name);
  const files = readdirSync(source).filter((file) => /\.[ch]$/.test(file));
  const newest = Math.max(...files.map((file) => statSync(join(source, file)).mtimeMs));
  if (existsSync(program) && statSync(program).mtimeMs > newest) return program;
  mkdirSync(folder, { recursive: true });
  const partial = `${program}.${process.pid}`;
  const flags = [`-${opt}`, '-g', `-gdwarf-${dwarf}`, '-Wall', '-pthread', pie ? '-fPIE' : '-fno-pie'];
  flags.push(isStatic ? '-static' : pie ? '-pie' : '-no-pie', '-Wl,--build-id=sha1');
  const sources = files.filter((file) => file.endsWith('.c')).map((file) => join(source, file));
  const run = spawnSync(cc, [...flags, '-o', partial, ...sources], { encoding: 'utf8' });
  if (run.error) throw new Error(`cannot run ${cc}: ${run.error.message}`);
  if (run.status !== 0) throw new Error(`cannot build ${name} with ${cc}:\n${run.stderr}`);
  renameSync(partial, program);
  return program;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      cc: { type: 'string', default: 'gcc' },
      opt: { type: 'string', default: 'O2' },
      dwarf: { type: 'string', default: '5' },
      'no-pie': { type: 'boolean', default: false },
      static: { type: 'boolean', default: false },
    },
  });
  const [name] = positionals;
  if (name === undefined) throw new Error('usage: node native-fixtures/build.mjs NAME [options]');
  console.log(
    buildFixture(name, {
      cc: values.cc,
      opt: values.opt,
      dwarf: Number(values.dwarf),
      pie: !values['no-pie'],
      isStatic: values.static,
    }),
  );
}
