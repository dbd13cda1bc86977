/** Locations as optimising compilers write them, at every call of a program: what `show` and `eval` say, and what gdb does. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openSite } from '../../../controller/planner/site.js';
import { threadStack } from '../../../controller/snapshot/frames.js';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { evaluateExpressions, showSnapshot } from '../../../controller/snapshot/show.js';
import type { ValueDocument } from '../../../controller/types/value-document.js';
import type { LinkAddress } from '../../../format/address.js';
import { StillframeError } from '../../../format/error.js';
import { compileC } from '../../support/compile-c.js';
import { compareCore } from '../../support/compare-gdb.js';
import { differences, gdbValues } from '../../support/gdb-values.js';
import { repositoryRoot } from '../../support/paths.js';

const sources = join(repositoryRoot, 'native-fixtures', 'locations');
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function build(name: string, compiler: string, ...flags: readonly string[]): string {
  return compileC(readFileSync(join(sources, `${name}.c`), 'utf8'), {
    name,
    compiler,
    flags: ['-g', ...flags],
  });
}

/** A core for each time that a function is reached. */
function coresAt(program: string, place: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'locations-'));
  folders.push(folder);
  const script = [
    'set confirm off',
    `break ${place}`,
    'run',
    'set $n = 10',
    'while $_isvoid($_exitcode) && $_thread != 0',
    `eval "gcore ${join(folder, 'core')}.%d", $n`,
    'set $n = $n + 1',
    'continue',
    'end',
  ];
  writeFileSync(join(folder, 'commands'), script.join('\n'));
  const options = ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off'];
  execFileSync('gdb', [...options, '-x', join(folder, 'commands'), program], { stdio: 'ignore' });
  return readdirSync(folder)
    .filter((name) => name.startsWith('core.'))
    .toSorted()
    .map((name) => join(folder, name));
}

/** A core of a program that crashes by itself. */
function crashOf(program: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'locations-'));
  folders.push(folder);
  const core = join(folder, 'core');
  const options = ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off'];
  execFileSync('gdb', [...options, '-ex', 'run', '-ex', `gcore ${core}`, program], { stdio: 'ignore' });
  return core;
}

/** What follows pointers that are nowhere, by function. NB: scalars; asked for a struct behind such a pointer, gdb 13 can stop with an internal error. */
const expressions: Readonly<Record<string, readonly string[]>> = {
  implicit: ['*p', '**pp', '*p + 1', 'v'],
  pieces: ['q.a', 'pq->a', 'pq->b'],
  partial: ['q.a', 'q.b'],
  bitty: ['b.a', 'b.b', 'b.c', 'b.d', 'c.d'],
  nodes: ['pn->value', 'b[1]', '*b'],
  typed: ['d', 'l', 'g', 's', 'h', 'ld'],
};

function valuesOf(answers: readonly (ValueDocument | StillframeError)[]): ValueDocument[] {
  return answers.map((answer) => {
    if (answer instanceof StillframeError) throw answer;
    return answer;
  });
}

describe.each([
  ['gcc', '-O2'],
  ['gcc', '-Og'],
  ['clang', '-O2'],
] as const)('%s %s', (compiler, level) => {
  const program = build('optimised', compiler, level);
  const cores = coresAt(program, 'stop');

  test('is stopped at each call', () => expect(cores.length).toBeGreaterThan(10));

  test('variables are those of gdb', () => {
    const withheld: string[] = [];
    // Every fourth: neighbours differ little.
    for (const core of cores.filter((_, i) => i % 4 === 0)) {
      const tally = compareCore(program, core);
      expect(tally.differences).toEqual([]);
      expect(tally.compared).toBeGreaterThan(0);
      withheld.push(...tally.withheld);
    }
    // docs/variable-locations.md: argument registers in callers of clang; pointers to what is nowhere, whose number gdb makes up as 0.
    const known = /not preserved across calls|it points to an object that the compiler kept nowhere/;
    expect(withheld.filter((each) => !known.test(each))).toEqual([]);
    if (compiler === 'gcc') expect(withheld.filter((each) => each.includes('preserved'))).toEqual([]);
  });

  test('pointers to what is nowhere can be followed', () => {
    const seen = new Set<string>();
    for (const core of cores) {
      using snapshot = openSnapshot(core);
      const [thread] = snapshot.threads;
      if (thread === undefined) throw new Error('no thread');
      const { frames } = threadStack(snapshot, thread);
      const frame = frames.find((each) => expressions[each.function ?? ''] !== undefined);
      const asked = expressions[frame?.function ?? ''];
      if (frame === undefined || asked === undefined || seen.has(frame.function ?? '')) continue;
      seen.add(frame.function ?? '');
      const ours = valuesOf(evaluateExpressions(snapshot, asked, { frame: frame.index }));
      const theirs = gdbValues({
        program,
        core,
        commands: [`frame ${frame.index}`],
        expressions: asked,
        depth: 1,
      });
      const found = asked.flatMap((text, i) => {
        const [our, their] = [ours[i], theirs[i]];
        if (our === undefined || their === undefined) throw new Error('no answer');
        if (our.absent?.detail.startsWith('register ') === true && compiler === 'clang') return [];
        // Of an object in pieces gdb makes up zeros where clang says nothing.
        if (JSON.stringify(our).includes('does not say where this part of it is')) return [];
        // A float that is nowhere is an answer to gdb's Python, other numbers are errors.
        if (their.float === '<optimized out>' && our.absent !== undefined) return [];
        return differences(our, their, `${frame.function} ${text}`);
      });
      expect(found).toEqual([]);
    }
    expect([...seen].toSorted()).toEqual(Object.keys(expressions).toSorted());
  });
});

test('gcc: a pointer to a pointer to what is nowhere shows both as targets, and has no number', () => {
  const program = build('optimised', 'gcc', '-Og');
  const [core = ''] = coresAt(program, 'stop');
  using snapshot = openSnapshot(core);
  const frame = showSnapshot(snapshot, { depth: 2 }).frames.find((each) => each.function === 'implicit');
  const local = (name: string): unknown => frame?.locals.find((each) => each.name === name);
  const detail = 'it points to an object that the compiler kept nowhere in memory';
  const absent = { reason: 'optimized-out', detail };
  const v = { type: 'int', kind: 'int', value: '15' };
  expect(local('p')).toMatchObject({ type: 'int *', kind: 'pointer', target: v, absent });
  expect(local('p')).not.toHaveProperty('value');
  expect(local('pp')).toMatchObject({ type: 'int **', target: { type: 'int *', target: v, absent }, absent });
});

test('gcc: what such a pointer points to can be nowhere itself', () => {
  const program = build('optimised', 'gcc', '-O2');
  const [core = ''] = coresAt(program, 'stop');
  using snapshot = openSnapshot(core);
  const frame = showSnapshot(snapshot).frames.find((each) => each.function === 'implicit');
  expect(frame?.locals.find((each) => each.name === 'p')).toMatchObject({
    target: { type: 'int', absent: { reason: 'optimized-out' } },
  });
});

test('clang: what is counted from a stack pointer that pushes have moved is absent, where gdb reads something else', () => {
  const program = build('pushes', 'clang', '-O2');
  const core = coresAt(program, 'many').at(-1) ?? '';
  using snapshot = openSnapshot(core);
  const work = showSnapshot(snapshot).frames.find((each) => each.function === 'work');
  expect(work?.locals.find((each) => each.name === 'buffer')).toMatchObject({
    absent: {
      reason: 'optimized-out',
      detail: expect.stringMatching(/^the compiler counts from the stack pointer of the function's body/),
    },
  });
  const options = { program, core, commands: ['up'], expressions: ['buffer[0]'], depth: 0 };
  // It is n, which is 5.
  expect(gdbValues(options)[0]?.value).not.toBe('5');

  // Nor may a point that is set there read it.
  const [thread] = snapshot.threads;
  const frames = thread === undefined ? [] : threadStack(snapshot, thread).frames;
  const caller = frames.find((each) => each.function === 'work');
  const { symbols, address } = caller?.evaluation ?? expect.unreachable('no evaluation');
  const located = { function: 'work', inlined: false, afterPrologue: false };
  const placeAt = (at: LinkAddress): unknown => {
    const site = openSite(symbols, { ...located, address: at });
    const buffer = site.frame?.scope?.variables.find(({ name }) => name === 'buffer');
    return buffer === undefined ? undefined : site.variableLocation(buffer);
  };
  expect(placeAt(address)).toMatchObject({ absent: 'optimized-out' });
  const [begin] = symbols.findLine('pushes.c', 16);
  expect(placeAt(begin?.address ?? address)).toMatchObject({ kind: 'address' });
});

describe.each(['gcc', 'clang'])('%s: vectors of 32 bytes in registers', (compiler) => {
  test('are whole, as gdb has them', ({ skip }) => {
    if (!readFileSync('/proc/cpuinfo', 'utf8').includes(' avx2 ')) skip('this processor has no AVX2');
    const program = build('wide-vectors', compiler, '-O2', '-mavx2');
    const core = crashOf(program);
    const { compared, differences: found, withheld } = compareCore(program, core);
    const others = withheld.filter((each) => !each.includes('not preserved across calls'));
    expect({ found, others }).toEqual({ found: [], others: [] });
    expect(compared).toBeGreaterThan(0);
    using snapshot = openSnapshot(core);
    const work = showSnapshot(snapshot).frames.find((each) => each.function === 'work');
    const numbers = (name: string): unknown =>
      work?.locals.find((each) => each.name === name)?.elements?.map(({ value }) => value);
    expect(numbers('sum')).toEqual(['4.5', '6.5', '8.5', '10.5']);
    // gcc spills the other one.
    if (compiler === 'clang') expect(numbers('more')).toEqual(['4', '5', '6', '7', '8', '9', '10', '4']);
  });
});
