/** Points in a library that is loaded after they were set, unloaded, and loaded again: each says what it waits for, and fires when that has come. */
import { copyFileSync, renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../../support/cli.js';
import { local, type SnapshotJson } from '../../support/documents.js';
import { crew, expectWell, library, say, startIn, startSnap } from './crew.js';

const timeout = 180_000;

let workplace: Workplace;
beforeEach(async () => {
  workplace = openWorkplace();
  await workplace.startAgent();
});
afterEach(async () => {
  await workplace[Symbol.asyncDispose]();
});

/** What the one point says of itself. */
async function why(): Promise<string> {
  const [point] = (await workplace.json('points')) as { readonly why: string; readonly phase: string }[];
  return point?.why ?? '';
}

async function untilWhy(wanted: RegExp): Promise<void> {
  while (!wanted.test(await why())) await sleep(100);
}

test.each([
  { engine: 'uprobe', what: 'a line', place: 'libcrew.so.c:5' },
  { engine: 'ptrace', what: 'a function', place: 'call_back' },
])(
  '$engine, $what',
  async ({ engine, place }) => {
    const member = await startIn(workplace, [], `exec ${crew} $WORD`);
    const { pid } = member;
    const awaited = new RegExp(`no such module: process ${pid} does not map "${library}"`);
    const args = [`${library}!${place}`, '--hits', '2', '--every', '0ms', '--engine', engine];
    const waiting = await startSnap(workplace, String(pid), ...args);
    expect(await why()).toMatch(awaited);

    // The very first call is seen where probes belong to the file. Breakpoints are set when the library has been found: before its first call or after it.
    await say(member, `d${library}`);
    await untilWhy(/: 0 hits, no thread has passed there yet|: 1 hit, 1 of 2 delivered$/);
    if (engine === 'ptrace' && !(await why()).includes('1 of 2')) await say(member, `d${library}`);
    await untilWhy(/: 1 hit, 1 of 2 delivered$/);

    await say(member, 'u');
    await untilWhy(awaited);
    await say(member, `d${library}`);
    if (engine === 'ptrace') {
      await untilWhy(/delivered$|^delivered 2 hits/);
      await say(member, `d${library}`);
    }
    const ended = await waiting.ended;
    const snapshots = ended.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as SnapshotJson);
    expect(snapshots).toHaveLength(2);
    for (const { frames } of snapshots) {
      expect(frames[0]?.function).toBe('call_back');
      expect(frames.map((frame) => frame.function)).toContain('main');
    }
    if (place !== 'call_back') {
      expect(local(snapshots[0]?.frames[0], 'tick').fields?.[0]).toMatchObject({ value: '4242' });
    }
    await expectWell(member);
  },
  timeout,
);

test('a file that is replaced before it is loaded is no longer what is waited for', async () => {
  const member = await startIn(workplace, [], `exec ${crew} $WORD`);
  const copy = `${workplace.folder}/libcopy.so`;
  copyFileSync(library, copy);
  await startSnap(workplace, String(member.pid), `${copy}!call_back`);
  expect(await why()).toMatch(/no such module: .*libcopy\.so"$/);
  copyFileSync(library, `${copy}.new`);
  renameSync(`${copy}.new`, copy);
  await untilWhy(/, and another file lies there by now$/);
  await say(member, `d${copy}`);
  await untilWhy(/maps another file as ".*libcopy\.so" than lay there when the point was set$/);
});
