// npm run bench: sets up, runs every benchmark one after another, and writes the table of docs/benchmarks.md, and the rows of it that README.md shows, between their markers.
// Plain JavaScript, for nothing is installed yet when it starts. usage: node bench/run.mjs [NAME ...]
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { headlines } from './headlines.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const all = [
  'hit-cost',
  'placement',
  'metric',
  'snapshots',
  'observe',
  'at-rest',
  'arm-redis',
  'alert-to-armed',
  'fleet',
  'reader',
  'values',
  'core',
  'redis-core',
  'ptrace',
  'latency',
];
const names = process.argv.length > 2 ? process.argv.slice(2) : all;

function run(args) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function resultOf(name) {
  return JSON.parse(readFileSync(join(root, 'bench', 'results', `${name}.json`), 'utf8'));
}

/** What was not run now stays as it is in `before`, the table so far. */
function table(before) {
  const rows = ['| benchmark | measured | |', '|---|---:|---|'];
  const places = [];
  for (const name of all) {
    if (!names.includes(name)) {
      const lines = before.split('\n');
      rows.push(...lines.filter((line) => line.startsWith(`| \`${name}\` |`)));
      places.push(...lines.filter((line) => line.startsWith(`\`${name}\` ran on `)));
      continue;
    }
    // With the load: it moves what is measured by the clock.
    const { machine, ...groups } = resultOf(name);
    places.push(`\`${name}\` ran on ${machine}.`);
    for (const [group, values] of Object.entries(groups)) {
      for (const [row, value] of Object.entries(values)) {
        rows.push(`| \`${name}\` | ${value.toFixed(2)} | ${group}: ${row} |`);
      }
    }
  }
  return [...rows, '', ...places].join('\n');
}

/** The machines, each with what was measured there and how busy it was then. */
function machinesOf(lines) {
  const loads = new Map();
  for (const line of lines) {
    const [, machine, load] = /^`[\w-]+` ran on (.*), load ([\d.]+)\.$/.exec(line) ?? [];
    if (machine !== undefined) loads.set(machine, [...(loads.get(machine) ?? []), Number(load)]);
  }
  return [...loads].map(
    ([machine, each]) => `Measured on ${machine}, at a load of ${Math.min(...each)} to ${Math.max(...each)}.`,
  );
}

/** Of the table, what README.md shows. */
function shown(whole) {
  const lines = whole.split('\n');
  const rows = headlines.map(([name, row]) => {
    const found = lines.find((line) => line.startsWith(`| \`${name}\` |`) && line.endsWith(`| ${row} |`));
    if (found === undefined)
      throw new Error(`bench/headlines.mjs names a row of ${name} that is not there: ${row}`);
    return found;
  });
  return [...lines.slice(0, 2), ...rows, '', ...machinesOf(lines)].join('\n');
}

/** What is between the markers of a file is replaced; gives what it is now. */
function mark(file, replacement) {
  const path = join(root, file);
  const text = readFileSync(path, 'utf8');
  const marked = /(<!-- bench -->\n)([\s\S]*?)(<!-- \/bench -->)/;
  const [, , before] = marked.exec(text) ?? [];
  if (before === undefined) throw new Error(`${file} has no <!-- bench --> markers`);
  const after = replacement(before);
  writeFileSync(
    path,
    text.replace(marked, (_, begin, __, end) => `${begin}${after}\n${end}`),
  );
  return after;
}

run(['bin/prepare.mjs', 'bench']);
for (const name of names) run([`dist/bench/${name}.js`, '--json']);
const measured = mark('docs/benchmarks.md', table);
mark('README.md', () => shown(measured));
