/**
 * Targets in other worlds than the agent: mount, pid and user namespaces, other roots, binaries that were deleted or replaced. Each engine gives
 * the same, or refuses with the reason; the target notices nothing.
 */
import { copyFileSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../../support/cli.js';
import { field, local, type SnapshotJson } from '../../support/documents.js';
import { filteredProgram } from '../../agent/engines/seccomp/filtered.js';
import { crew, expectWell, staticCrew, startIn, type Member } from './crew.js';

let workplace: Workplace;
beforeAll(async () => {
  workplace = openWorkplace();
  await workplace.startAgent();
});
afterAll(async () => {
  await workplace[Symbol.asyncDispose]();
});

interface World {
  readonly what: string;
  readonly start: (place: Workplace) => Promise<Member>;
  /** Why the fork engine refuses. */
  readonly noCopy?: string;
  /** Engines of points, and of all threads now: all of them where worlds differ most, else some, for each takes a second. */
  readonly points?: readonly string[];
  readonly now?: readonly string[];
}

const everyPoint = ['uprobe', 'ptrace'];
const everyNow = ['observe', 'ptrace', 'mem'];

const inTmpfs = `mount -t tmpfs none /mnt && cp ${crew} /mnt/crew && exec /mnt/crew $WORD`;

/** A copy of the program that may be deleted. */
function ownCopy(place: Workplace, name: string, from = crew): string {
  const folder = join(place.folder, name);
  mkdirSync(folder);
  copyFileSync(from, join(folder, 'crew'));
  return folder;
}

const worlds: readonly World[] = [
  {
    what: 'a mount namespace whose files the host does not have',
    points: everyPoint,
    now: everyNow,
    start: (place) => startIn(place, ['unshare', '--mount'], inTmpfs),
  },
  {
    what: 'a mount namespace that has another file at the same path',
    start: (place) => {
      const folder = ownCopy(place, 'same-path', '/bin/true');
      return startIn(
        place,
        ['unshare', '--mount'],
        `mount -t tmpfs none ${folder} && cp ${crew} ${folder}/crew && exec ${folder}/crew $WORD`,
      );
    },
  },
  {
    what: 'another root, without a libc',
    now: ['ptrace'],
    start: (place) => {
      const folder = ownCopy(place, 'root', staticCrew);
      return startIn(place, [], `exec chroot ${folder} /crew $WORD`);
    },
  },
  {
    what: 'a pid namespace',
    points: ['ptrace'],
    now: ['ptrace'],
    start: (place) =>
      startIn(place, ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'], `${crew} $WORD; true`),
  },
  {
    what: 'a pid namespace, as its first process',
    start: (place) =>
      startIn(place, ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'], `exec ${crew} $WORD`),
    noCopy: 'it is the first process of its pid namespace: the copy would become a child of it, and a zombie',
  },
  {
    what: 'user, mount and pid namespaces',
    points: ['ptrace'],
    now: ['mem'],
    start: (place) =>
      startIn(
        place,
        [
          'unshare',
          '--user',
          '--map-root-user',
          '--mount',
          '--pid',
          '--fork',
          '--kill-child',
          '--mount-proc',
        ],
        `cp ${crew} /dev/shm/crew.$WORD; mount -t tmpfs none /mnt && cp ${crew} /mnt/crew && rm /dev/shm/crew.$WORD; /mnt/crew $WORD; true`,
      ),
  },
  {
    what: 'a user namespace without a mapped user',
    start: (place) => startIn(place, ['unshare', '--user'], `exec ${crew} $WORD`),
  },
  {
    what: 'the world of a container: seccomp, no capabilities, namespaces',
    points: everyPoint,
    now: everyNow,
    start: (place) =>
      startIn(
        place,
        [
          'unshare',
          '--mount',
          '--uts',
          '--ipc',
          '--net',
          '--pid',
          '--fork',
          '--kill-child',
          '--mount-proc',
          'setpriv',
          '--bounding-set=-all',
          '--inh-caps=-all',
          '--no-new-privs',
          filteredProgram,
          'container',
          '--',
          '/usr/bin/env',
        ],
        `${crew} $WORD; true`,
      ),
  },
  {
    what: 'a binary that was deleted',
    points: ['ptrace'],
    start: async (place) => {
      const folder = ownCopy(place, 'deleted');
      const member = await startIn(place, [], `exec ${folder}/crew $WORD`);
      rmSync(join(folder, 'crew'));
      return member;
    },
  },
  {
    what: 'a binary that was replaced by another',
    now: ['ptrace'],
    start: async (place) => {
      const folder = ownCopy(place, 'replaced');
      const member = await startIn(place, [], `exec ${folder}/crew $WORD`);
      copyFileSync('/bin/true', join(folder, 'new'));
      renameSync(join(folder, 'new'), join(folder, 'crew'));
      return member;
    },
  },
];

/** A frame of the function, as the worker calls it. */
function expectPass(snapshot: SnapshotJson): void {
  expect(snapshot.frames.slice(0, 3).map((frame) => frame.function)).toEqual(['pass', 'tick', 'worker']);
  expect(field(local(snapshot.frames[0], 'tick').target, 'label').target).toMatchObject({ text: "'w'" });
}

const attempts = 20;

/** All threads; again where one had no processor to stop on. */
async function threadsNow(pid: number, engine: string): Promise<SnapshotJson> {
  for (let i = 1; ; i++) {
    const [snapshot] = (await workplace.json('now', String(pid), '--engine', engine)) as [SnapshotJson];
    expect(snapshot.engine).toBe(engine);
    const main = snapshot.threads.find(({ tid }) => tid === pid);
    if (main?.frames !== undefined && main.frames.length > 1) return snapshot;
    expect(i).toBeLessThan(attempts);
  }
}

describe.each(worlds)('in $what', ({ start, noCopy, points = ['uprobe'], now = ['observe'] }) => {
  let member: Member;
  beforeAll(async () => {
    member = await start(workplace);
  });

  test.each(points)('a point by %s', async (engine) => {
    const args = ['snap', String(member.pid), 'pass', '--engine', engine];
    const [snapshot] = (await workplace.json(...args)) as [SnapshotJson];
    expect(snapshot.engine).toBe(engine);
    expect(snapshot.pid).toBe(member.pid);
    expectPass(snapshot);
  });

  test.each(now)('all threads now by %s', async (engine) => {
    const snapshot = await threadsNow(member.pid, engine);
    // Of a running thread `mem` knows nothing; the main thread waits for its input.
    const main = snapshot.threads.find(({ tid }) => tid === member.pid);
    expect(main).toMatchObject({ comm: 'crew' });
    expect(main?.frames?.map((frame) => frame.function)).toContain('main');
  });

  test('a copy by fork', async () => {
    const file = join(workplace.folder, `${member.pid}.core`);
    const result = await workplace.run('core', String(member.pid), '--full', '-o', file);
    if (noCopy !== undefined) {
      expect(result).toMatchObject({ status: 6 });
      expect(result.stderr).toContain(`cannot copy process ${member.pid}: ${noCopy}`);
      return;
    }
    expect(result).toMatchObject({ status: 0 });
    const [value] = await workplace.json('eval', file, 'passed > 0');
    expect(value).toMatchObject({ value: '1' });
    rmSync(file);
  });

  test('it is well afterwards', async () => {
    await expectWell(member);
    member.started.process.kill('SIGKILL');
  });
});
