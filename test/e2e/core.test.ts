import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { SYS_pause, untilCalling } from '../support/at-rest.js';
import { compileC } from '../support/compile-c.js';

const source = `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct node { struct node *next; long value; char name[24]; };
static struct node *list;
static long table[4096];
static const char *greeting = "still";
static __attribute__((noinline)) void deep(int depth, const char *what) {
  char local[64];
  snprintf(local, sizeof local, "%s at depth %d", what, depth);
  if (depth > 0) deep(depth - 1, what);
  else if (strcmp(what, "main") == 0) { puts("ready"); fflush(stdout); for (;;) pause(); }
  else for (;;) pause();
  __asm__ volatile("" :: "r"(local) : "memory");
}
static void *worker(void *name) { deep(3, name); return 0; }
int main(void) {
  for (int i = 0; i < 4096; i++) table[i] = (long)i * i;
  for (long i = 0; i < 2000; i++) {
    struct node *node = malloc(sizeof *node);
    *node = (struct node){ list, i, "" };
    snprintf(node->name, sizeof node->name, "node %ld", i);
    list = node;
  }
  char *reserved = malloc(1l << 30);
  memset(reserved + (512l << 20), 7, 5 << 20);
  pthread_t thread;
  pthread_create(&thread, 0, worker, "one");
  pthread_create(&thread, 0, worker, "two");
  deep(5, "main");
}
`;
const program = compileC(source, { name: 'kept', flags: ['-g', '-O0'] });
const commands = [
  'thread apply all bt',
  'print list->next->next->value',
  'print (char*) list->name',
  'print table[100]@8',
  'print greeting',
  'frame function deep',
  'info locals',
];

/** What gdb says of a core, without what differs from one run to another. */
function ask(core: string): string {
  const args = ['-q', '-batch', '-nx', ...commands.flatMap((command) => ['-ex', command]), program, core];
  const output = execFileSync('gdb', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const threads = output.slice(output.indexOf('\nThread ')).split(/\n(?=Thread \d+ |\$1 = )/);
  // gdb numbers threads in the order of the file: kernels, gcore and we start with another one.
  return threads
    .map((text) => text.trim().replace(/^Thread \d+ \(.*?LWP (\d+)\)+/, 'Thread $1'))
    .toSorted()
    .join('\n\n');
}

describe('core', () => {
  let place: Workplace;
  let target: StartedProgram;
  let gcore: string;

  beforeAll(async () => {
    place = openWorkplace();
    await place.startAgent();
    target = await place.startProgram(program, [], { ready: /ready/ });
    await untilCalling(target.pid, SYS_pause, SYS_pause, SYS_pause);
    execFileSync('gcore', ['-o', join(place.folder, 'gcore'), String(target.pid)], { stdio: 'ignore' });
    gcore = join(place.folder, `gcore.${target.pid}`);
  });
  afterAll(async () => {
    await place[Symbol.asyncDispose]();
  });

  test('with the whole memory says to gdb what that of gcore says', async () => {
    const file = join(place.folder, 'full.core');
    const result = await place.run('core', String(target.pid), '--full', '-o', file);
    expect(result).toMatchObject({ status: 0 });
    expect(result.stdout).toMatch(/^wrote .*full\.core/);
    const said = ask(file);
    expect(said).toContain('deep (depth=0, what=');
    expect(said).toContain('"node 1999"');
    expect(said).toBe(ask(gcore));
    // A gigabyte that was never touched costs nothing.
    expect(statSync(gcore).size).toBeGreaterThan(1024 ** 3);
    expect(statSync(file).size).toBeLessThan(64 * 1024 ** 2);
  });

  test('without an option has stacks, data and heap; with --stacks no heap', async () => {
    const file = join(place.folder, 'default.core');
    expect(await place.json('core', String(target.pid), '-o', file)).toMatchObject([
      { file, bytes: statSync(file).size },
    ]);
    expect(ask(file)).toBe(ask(gcore));
    const stacks = join(place.folder, 'stacks.core');
    expect((await place.run('core', String(target.pid), '--stacks', '-o', stacks)).status).toBe(0);
    expect(statSync(stacks).size).toBeLessThan(512 * 1024);
    const said = ask(stacks);
    expect(said).toContain('deep (depth=3, what=');
    expect(said).not.toContain('"node 1999"');
  });

  test('within so many bytes has stacks before heap, and says what is missing', async () => {
    const file = join(place.folder, 'small.core');
    expect((await place.run('core', String(target.pid), '--bytes', '128k', '-o', file)).status).toBe(0);
    expect(statSync(file).size).toBeLessThan(256 * 1024);
    expect(ask(file)).toContain('deep (depth=0, what=');
    const missing = await place.run('eval', file, 'list->name');
    expect(`${missing.stdout}${missing.stderr}`).toMatch(/not captured|not in the core/);
  });

  test('is a snapshot that can be asked', async () => {
    const file = join(place.folder, 'asked.core');
    await place.json('core', String(target.pid), '--full', '-o', file);
    const compressed = `${file}.gz`;
    expect((await place.run('core', String(target.pid), '--gzip', '-o', compressed)).status).toBe(0);
    expect(gunzipSync(readFileSync(compressed)).subarray(0, 4).toString('latin1')).toBe('\u007fELF');
    expect(readdirSync(place.folder).filter((name) => name.startsWith('asked'))).toEqual([
      'asked.core',
      'asked.core.gz',
    ]);
    const [value] = await place.json('eval', file, 'list->next->value');
    expect(value).toMatchObject({ value: '1998', provenance: 'stopped' });
  });

  test('a disk that is full or read-only is told, and nothing is left on it', async () => {
    const folder = join(place.folder, 'small-disk');
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder]);
    try {
      const full = await place.run('core', String(target.pid), '--full', '-o', join(folder, 'x.core'));
      expect(full.status).toBe(1);
      expect(full.stderr).toMatch(/cannot write ".*x\.core": ENOSPC[^]*hint: the disk is full/);
      expect(readdirSync(folder)).toEqual([]);
      execFileSync('mount', ['-o', 'remount,ro', folder]);
      const readOnly = await place.run('core', String(target.pid), '--stacks', '-o', join(folder, 'x.core'));
      expect(readOnly.stderr).toMatch(/cannot write ".*x\.core": EROFS[^]*hint: the disk is read-only/);
    } finally {
      execFileSync('umount', [folder]);
    }
  });

  test('leaves the spool empty and the process as it was', async () => {
    const spool = join(place.folder, 'spool');
    for (let i = 0; i < 3000 && readdirSync(spool).some((name) => name.endsWith('.core')); i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(readdirSync(spool).filter((name) => name.includes('.core'))).toEqual([]);
    expect(readFileSync(`/proc/${target.pid}/status`, 'utf8')).toMatch(/State:\tS[^]*TracerPid:\t0/);
    expect(existsSync(`/proc/${target.pid}/task/${target.pid}/children`)).toBe(true);
    expect(readFileSync(`/proc/${target.pid}/task/${target.pid}/children`, 'utf8')).toBe('');
  });
});
