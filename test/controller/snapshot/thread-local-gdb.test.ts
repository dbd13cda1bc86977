/** Thread-local variables of a program and of its libraries, for threads that have touched them and threads that have not: against gdb. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { evaluateExpressions } from '../../../controller/snapshot/show.js';
import { StillframeError } from '../../../format/error.js';
import { differences, gdbValues } from '../../support/gdb-values.js';
import { repositoryRoot } from '../../support/paths.js';

const sources = join(repositoryRoot, 'native-fixtures', 'thread-local');
const libraries = ['started', 'fixed', 'late', 'descriptor'] as const;
const expressions = [
  'own',
  'block',
  ...libraries.flatMap((name) => ['number', 'text', 'zero'].map((variable) => `${name}_${variable}`)),
];

describe.each([
  ['gcc', '-mtls-dialect=gnu2'],
  ['clang', '-ftls-model=global-dynamic'],
] as const)('%s', (compiler, dialect) => {
  let folder: string;
  let program: string;
  let core: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'thread-local-'));
    program = join(folder, 'main');
    core = join(folder, 'core');
    const flags = { started: [], fixed: ['-ftls-model=initial-exec'], late: [], descriptor: [dialect] };
    for (const name of libraries)
      compile(['-fPIC', '-shared', `-DNAME=${name}`, ...flags[name], '-o', library(name)], 'library.c');
    compile(['-O1', '-pthread', '-o', program, library('started'), library('fixed')], 'main.c');
    const commands = ['run', `gcore ${core}`, 'kill'].flatMap((each) => ['-ex', each]);
    const settings = ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off', ...commands];
    execFileSync('gdb', [...settings, '--args', program, library('late'), library('descriptor')], {
      stdio: 'ignore',
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const library = (name: string): string => join(folder, `lib${name}.so`);
  function compile(args: readonly string[], source: string): void {
    execFileSync(compiler, ['-g', join(sources, source), ...args], { cwd: folder, stdio: 'pipe' });
  }

  test('each thread has its own, or none yet', () => {
    using snapshot = openSnapshot(core);
    expect(snapshot.threads).toHaveLength(5);
    const untouched: string[] = [];
    // Of the second compiler two will do: one that has touched nothing, one that has.
    const asked = compiler === 'gcc' ? snapshot.threads : snapshot.threads.slice(0, 2);
    for (const [i, thread] of asked.entries()) {
      const ours = evaluateExpressions(snapshot, expressions, { tid: thread.tid });
      const theirs = gdbValues({ program, core, commands: [`thread ${i + 1}`], expressions, depth: 1 });
      for (const [j, name] of expressions.entries()) {
        const our = ours[j];
        const their = theirs[j];
        if (our === undefined || our instanceof StillframeError || their === undefined) throw our;
        const where = `thread ${i} ${name}`;
        expect(differences(our, their, where)).toEqual([]);
        // What gdb has must not be missing here.
        expect([where, our.absent?.detail]).toEqual([
          where,
          their.error === undefined ? undefined : missing(name),
        ]);
        if (their.error !== undefined) untouched.push(name);
      }
    }
    expect(new Set(untouched)).toContain('late_number');
    expect(new Set(untouched)).not.toContain('started_number');
  });

  function missing(name: string): string {
    const path = library(name.replace(/_.*/, ''));
    return `this thread has not used the thread-local variables of "${path}" yet: it has none of its own`;
  }
});
