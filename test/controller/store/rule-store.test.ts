import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { maxWaitingAlerts, type NewAlert } from '../../../controller/automation/rule-store.js';
import { openStore, type EmbeddedStore } from '../../../controller/store/sqlite.js';
import { repositoryRoot } from '../../support/paths.js';
import { thrown } from '../../support/thrown.js';
import { readTestNote } from './snapshot-bytes.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-rule-store-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = (): EmbeddedStore => openStore({ folder, readNote: readTestNote });
const alert = (key: string, rule = 'r', json = `{"key":"${key}"}`): NewAlert => ({ rule, key, json });

describe('states', () => {
  test('are there again, by rule, and are removed', () => {
    {
      using store = open();
      store.rules.saveState('b', '1');
      store.rules.saveState('a', '2');
      store.rules.saveState('b', '3');
    }
    using store = open();
    expect(store.rules.listStates()).toEqual([
      { rule: 'a', json: '2' },
      { rule: 'b', json: '3' },
    ]);
    store.rules.removeState('a');
    store.rules.removeState('a');
    expect(store.rules.listStates()).toEqual([{ rule: 'b', json: '3' }]);
  });

  test('all that one step writes, or nothing', () => {
    using store = open();
    const { rules } = store;
    rules.acceptAlerts([alert('a')], 1);
    expect(() =>
      rules.atomically(() => {
        rules.saveState('r', '1', 1);
        rules.atomically(() => rules.saveState('s', '1'));
        throw new Error('the disk is full');
      }),
    ).toThrow('the disk is full');
    expect(rules.listStates()).toEqual([]);
    expect(rules.countWaitingAlerts()).toBe(1);
    expect(rules.atomically(() => 5)).toBe(5);
  });
});

describe('alerts', () => {
  test('are new once for each rule, also after a restart, and wait in their order until they are done', () => {
    {
      using store = open();
      expect(store.rules.acceptAlerts([alert('a'), alert('b'), alert('a', 's')], 10)).toEqual([
        true,
        true,
        true,
      ]);
      expect(store.rules.acceptAlerts([alert('b'), alert('c')], 20)).toEqual([false, true]);
      store.rules.saveState('r', 'fired', 1);
    }
    using store = open();
    const { rules } = store;
    expect(rules.acceptAlerts([alert('a'), alert('a')], 30)).toEqual([false, false]);
    expect(rules.listWaitingAlerts(0, 2)).toEqual([
      { number: 2, rule: 'r', key: 'b', json: '{"key":"b"}', receivedMs: 10 },
      { number: 3, rule: 's', key: 'a', json: '{"key":"a"}', receivedMs: 10 },
    ]);
    expect(rules.listWaitingAlerts(3, 2).map(({ key }) => key)).toEqual(['c']);
    rules.finishAlert(2);
    rules.finishAlert(2);
    expect(rules.countWaitingAlerts()).toBe(2);
  });

  test('too many are refused, all of them', () => {
    using store = open();
    const many = Array.from({ length: maxWaitingAlerts }, (_, i) => alert(String(i)));
    store.rules.acceptAlerts(many, 1);
    const more = [alert('x'), alert('0'), alert('y')];
    expect(thrown(() => store.rules.acceptAlerts(more, 2))).toBe(
      'limit: cannot take in 2 alerts: 10000 wait already',
    );
    expect(store.rules.countWaitingAlerts()).toBe(maxWaitingAlerts);
    // What is known already is no burden.
    expect(store.rules.acceptAlerts([alert('0')], 2)).toEqual([false]);
  });

  test('those that are done are forgotten when they were not seen for long, or are too many', () => {
    using store = open();
    const { rules } = store;
    rules.acceptAlerts(
      ['a', 'b', 'c', 'd', 'waits'].map((key) => alert(key)),
      10,
    );
    for (const number of [1, 2, 3, 4]) rules.finishAlert(number);
    // Sent again: it is remembered for longer.
    rules.acceptAlerts([alert('a')], 50);
    expect(rules.pruneAlerts(10, 3)).toBe(1);
    expect(rules.pruneAlerts(20, 3)).toBe(2);
    expect(rules.acceptAlerts([alert('a'), alert('waits')], 60)).toEqual([false, false]);
    expect(rules.acceptAlerts([alert('b')], 60)).toEqual([true]);
    // A number is never given twice.
    expect(rules.listWaitingAlerts(5, 5).map(({ key }) => key)).toEqual(['b']);
  });
});

test.each([
  ['accepted', [], 1],
  ['fired', [{ rule: 'r', json: 'fired' }], 0],
  ['within', [{ rule: 'r', json: 'fired' }], 0],
  [
    'whole',
    [
      { rule: 'r', json: 'half' },
      { rule: 's', json: 'half' },
    ],
    0,
  ],
])('kill -9 when it is %s', async (step, states, waiting) => {
  const script = join(repositoryRoot, 'dist/test/controller/store/killed-rule-writer.js');
  const child = spawn(process.execPath, [script, folder, step], { stdio: 'inherit' });
  const signal = await new Promise((resolve) => child.once('exit', (_, name) => resolve(name)));
  expect(signal).toBe('SIGKILL');
  using store = open();
  expect(store.rules.listStates()).toEqual(states);
  expect(store.rules.countWaitingAlerts()).toBe(waiting);
  expect(store.rules.acceptAlerts([alert('a')], 2)).toEqual([false]);
});
