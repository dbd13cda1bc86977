import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../../../controller/store/sqlite.js';
import { listBlobs } from '../../../controller/store/blob.js';
import type { PointRecord, ReceivedSnapshot, Store } from '../../../controller/store/store.js';
import { repositoryRoot } from '../../support/paths.js';
import { noteOf, readTestNote, snapshotBytes } from './snapshot-bytes.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-store-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = (): Store => openStore({ folder, readNote: readTestNote });

function put(store: Store, bytes: Uint8Array, id: string): void {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  using writer = store.receive({ id, size: bytes.length, sha256 });
  for (let at = 0; at < bytes.length; at += 10) writer.write(bytes.subarray(at, at + 10));
  writer.commit();
}

const point: PointRecord = {
  id: '0000000000p1',
  createdMs: 1_700_000_000_000,
  target: 'name:redis-server',
  location: 'setGenericCommand',
  condition: 'c->argc == 3',
  captures: ['c->db->id'],
  engine: '',
  maxHits: 1,
  minIntervalNs: 1_000_000_000n,
  expiresMs: 1_700_000_086_400_000,
  agent: 'unix:/run/stillframe/agent.sock',
  pids: [12, 34],
  modulePath: '/usr/bin/redis-server',
  buildId: 'abcd',
  plan: Uint8Array.of(0, 1, 255),
  status: { phase: 'armed', why: '' },
  kind: 'snapshot',
  everyProcess: false,
  bounds: { depth: 2, stackBytes: 4096 },
  owner: 'ada@host',
  note: 'why totals are wrong',
  incident: '0t3k9fx7q2ab',
  terms: { canaryMs: 35_000, cpuPercent: 0.5, allThreads: true },
  watch: { onlyChanges: true },
  canary: { agent: 'dialed web-1', host: 'web-1', untilMs: 1_700_000_035_000, isOver: false },
};

describe('snapshots', () => {
  test('what was put is found, and its file is the bytes that came', () => {
    const bytes = snapshotBytes({ snapshot: '0000000000a1', timeNs: 1_800_000_000_123_456_789n });
    {
      using store = open();
      put(store, bytes, '0000000000a1');
    }
    using store = open();
    const record = store.findSnapshot('0000000000a1');
    expect(record.timeNs).toBe(1_800_000_000_123_456_789n);
    expect(record.address).toBe(0xffff_ffff_ff60_0000n);
    expect(record.size).toBe(bytes.length);
    expect(Uint8Array.from(readFileSync(store.pathOf(record)))).toEqual(bytes);
    expect(statSync(store.pathOf(record)).mode & 0o077).toBe(0);
    expect(store.hasSnapshot('0000000000a1')).toBe(true);
    expect(store.hasSnapshot('0000000000a2')).toBe(false);
  });

  test('by prefix, by last, in the order of time, of a point, since a time', () => {
    using store = open();
    const ids = ['0000000000b3', '0000000000a1', '0000000000a2'];
    ids.forEach((id, i) =>
      put(store, snapshotBytes({ snapshot: id, timeNs: BigInt(i + 1), point: `0000000000p${i}` }), id),
    );
    expect(store.listSnapshots().map((record) => record.id)).toEqual(ids);
    expect(store.findSnapshot('last').id).toBe('0000000000a2');
    expect(store.findSnapshot('0000000000b').id).toBe('0000000000b3');
    expect(store.listSnapshots({ point: '0000000000p1' }).map(({ id }) => id)).toEqual(['0000000000a1']);
    expect(store.listSnapshots({ sinceNs: 2n }).map(({ id }) => id)).toEqual(ids.slice(1));
    expect(() => store.findSnapshot('0000000000a')).toThrow(
      expect.objectContaining({
        code: 'ambiguous',
        message: '"0000000000a" fits 2 snapshots',
        candidates: ['0000000000a1', '0000000000a2'],
      }) as Error,
    );
    expect(() => store.findSnapshot('zz')).toThrow(
      expect.objectContaining({
        code: 'not-found',
        message: 'no snapshot "zz"',
        candidates: ids.toReversed(),
        hint: '`stillframe snapshots` lists them',
      }) as Error,
    );
  });

  test('last of an empty store', () => {
    using store = open();
    expect(() => store.findSnapshot('last')).toThrow('there is no snapshot yet');
  });

  test('the same snapshot twice is one', () => {
    using store = open();
    const bytes = snapshotBytes({ snapshot: '0000000000a1' });
    put(store, bytes, '0000000000a1');
    put(store, bytes, '0000000000a1');
    expect(store.listSnapshots()).toHaveLength(1);
    expect(listBlobs(folder)).toHaveLength(1);
  });

  test.each([
    ['fewer bytes', { size: 7 }, 'cannot store a snapshot: 6 bytes came, 7 were announced'],
    ['more bytes', { size: 5 }, 'cannot store a snapshot: more than the announced 5 bytes came'],
    [
      'other bytes',
      { size: 6, sha256: '0'.repeat(64) },
      `cannot store a snapshot: its SHA-256 is ${createHash('sha256').update('abcdef').digest('hex')}, ${'0'.repeat(64)} was announced`,
    ],
    [
      'a hash that is a path',
      { size: 6, sha256: '../../etc' },
      'cannot name a blob: "../../etc" is no SHA-256',
    ],
    ['an id that is a path', { size: 6, id: '../x' }, 'cannot store a snapshot: "../x" is no id'],
  ])('%s than announced are refused and leave nothing', (_, wrong, message) => {
    using store = open();
    const sha256 = createHash('sha256').update('abcdef').digest('hex');
    const receive = (): void => {
      using writer = store.receive({ id: '0000000000a1', sha256, ...wrong });
      writer.write(Buffer.from('abcdef'));
      writer.commit();
    };
    expect(receive).toThrow(expect.objectContaining({ code: 'bad-data', message }) as Error);
    expect(store.listSnapshots()).toEqual([]);
    expect(listBlobs(folder)).toEqual([]);
    if (existsSync(join(folder, 'incoming'))) expect(readdirSync(join(folder, 'incoming'))).toEqual([]);
  });

  test('a note that names another snapshot is refused', () => {
    using store = open();
    expect(() => put(store, snapshotBytes({ snapshot: '0000000000a1' }), '0000000000a2')).toThrow(
      'cannot store snapshot 0000000000a2: the note in the file says "0000000000a1"',
    );
    expect(store.listSnapshots()).toEqual([]);
  });

  test('a lost index is rebuilt from the notes of the cores', () => {
    const ids = ['0000000000a1', '0000000000a2', '0000000000a3'];
    {
      using store = open();
      ids.forEach((id, i) => put(store, snapshotBytes({ snapshot: id, timeNs: BigInt(i) }), id));
    }
    for (const name of readdirSync(folder).filter((file) => file.startsWith('index.db'))) {
      rmSync(join(folder, name));
    }
    using store = open();
    expect(store.listSnapshots().map(({ id }) => id)).toEqual(ids);
    expect(store.listSnapshots()[0]).toMatchObject({ ...pick(noteOf({ snapshot: ids[0] ?? '' })) });
  });
});

function pick(note: ReturnType<typeof noteOf>): object {
  return { pid: note.pid, tid: note.tid, comm: note.comm, host: note.host, engine: note.engine };
}

describe('kill -9 between the steps of a put', () => {
  test.each(['before-write', 'half-written', 'before-commit', 'before-index', 'after-commit'])(
    '%s: nothing is lost, nothing is half there',
    async (step) => {
      const id = '0000000000a1';
      const script = join(repositoryRoot, 'dist/test/controller/store/killed-writer.js');
      const child = spawn(process.execPath, [script, folder, id, step], { stdio: 'inherit' });
      const signal = await new Promise((resolve) => child.once('exit', (_, name) => resolve(name)));
      expect(signal).toBe('SIGKILL');

      const durable = step === 'before-index' || step === 'after-commit';
      using store = open();
      expect(store.hasSnapshot(id)).toBe(durable);
      // The agent was not told, so it sends again.
      put(store, snapshotBytes({ snapshot: id }), id);
      expect(store.listSnapshots().map((record) => record.id)).toEqual([id]);
      expect(listBlobs(folder)).toHaveLength(1);
    },
  );
});

test('several processes put at once', async () => {
  const script = join(repositoryRoot, 'dist/test/controller/store/killed-writer.js');
  const ids = ['0000000000a1', '0000000000a2', '0000000000a3', '0000000000a4'];
  const ends = ids.map((id) => {
    const child = spawn(process.execPath, [script, folder, id, 'never'], { stdio: 'inherit' });
    return new Promise((resolve) => child.once('exit', resolve));
  });
  expect(await Promise.all(ends)).toEqual([0, 0, 0, 0]);
  using store = open();
  expect(
    store
      .listSnapshots()
      .map(({ id }) => id)
      .toSorted(),
  ).toEqual(ids);
});

describe('points', () => {
  test('a point is kept with all that it asks', () => {
    {
      using store = open();
      store.putPoint(point);
    }
    using store = open();
    const found = store.findPoint('0000000000p');
    expect({ ...found, plan: Uint8Array.from(found.plan) }).toEqual(point);
    store.updateCanary(point.id, { agent: 'a', host: 'b', untilMs: 1, isOver: true });
    expect(store.findPoint(point.id).canary).toEqual({ agent: 'a', host: 'b', untilMs: 1, isOver: true });
    store.updateCanary(point.id, undefined);
    expect(store.findPoint(point.id).canary).toBeUndefined();
    store.updatePoint(point.id, { phase: 'ended', why: 'removed' });
    expect(store.listPoints()[0]?.status).toEqual({ phase: 'ended', why: 'removed' });
  });

  test('a point without condition; an unknown one', () => {
    using store = open();
    const { condition: _, ...bare } = point;
    store.putPoint(bare);
    expect('condition' in store.findPoint(point.id)).toBe(false);
    expect(() => store.findPoint('x')).toThrow(
      expect.objectContaining({
        code: 'not-found',
        message: 'no point "x"',
        candidates: [point.id],
      }) as Error,
    );
  });
});

describe('points of a fleet', () => {
  const ofFleet: PointRecord = { ...point, plan: new Uint8Array(), agent: '', pids: [], maxHits: 2 };
  const arming = {
    id: `${point.id}-aabbccdd`,
    point: point.id,
    agent: 'dialed a:1',
    host: 'web-1',
    buildId: 'aabbccdd',
    state: 'open',
    why: '',
    count: {
      life: 'boot/7',
      total: { hits: 2n ** 63n, conditionFalse: 1n, faults: 2n, dropped: 3n, delivered: 4n, undecided: 6n },
      last: { hits: 5n, conditionFalse: 1n, faults: 2n, dropped: 3n, delivered: 4n },
    },
  } as const;

  function receive(store: Store, id: string, announced: string, noted = announced): ReceivedSnapshot {
    const bytes = snapshotBytes({ snapshot: id, point: noted });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    using writer = store.receive({ id, size: bytes.length, sha256, point: announced });
    writer.write(bytes);
    return writer.commit();
  }

  test('an arming is kept with all that is known of it; the same again replaces it', () => {
    {
      using store = open();
      store.putArmings([arming, { ...arming, agent: 'dialed b:1', host: 'web-2' }]);
      store.putArmings([{ ...arming, state: 'closed' }]);
    }
    using store = open();
    expect(store.listArmings(point.id)).toEqual([
      { ...arming, state: 'closed' },
      { ...arming, agent: 'dialed b:1', host: 'web-2' },
    ]);
    expect(store.listArmings('000000000000')).toEqual([]);
    store.putPoint(ofFleet);
    store.deletePoint(point.id);
    expect(store.listArmings()).toEqual([]);
    expect(store.getPoint(point.id)).toBeUndefined();
  });

  test('a snapshot is known by its point, whatever the arming is called', () => {
    using store = open();
    expect(receive(store, '0000000000a1', arming.id)).toMatchObject({
      kind: 'stored',
      record: { point: point.id },
    });
    expect(store.listSnapshots({ point: point.id })).toHaveLength(1);
  });

  test('as many hits are kept as are asked for; the others are counted once each, and leave no file', () => {
    using store = open();
    store.putPoint(ofFleet);
    const kinds = ['0000000000a1', '0000000000a2', '0000000000a3', '0000000000a3', '0000000000a1'].map(
      (id) => receive(store, id, arming.id).kind,
    );
    expect(kinds).toEqual(['stored', 'stored', 'surplus', 'surplus', 'known']);
    expect(store.countSnapshots(point.id)).toEqual({ stored: 2, surplus: 1 });
    expect(listBlobs(folder)).toHaveLength(2);
  });

  test('so many of every process have no such bound, and points of a command line neither', () => {
    using store = open();
    store.putPoint({ ...ofFleet, everyProcess: true, maxHits: 1 });
    store.putPoint({ ...point, id: '0000000000p2', maxHits: 1 });
    const ids = ['0000000000a1', '0000000000a2'];
    expect(ids.map((id) => receive(store, id, arming.id).kind)).toEqual(['stored', 'stored']);
    const others = ['0000000000b1', '0000000000b2'];
    expect(others.map((id) => receive(store, id, '0000000000p2').kind)).toEqual(['stored', 'stored']);
  });

  test('a snapshot that was announced for another point is refused', () => {
    using store = open();
    expect(() => receive(store, '0000000000a1', arming.id, 'other')).toThrow(
      `cannot store snapshot 0000000000a1: it was announced for point "${arming.id}", the note in the file says "other"`,
    );
    expect(store.listSnapshots()).toEqual([]);
  });
});
