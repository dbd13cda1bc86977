/** What a controller that stays does with points beyond `snap`: watches, and canaries. */
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import type { SnapshotJson } from '../support/documents.js';
import { startNamedTicker, uniqueName } from '../support/ticker.js';
import { checkerProgram } from '../soak/kill-storm.js';

vi.setConfig({ testTimeout: 300_000 });

interface WatchedJson extends SnapshotJson {
  readonly written: {
    readonly expression: string;
    readonly before: { readonly value?: string };
    readonly after: { readonly value?: string };
  };
}

interface ThreadsJson {
  readonly tid: number;
  readonly threads: readonly {
    readonly tid: number;
    readonly provenance?: string;
    readonly frames?: readonly unknown[];
  }[];
}

interface PointJson {
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly location: string;
  readonly processes: readonly { readonly pid: number }[];
}

let place: Workplace;
let name: string;
let controller: StartedProgram;

beforeEach(async () => {
  place = openWorkplace();
  name = uniqueName();
  await place.startAgent();
  controller = await place.startController();
  await expect.poll(async () => (await place.run('doctor')).status).toBe(0);
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

async function startChecker(): Promise<StartedProgram> {
  const path = join(place.folder, name);
  copyFileSync(checkerProgram(), path);
  return await place.startProgram(path, ['2'], { ready: /./, stdin: true });
}

async function point(id: string): Promise<PointJson> {
  const [found] = (await place.json('points', id)) as [PointJson];
  return found;
}

test('a watch is kept and armed in processes that come later; a hit brings all threads where that is asked', async () => {
  const [asked] = (await place.json('watch', `name:${name}`, 'latest', '--changed', '--detach')) as [
    PointJson,
  ];
  expect(asked).toMatchObject({ state: 'pending', location: 'changes of latest' });
  controller.process.kill('SIGKILL');
  await once(controller.process, 'exit');
  await place.startController();
  const { pid } = await startChecker();
  await expect.poll(async () => (await point(asked.id)).state).toBe('ended');
  const [summary] = (await place.json('snapshots', '--point', asked.id)) as [{ id: string }];
  const [shown] = (await place.json('show', summary.id)) as [WatchedJson];
  expect(shown).toMatchObject({
    pid,
    engine: 'watch',
    location: { function: 'step' },
    written: { expression: 'latest' },
  });
  const { before, after } = shown.written;
  expect(BigInt(after.value ?? '0')).not.toBe(BigInt(before.value ?? '0'));

  const [waited] = (await place.json('watch', String(pid), 'latest', '--if', 'latest % 2 == 0')) as [
    WatchedJson,
  ];
  expect(BigInt(waited.written.after.value ?? '1') % 2n).toBe(0n);
  const threads = (await place.json('snap', String(pid), 'step', '--all-threads')) as [ThreadsJson];
  const [{ tid, threads: listed }] = threads;
  // One that waits for questions, and two that work.
  expect(listed).toHaveLength(3);
  for (const thread of listed) {
    if (thread.tid === tid) expect(thread.provenance).toBeUndefined();
    else expect(['after-hit', 'racy']).toContain(thread.provenance);
  }
  expect(listed.some(({ frames, tid: own }) => own !== tid && (frames?.length ?? 0) > 1)).toBe(true);
  const text = await place.run('show', 'last', '--all-threads');
  expect(text.stdout).toMatch(/thread \d+ \S+ {2}state \S {2}\[after-hit \+\d+ us\]/);

  const explained = await place.run('explain', String(pid), 'latest', '--watch');
  expect(explained.stdout).toContain('latest');
});

test('a canary: one process first, the others when it has borne it; none where it is turned off', async () => {
  const all = [
    await startNamedTicker(place, name),
    await place.startProgram(join(place.folder, name), [], { ready: /^ready$/ }),
  ];
  const pids = all.map(({ pid }) => pid).toSorted((a, b) => a - b);
  const never = ['--if', 'tick->number == -1', '--detach'];
  const set = async (...more: string[]): Promise<PointJson> => {
    const [armed] = (await place.json('snap', `name:${name}`, 'pass', ...never, ...more)) as [PointJson];
    return armed;
  };
  const pidsOf = async (id: string): Promise<number[]> =>
    (await point(id)).processes.map(({ pid }) => pid).toSorted((a, b) => a - b);

  const tried = await set('--canary', '10m');
  expect(tried.processes).toHaveLength(1);
  expect(tried.why).toMatch(/; canary on \d+ until \S+Z, then in the other process at \S+$/);
  expect(pids).toContain(tried.processes[0]?.pid);
  const off = await set('--canary', 'off');
  expect(await pidsOf(off.id)).toEqual(pids);
  const short = await set('--canary', '2s');
  await expect.poll(() => pidsOf(short.id)).toEqual(pids);
  expect((await point(short.id)).why).not.toContain('canary');

  const canary = all.find(({ pid }) => pid === tried.processes[0]?.pid);
  canary?.process.kill('SIGKILL');
  await expect.poll(async () => (await point(tried.id)).state).toBe('failed');
  expect((await point(tried.id)).why).toContain('was the canary');
});
