/** Targets that change while a point is armed in them: libraries that come later, workers that are forked, other programs that are executed. */
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

test.each(['uprobe', 'ptrace'])(
  '%s: the stack leads through a library that was loaded after the point was set',
  async (engine) => {
    const member = await startIn(workplace, [], `exec ${crew} $WORD`);
    const pid = String(member.pid);
    const missing = await workplace.run('snap', pid, 'libcrew.so!call_back', '--engine', engine);
    expect(missing).toMatchObject({ status: 3 });
    expect(missing.stderr).toContain(`process ${pid} maps no module "libcrew.so"`);
    expect(missing.stderr).toContain('libc.so.6');

    const first = await startSnap(workplace, pid, 'pass', '--if', 'tick->number == 4242', '--engine', engine);
    expect(await say(member, `d${library}`)).toMatch(/ wrong 0 /);
    const snapshot = JSON.parse((await first.ended).stdout) as SnapshotJson;
    expect(snapshot.frames.map((frame) => frame.function).slice(0, 3)).toEqual(['pass', 'call_back', 'main']);
    expect(local(snapshot.frames[1], 'tick').fields?.[0]).toMatchObject({ name: 'number', value: '4242' });

    // What it has now can be probed by its own name.
    const second = await startSnap(workplace, pid, 'libcrew.so!call_back', '--engine', engine);
    await say(member, `d${library}`);
    const again = JSON.parse((await second.ended).stdout) as SnapshotJson;
    expect(again.frames[0]).toMatchObject({ function: 'call_back' });
    await expectWell(member);
  },
  timeout,
);

test.each(['uprobe', 'ptrace'])(
  '%s: children that are forked meanwhile are no worse for it',
  async (engine) => {
    const member = await startIn(workplace, [], `exec ${crew} $WORD fork`);
    const args = ['snap', String(member.pid), 'pass', '--engine', engine, '--hits', '3', '--every', '50ms'];
    const snapshots = (await workplace.json(...args)) as SnapshotJson[];
    expect(snapshots.map(({ pid }) => pid)).toEqual([member.pid, member.pid, member.pid]);
    const file = `${workplace.folder}/x.core`;
    expect(await workplace.run('core', String(member.pid), '--full', '-o', file)).toMatchObject({
      status: 0,
    });
    const passed = async (): Promise<number> => {
      const said = await say(member, 'c');
      expect(said).toMatch(/^passed \d+ wrong 0 heard 0$/);
      return Number(said.split(' ')[1]);
    };
    const before = await passed();
    while ((await passed()) < before + 10) await new Promise((resolve) => setTimeout(resolve, 20));
  },
  timeout,
);

test.each([
  { engine: 'uprobe', program: '/bin/cat' },
  { engine: 'uprobe', program: crew },
  { engine: 'ptrace', program: crew },
])(
  '$engine: a point ends when its process executes $program, and says so',
  async ({ engine, program }) => {
    const member = await startIn(workplace, [], `exec ${crew} $WORD quiet`);
    // Another program, and the same one again, which a probe of the file goes on to see: its addresses are others.
    const waiting = await startSnap(
      workplace,
      String(member.pid),
      'pass',
      '--engine',
      engine,
      '--wait',
      '110s',
    );
    member.started.process.stdin?.write(`e${program}\n`);
    const result = await waiting.ended;
    expect(result).toMatchObject({ status: 3 });
    const { error } = JSON.parse(result.stdout) as { readonly error: { readonly message: string } };
    expect(error.message).toMatch(
      /ended before it fired: process \d+ executed another program(?: \(\d+ hits?\))?$/,
    );
  },
  timeout,
);
