import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openOwnSpool } from '../../../agent/session/own-spool.js';
import { Spool } from '../../../agent/session/spool.js';

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'stillframe-own-spool-'));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const maxBytes = 64 * 1024 * 1024;
const snapshot = { id: '0123456789ab', point: 'p', core: [new Uint8Array(100)] };

test('agents for one command that run at once leave alone what the other has, finished or not', () => {
  using first = openOwnSpool(parent);
  const spool = new Spool({ folder: first.folder, maxBytes });
  spool.put(snapshot);
  const unfinished = spool.makePlace('0123456789ac');
  writeFileSync(unfinished.file, 'a part');
  using second = openOwnSpool(parent);
  expect(new Spool({ folder: second.folder, maxBytes }).list()).toEqual([]);
  expect(existsSync(unfinished.file)).toBe(true);
  expect(existsSync(spool.pathOf(snapshot.id) ?? '')).toBe(true);
});

test('it goes with its agent, with all that nobody took in', () => {
  const own = openOwnSpool(parent);
  new Spool({ folder: own.folder, maxBytes }).put(snapshot);
  own[Symbol.dispose]();
  expect(readdirSync(parent)).toEqual([]);
});

test('what agents left that were killed is removed when it is old and they are gone, and nothing else', () => {
  const gone = 4_194_305;
  const old = new Date(Date.now() - 48 * 3600_000);
  const made: readonly (readonly [string, Date])[] = [
    [`agent-${gone}-old`, old],
    [`agent-${gone}-young`, new Date()],
    [`agent-${process.pid}-old`, old],
    ['something-else', old],
  ];
  for (const [name, time] of made) {
    mkdirSync(join(parent, name));
    writeFileSync(join(parent, name, 'file'), '');
    utimesSync(join(parent, name), time, time);
  }
  openOwnSpool(parent)[Symbol.dispose]();
  expect(readdirSync(parent).toSorted()).toEqual(
    [`agent-${process.pid}-old`, `agent-${gone}-young`, 'something-else'].toSorted(),
  );
});
