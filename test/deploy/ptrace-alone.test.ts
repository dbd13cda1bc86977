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

/** All threads, by ptrace; again where a busy machine gave none of them a processor to stop on. */
async function threadsNow({ pid }: StartedProgram, at: readonly string[]): Promise<SnapshotJson> {
  for (let i = 0; ; i++) {
    const [now] = (await workplace.json('now', String(pid), ...at)) as [SnapshotJson];
    expect(now.engine).toBe('ptrace');
    if (JSON.stringify(now.threads).includes('"function"')) return now;
    expect(i, 'looks in which no thread stopped').toBeLessThan(20);
  }
}

describe.each([
  { who: 'with CAP_SYS_PTRACE alone', at: () => capable },
  { who: 'with no capability', at: () => plain },
])('$who, a process of its own user', ({ at }) => {
  test('all threads now, by ptrace', async () => {
    await threadsNow(own, at());
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

describe('a process of another user', () => {
  test('with CAP_SYS_PTRACE alone doctor says what it is for', async () => {
    const [doctor] = (await workplace.json('doctor', ...capable)) as [
      { readonly engines: readonly { readonly engine: string; readonly detail: string }[] },
    ];
    const detail = (name: string): string | undefined =>
      doctor.engines.find(({ engine }) => engine === name)?.detail;
    expect(detail('ptrace')).toMatch(
      /, points in processes of its own user only: others need an agent of root$/,
    );
    expect(detail('fork')).toMatch(/, for processes of its own user only: others need CAP_DAC_OVERRIDE$/);
    expect(detail('mem')).toMatch(/, for processes of its own user only: others need CAP_DAC_READ_SEARCH$/);
  });

  test('with CAP_SYS_PTRACE alone: all threads now, by ptrace', async () => {
    expect((await threadsNow(others, capable)).threads.length).toBeGreaterThan(2);
    await expectWell(others);
  });

  test.each([
    {
      who: 'with CAP_SYS_PTRACE alone',
      at: () => capable,
      refused: ['snap'],
      names: /only from root or from the user of the process$/m,
    },
    { who: 'with CAP_SYS_PTRACE alone', at: () => capable, refused: ['core'], names: /CAP_DAC/ },
    { who: 'with no capability', at: () => plain, refused: ['now', 'snap', 'core'], names: /CAP_SYS_PTRACE/ },
  ])('$who: $refused are refused, and what it takes is named', async ({ at, refused, names }) => {
    const file = join(workplace.folder, 'others.core');
    const options: Readonly<Record<string, readonly string[]>> = {
      snap: ['step'],
      core: ['--full', '-o', file],
    };
    for (const command of refused) {
      const result = await workplace.run(command, String(others.pid), ...(options[command] ?? []), ...at());
      expect(result.stderr).toMatch(names);
      expect(result.status).toBe(5);
    }
    await expectWell(others);
  });
});
