import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Spool } from '../../../agent/session/spool.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-spool-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (maxBytes = 1000): Spool => new Spool({ folder, maxBytes });
const id = '0000000000a1';
const core = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)];

test('what is put is there, after a restart too, until it is acknowledged', () => {
  const spooled = open().put({ id, point: 'p', core });
  expect(spooled).toEqual({
    version: 1,
    id,
    point: 'p',
    size: 5,
    sha256: createHash('sha256')
      .update(Uint8Array.of(1, 2, 3, 4, 5))
      .digest('hex'),
  });
  const again = open();
  expect(again.list()).toEqual([spooled]);
  expect([...readFileSync(again.pathOf(id) ?? '')]).toEqual([1, 2, 3, 4, 5]);
  expect(statSync(again.pathOf(id) ?? '').mode & 0o077).toBe(0);
  again.remove(id);
  again.remove(id);
  expect(again.list()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('which hit a snapshot is stays with it; one of an older agent does not say', () => {
  const delivery = { delivered: 3, pid: 7, startTicks: 1n << 60n, ofProcess: 2 };
  open().put({ id, point: 'p', core, delivery });
  open().put({ id: '0000000000a2', point: 'p', core });
  const again = open();
  expect(again.list().map((entry) => entry.delivery)).toEqual([delivery, undefined]);
  expect(again.deliveries('p')).toEqual([delivery]);
  expect(again.deliveries('q')).toEqual([]);
});

test('in the order of time', () => {
  const spool = open();
  for (const each of ['0000000000a2', '0000000000a1']) spool.put({ id: each, point: '', core });
  expect(spool.list().map((entry) => entry.id)).toEqual(['0000000000a1', '0000000000a2']);
});

test('a full spool refuses, and keeps what it has', () => {
  const spool = open(9);
  spool.put({ id, point: '', core });
  expect(() => spool.put({ id: '0000000000a2', point: '', core })).toThrow(
    expect.objectContaining({
      code: 'limit',
      message: 'cannot spool snapshot 0000000000a2: 5 bytes do not fit, 5 of 9 are taken',
    }) as Error,
  );
  expect(open().list()).toHaveLength(1);
});

test('killed after the core was moved into place: the sidecar follows', () => {
  open().put({ id, point: 'p', core });
  renameSync(join(folder, `${id}.json`), join(folder, `${id}.json.new`));
  expect(
    open()
      .list()
      .map((entry) => entry.id),
  ).toEqual([id]);
});

test('killed before: nothing is announced, and nothing stays', () => {
  open().put({ id, point: 'p', core });
  renameSync(join(folder, `${id}.json`), join(folder, `${id}.json.new`));
  renameSync(join(folder, `${id}.core`), join(folder, `${id}.core.new`));
  expect(open().list()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('killed within an acknowledgement: it was stored, so the rest goes', () => {
  open().put({ id, point: 'p', core });
  rmSync(join(folder, `${id}.json`));
  expect(open().list()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  ['a damaged sidecar', `${id}.json`, '{"version":1'],
  [
    'a sidecar that names another',
    `${id}.json`,
    JSON.stringify({ version: 1, id: '0000000000a2', point: '', size: 5, sha256: '0'.repeat(64) }),
  ],
  ['a truncated core', `${id}.core`, 'xyz'],
])('%s is not announced', (_, file, content) => {
  open().put({ id, point: '', core });
  writeFileSync(join(folder, file), content);
  expect(open().list()).toEqual([]);
});

test('files of others are left alone', () => {
  writeFileSync(join(folder, 'notes.core'), 'mine');
  writeFileSync(join(folder, 'x.json'), '{}');
  expect(open().list()).toEqual([]);
  expect(readdirSync(folder).toSorted()).toEqual(['notes.core', 'x.json']);
});
