import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { field, local, type SnapshotJson, type ValueJson } from '../support/documents.js';

const source = `
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
struct node { int value; const char *name; struct node *next; };
static struct node tail = { 2, "tail", 0 };
int counter = 41;
__attribute__((noinline)) int inner(struct node *node, int depth) {
  volatile int here = depth * 3;
  counter++;
  if (depth > 0) return inner(node, depth - 1) + here;
  puts("ready"); fflush(stdout);
  if (getenv("CRASH")) abort();
  pause();
  return here + node->value;
}
int main(void) {
  struct node head = { 1, "head", &tail };
  return inner(&head, 3);
}
`;

/** Cores that others wrote go through the same code as our own. */
describe('show and eval on cores of the kernel and of gcore', () => {
  let workplace: Workplace;
  let folder: string;
  let program: string;

  beforeAll(() => {
    workplace = openWorkplace();
    folder = mkdtempSync(join(tmpdir(), 'stillframe-cores-'));
    program = join(folder, 'crash');
    writeFileSync(join(folder, 'crash.c'), source);
    const gcc = spawnSync('gcc', ['-g', '-O1', '-o', program, join(folder, 'crash.c')], { encoding: 'utf8' });
    if (gcc.status !== 0) throw new Error(gcc.stderr);
  });
  afterAll(async () => {
    await workplace?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const check = async (core: string, ...options: readonly string[]): Promise<void> => {
    const [snapshot] = (await workplace.json('show', core, ...options)) as [SnapshotJson];
    const names = snapshot.frames.map((frame) => frame.function);
    const first = names.indexOf('inner');
    expect(names.slice(first, first + 5)).toEqual(['inner', 'inner', 'inner', 'inner', 'main']);
    const head = local(snapshot.frames[first + 4], 'head');
    expect(field(head, 'name').text).toBe('head');
    expect(field(head, 'next', 'name').text).toBe('tail');
    const frame = String(first + 4);
    const [value, counter] = (await workplace.json(
      'eval',
      core,
      'head.next->value + head.value',
      'counter',
      '--frame',
      frame,
      ...options,
    )) as ValueJson[];
    expect(value?.value).toBe('3');
    expect(counter?.value).toBe('45');
    const here = local(snapshot.frames[first + 1], 'here');
    expect(here.value).toBe('3');
  };

  test('a core that the kernel wrote', async () => {
    const run = spawnSync('sh', ['-c', `ulimit -c unlimited; cd ${folder}; CRASH=1 exec ./crash`], {
      encoding: 'utf8',
    });
    expect(run.signal === 'SIGABRT' || run.status === 134).toBe(true);
    const core = readdirSync(folder).find((file) => file.startsWith('core'));
    if (core === undefined) throw new Error(`the kernel wrote no core into ${folder}`);
    await check(join(folder, core));
  });

  test('a core that gcore wrote', async () => {
    const started = await workplace.startProgram(program, [], { ready: /^ready$/ });
    const gcore = spawnSync('gcore', ['-o', join(folder, 'gcore'), String(started.pid)], {
      encoding: 'utf8',
    });
    expect(gcore.status, gcore.stderr).toBe(0);
    await check(join(folder, `gcore.${started.pid}`));
  });

  test('a stripped program whose debug file is below --debug-dir', async () => {
    const stripped = join(folder, 'stripped');
    copyFileSync(program, stripped);
    const id = /Build ID: ([0-9a-f]+)/.exec(
      spawnSync('readelf', ['-n', program], { encoding: 'utf8' }).stdout,
    );
    const [start, rest] = [id?.[1]?.slice(0, 2) ?? '', id?.[1]?.slice(2) ?? ''];
    const directory = join(folder, 'debug');
    mkdirSync(join(directory, '.build-id', start), { recursive: true });
    const debug = join(directory, '.build-id', start, `${rest}.debug`);
    expect(spawnSync('objcopy', ['--only-keep-debug', program, debug]).status).toBe(0);
    expect(spawnSync('strip', [stripped]).status).toBe(0);
    const started = await workplace.startProgram(stripped, [], { ready: /^ready$/ });
    const core = join(folder, `stripped.${started.pid}`);
    expect(spawnSync('gcore', ['-o', join(folder, 'stripped'), String(started.pid)]).status).toBe(0);
    const [without] = (await workplace.json('show', core)) as [SnapshotJson];
    expect(without.frames.map((frame) => frame.function)).not.toContain('inner');
    await check(core, '--debug-dir', directory);
  });

  test('a file that is no core is refused with the reason', async () => {
    const result = await workplace.run('show', program, '--json');
    expect(result.status).toBe(6);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'bad-data' } });
  });
});
