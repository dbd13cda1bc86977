/**
 * Agents of an ordinary user, with CAP_SYS_PTRACE alone and with no capability at all: what they can do in processes of their user they do, and what they cannot in those
 * of others they refuse by the name of what is missing.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkerProgram } from '../soak/kill-storm.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { disturbedThreads } from '../support/code-bytes.js';
import type { SnapshotJson } from '../support/documents.js';
import { requireFeature } from '../support/require-feature.js';
import { asOrdinary, startAgentAsUnit } from './unit-file.js';

let workplace: Workplace;
let own: StartedProgram;
let others: StartedProgram;
let capable: readonly string[];
let plain: readonly string[];

beforeAll(async () => {
  workplace = openWorkplace();
  const start = (command: string, args: readonly string[]): Promise<StartedProgram> =>
    workplace.startProgram(command, args, { ready: /^ready$/, stdin: true });
  own = await start('setpriv', [...asOrdinary([]), checkerProgram(), '2']);
  others = await start(checkerProgram(), ['2']);
  capable = ['--agent', (await startAgentAsUnit(workplace, 'capable', { only: ['CAP_SYS_PTRACE'] })).address];
  plain = ['--agent', (await startAgentAsUnit(workplace, 'plain', { only: [] })).address];
});
afterAll(async () => {
  await workplace?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requireFeature(context, 'root', getuid?.() === 0 ? undefined : 'the tests do not run as root');
});

/** It works, what it computes is right, nobody traces it, and no thread stands still. */
async function expectWell(program: StartedProgram): Promise<void> {
  expect(disturbedThreads(program.pid)).toEqual([]);
  const said = program.lines.length;
  program.process.stdin?.write('?\n');
  while (program.lines.length === said) await new Promise((resolve) => setTimeout(resolve, 5));
  const [passes, wrong] = (program.lines.at(-1) ?? '').split(' ').map(Number);
  expect(passes).toBeGreaterThan(0);
  expect(wrong).toBe(0);
}

describe.each([
  { who: 'with CAP_SYS_PTRACE alone', at: () => capable },
  { who: 'with no capability', at: () => plain },
])('$who, a process of its own user', { timeout: 120_000 }, ({ at }) => {
  test('all threads now, by ptrace', async () => {
    const [now] = (await workplace.json('now', String(own.pid), ...at())) as [SnapshotJson];
    expect(now.engine).toBe('ptrace');
    expect(JSON.stringify(now.threads)).toContain('"function"');
    await expectWell(own);
  });

  test('a whole core, by fork', async () => {
    const file = join(workplace.folder, `own-${at().join().length}.core`);
    const result = await workplace.run('core', String(own.pid), '--full', '-o', file, ...at());
    expect(result).toMatchObject({ status: 0 });
    expect(statSync(file).size).toBeGreaterThan(100_000);
    await expectWell(own);
  });

  test('a point, by ptrace', async () => {
    const args = ['snap', String(own.pid), 'step', '--capture', 'work->name', '--engine', 'ptrace'];
    const [snapshot] = (await workplace.json(...args, ...at())) as [SnapshotJson];
    expect(snapshot.engine).toBe('ptrace');
    expect(['red', 'green', 'blue']).toContain(snapshot.captures[0]?.text);
    await expectWell(own);
  });
});

describe('a process of another user', { timeout: 120_000 }, () => {
  test.each([
    { who: 'with CAP_SYS_PTRACE alone', at: () => capable, missing: /CAP_DAC_READ_SEARCH/ },
    { who: 'with no capability', at: () => plain, missing: /CAP_SYS_PTRACE/ },
  ])('$who it is refused, and what it takes is named', async ({ at, missing }) => {
    const pid = String(others.pid);
    const file = join(workplace.folder, 'others.core');
    for (const args of [
      ['now', pid],
      ['snap', pid, 'step'],
      ['core', pid, '--full', '-o', file],
    ]) {
      const result = await workplace.run(...args, ...at());
      expect(result.stderr).toMatch(missing);
      expect(result.status).toBe(5);
    }
    await expectWell(others);
  });
});
