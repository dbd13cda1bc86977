import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from './support/paths.js';

/**
 * Who may import whom, by longest matching folder. `docs/architecture.md` shows the same table to people.
 * A folder may always import from itself.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  format: [],
  'agent/linux': ['format'],
  'agent/bpf': ['format', 'agent/linux'],
  'agent/targets': ['format', 'agent/linux'],
  'agent/engines': ['format', 'agent/linux', 'agent/bpf', 'agent/targets'],
  'agent/tracer': ['format', 'agent/linux', 'agent/bpf', 'agent/targets', 'agent/engines'],
  'agent/policy': ['format'],
  'agent/session': ['format', 'agent/policy', 'agent/tracer'],
  'agent/watch': ['format', 'agent/policy', 'agent/session', 'agent/tracer'],
  'agent/rpc': ['format', 'proto', 'agent/policy', 'agent/session', 'agent/tracer', 'agent/watch'],
  agent: ['format', 'proto', 'agent/policy', 'agent/session', 'agent/rpc', 'agent/tracer', 'agent/watch'],
  'controller/dwarf': ['format'],
  'controller/types': ['format', 'controller/dwarf'],
  'controller/symbols': ['format', 'controller/dwarf', 'controller/types'],
  'controller/unwind': ['format', 'controller/dwarf', 'controller/types', 'controller/symbols'],
  'controller/expression': [
    'format',
    'controller/dwarf',
    'controller/types',
    'controller/symbols',
    'controller/unwind',
  ],
  'controller/snapshot': [
    'format',
    'controller/dwarf',
    'controller/types',
    'controller/symbols',
    'controller/unwind',
    'controller/expression',
  ],
  'controller/planner': [
    'format',
    'controller/dwarf',
    'controller/types',
    'controller/symbols',
    'controller/unwind',
    'controller/expression',
  ],
  'controller/store': ['format', 'controller/types', 'controller/snapshot', 'controller/automation'],
  'controller/fleet': ['format', 'controller'],
  'controller/automation': ['format', 'controller'],
  'controller/rpc': ['format', 'proto', 'controller'],
  'controller/http': ['format', 'controller'],
  'controller/daemon': ['format', 'controller'],
  'controller/service': ['format', 'controller'],
  'controller/cli': ['format', 'controller'],
};

/** What only translates, and what puts all together. */
const faces = ['controller/rpc', 'controller/http', 'controller/cli', 'controller/daemon'];

/** What must never be imported from these folders, whatever the table says. */
const never: Readonly<Record<string, readonly string[]>> = {
  'controller/rpc': faces.filter((face) => face !== 'controller/rpc'),
  'controller/http': faces.filter((face) => face !== 'controller/http'),
  'controller/service': ['controller/cli', 'controller/http', 'controller/daemon'],
  'controller/fleet': ['controller/cli', 'controller/http', 'controller/daemon'],
  'controller/automation': ['controller/cli', 'controller/http', 'controller/daemon'],
};

const product = ['format', 'agent', 'controller'];

function sourceFiles(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)));
}

function folderOf(file: string): string | undefined {
  return Object.keys(mayImport)
    .filter((folder) => file.startsWith(`${folder}/`))
    .toSorted((a, b) => b.length - a.length)[0];
}

interface Import {
  readonly from: string;
  readonly to: string;
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(repositoryRoot, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

/** Imports that remain when types are erased: only these run, and only these can be run in a circle. */
function runtimeImportsOf(file: string): string[] {
  const text = readFileSync(join(repositoryRoot, file), 'utf8');
  const statements = [...text.matchAll(/^(?:import|export)\s[^;]*?from\s+'(\.[^']+)'/gms)];
  return statements
    .filter(([statement]) => !/^(?:import|export)\s+type\s/.test(statement))
    .map((match) => normalize(join(dirname(file), match[1] ?? '')).replace(/\.js$/, '.ts'));
}

const files = product.flatMap(sourceFiles);
const imports: Import[] = files.flatMap((from) =>
  importsOf(from)
    .filter((to) => to.startsWith('.'))
    .map((to) => ({ from, to: normalize(join(dirname(from), to)).replace(/\.js$/, '.ts') })),
);

function isForbidden({ from, to }: Import): boolean {
  const folder = folderOf(from);
  if (folder === undefined) return true;
  if ((never[folder] ?? []).some((other) => to.startsWith(`${other}/`))) return true;
  if (folder === folderOf(to)) return false;
  return !(mayImport[folder] ?? []).some((allowed) => to.startsWith(`${allowed}/`));
}

describe('architecture', () => {
  test('there is something to check', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(imports.length).toBeGreaterThan(20);
  });

  test('every import follows the table', () => {
    const wrong = imports.filter(isForbidden).map(({ from, to }) => `${from} imports ${to}`);
    expect(wrong).toEqual([]);
  });

  test('only agent/linux imports ffi-rs', () => {
    const wrong = files.filter(
      (file) => !file.startsWith('agent/linux/') && importsOf(file).some((to) => to === 'ffi-rs'),
    );
    expect(wrong).toEqual([]);
  });

  test('format does no I/O', () => {
    const io = /^(node:)?(fs|net|child_process|os|process|worker_threads|http|dgram|fs\/promises)$/;
    const wrong = files.filter(
      (file) => file.startsWith('format/') && importsOf(file).some((to) => io.test(to)),
    );
    expect(wrong).toEqual([]);
  });

  test('there are no cycles between files', () => {
    const graph = new Map(files.map((file) => [file, runtimeImportsOf(file)]));
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' > '));
        return;
      }
      state.set(file, 'open');
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of graph.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test('no folder is named after a pattern, and no file is a barrel', () => {
    const wrong = files.filter((file) =>
      /\/((utils?|common|helpers?|managers?)(\/|\.ts)|(index|base)\.ts)/.test(file),
    );
    expect(wrong).toEqual([]);
  });
});
