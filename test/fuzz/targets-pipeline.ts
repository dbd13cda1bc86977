/** The whole way: a core and the program's file to a document, one of them mutated. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSnapshot } from '../../controller/snapshot/open.js';
import { evaluateExpressions, showSnapshot } from '../../controller/snapshot/show.js';
import { bufferSource } from '../../format/elf/open.js';
import { ask, type FuzzTarget } from './fuzz-target.js';
import { build, buildNames, coreOf, withSection } from './program.js';

const expressions = [
  'list->next->name',
  '*list',
  'numbers',
  'some',
  '&search',
  '$rip',
  'head.u.f + wide',
  'GREEN',
];
const codes = ['bad-data', 'limit', 'not-found', 'bad-expression', 'unsupported'] as const;

/** Shows a core with a program's file; everything that a person can ask of it. */
function showAll(core: Uint8Array, exe: string): void {
  using snapshot = openSnapshot(bufferSource('core', core), { exe });
  ask(() => showSnapshot(snapshot, { allThreads: true }), codes);
  ask(() => evaluateExpressions(snapshot, expressions), codes);
  ask(() => evaluateExpressions(snapshot, expressions, { frame: 1 }), codes);
}

/** The program's file with other bytes, for as long as `use` runs. */
function withFile(bytes: Uint8Array, use: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'fuzzed-'));
  try {
    const path = join(folder, 'program');
    writeFileSync(path, bytes);
    use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const cores = new Map<string, Uint8Array>();

function coreBytes(name: string): Uint8Array {
  const known = cores.get(name) ?? coreOf(name);
  cores.set(name, known);
  return known;
}

function ofSection(name: string, section: string): FuzzTarget {
  return {
    name: `show-${name}${section.replace('.debug_', '-')}`,
    seeds: () => [build(name).elf.sectionBytes(section) ?? new Uint8Array()],
    run: (bytes) =>
      withFile(withSection(build(name), section, bytes), (path) => showAll(coreBytes(name), path)),
    codes,
  };
}

export const pipelineTargets: readonly FuzzTarget[] = [
  ...buildNames.flatMap((name): FuzzTarget[] => [
    {
      name: `show-${name}-core`,
      seeds: () => [coreBytes(name)],
      run: (bytes) => showAll(bytes, build(name).path),
      codes,
      hotBytes: 4096,
    },
    {
      name: `show-${name}-file`,
      seeds: () => [build(name).bytes],
      run: (bytes) => withFile(bytes, (path) => showAll(coreBytes(name), path)),
      codes,
    },
  ]),
  ofSection('gcc5', '.debug_info'),
  ofSection('gcc5', '.debug_loclists'),
  ofSection('gcc5', '.eh_frame'),
  ofSection('gcc4', '.debug_loc'),
  ofSection('clang5', '.debug_info'),
  ofSection('clang5', '.debug_abbrev'),
  ofSection('frame', '.debug_frame'),
];
