import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { incidentLimits } from '../../../controller/automation/incident-store.js';
import type { EmbeddedStore } from '../../../controller/store/sqlite.js';
import { repositoryRoot } from '../../support/paths.js';
import {
  causeOf,
  eventOf,
  makeStoreFolder,
  pointOf,
  putSnapshot,
  startMs,
  type StoreFolder,
} from './store-folder.js';

let folder: StoreFolder;
let store: EmbeddedStore;
beforeEach(() => {
  folder = makeStoreFolder();
  store = folder.open();
});
afterEach(() => {
  store[Symbol.dispose]();
  folder[Symbol.dispose]();
});

function reopen(): void {
  store[Symbol.dispose]();
  store = folder.open();
}

describe('incidents', () => {
  test('an incident is kept with its cause and its events, in the order they were written', () => {
    const id = store.incidents.open(causeOf(), startMs);
    expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{12}$/);
    const armed = eventOf({ text: 'armed at a', facts: { point: '0000000000p1', pid: 12, first: true } });
    store.incidents.add(id, armed);
    // Of a host whose clock is behind: the order is that of writing.
    const late = eventOf({ kind: 'point', timeMs: startMs - 5000, text: 'late' });
    store.incidents.add(id, late);
    reopen();
    expect(store.incidents.listOpen()).toEqual([{ id, rule: 'checkout-errors' }]);
    store.incidents.close(id, 'its points ended', startMs + 9);
    reopen();
    expect(store.incidents.findIncident(id)).toEqual({
      id,
      cause: causeOf(),
      startedMs: startMs,
      closedMs: startMs + 9,
    });
    expect(store.incidents.listEvents(id)).toEqual([
      { timeMs: startMs, kind: 'fired', text: causeOf().text, facts: causeOf().facts },
      armed,
      late,
      { timeMs: startMs + 9, kind: 'closed', text: 'its points ended', facts: {} },
    ]);
    expect(store.incidents.listOpen()).toEqual([]);
  });

  test('closing again changes nothing', () => {
    const id = store.incidents.open(causeOf(), startMs);
    store.incidents.close(id, 'first', startMs + 1);
    store.incidents.close(id, 'second', startMs + 2);
    expect(store.incidents.findIncident(id).closedMs).toBe(startMs + 1);
    expect(store.incidents.listEvents(id).map(({ text }) => text)).toEqual([causeOf().text, 'first']);
  });

  test('what comes after the close still belongs to it', () => {
    const id = store.incidents.open(causeOf(), startMs);
    store.incidents.close(id, 'first', startMs + 1);
    store.incidents.add(id, eventOf({ kind: 'notified', text: 'told' }));
    expect(store.incidents.listEvents(id).at(-1)).toMatchObject({ kind: 'notified' });
    expect(store.incidents.listOpen()).toEqual([]);
  });

  test.each([
    ['add', (id: string) => store.incidents.add(id, eventOf())],
    ['close', (id: string) => store.incidents.close(id, 'why', startMs)],
  ])('%s of an unknown incident is refused', (_, call) => {
    expect(() => call('0000000000zz')).toThrow(
      expect.objectContaining({ code: 'not-found', message: 'no incident "0000000000zz"' }) as Error,
    );
  });

  test('by prefix, by last, by rule, since a time', () => {
    expect(() => store.incidents.findIncident('last')).toThrow('there is no incident yet');
    const ids = [0, 1, 2].map((i) =>
      store.incidents.open(causeOf({ rule: i === 1 ? 'other' : 'checkout-errors' }), startMs + i * 1e9),
    );
    const [first = '', second = '', third = ''] = ids;
    expect(store.incidents.listIncidents().map(({ id }) => id)).toEqual(ids);
    expect(store.incidents.listIncidents({ rule: 'other' }).map(({ id }) => id)).toEqual([second]);
    expect(store.incidents.listIncidents({ sinceMs: startMs + 1e9 }).map(({ id }) => id)).toEqual([
      second,
      third,
    ]);
    expect(store.incidents.findIncident('last').id).toBe(third);
    expect(store.incidents.findIncident(first.slice(0, 11)).id).toBe(first);
    expect(() => store.incidents.findIncident('1')).toThrow(
      expect.objectContaining({
        code: 'ambiguous',
        message: '"1" fits 3 incidents',
        candidates: ids,
      }) as Error,
    );
    expect(() => store.incidents.findIncident('zz')).toThrow(
      expect.objectContaining({
        code: 'not-found',
        message: 'no incident "zz"',
        candidates: ids.toReversed(),
        hint: '`stillframe incidents` lists them',
      }) as Error,
    );
  });

  test('incidents of one millisecond are different ones', () => {
    const ids = Array.from({ length: 200 }, () => store.incidents.open(causeOf(), startMs));
    expect(new Set(ids).size).toBe(200);
  });
});

describe('bounds', () => {
  test('events beyond the bound are counted, and an event says how many; the close is kept', () => {
    const id = store.incidents.open(causeOf(), startMs);
    const { maxEvents } = incidentLimits;
    for (let i = 1; i < maxEvents; i++) {
      store.incidents.add(id, eventOf({ kind: 'repeated', text: `again ${i}`, timeMs: startMs + i }));
    }
    expect(store.incidents.listEvents(id)).toHaveLength(maxEvents);
    store.incidents.add(id, eventOf({ text: 'dropped', timeMs: startMs + 20_000 }));
    store.incidents.close(id, 'over', startMs + 30_000);
    for (let i = 0; i < 4; i++)
      store.incidents.add(id, eventOf({ text: 'dropped', timeMs: startMs + 40_000 }));
    reopen();
    const events = store.incidents.listEvents(id);
    expect(events).toHaveLength(maxEvents + 2);
    expect(events[maxEvents - 1]?.text).toBe('again 9999');
    expect(events.slice(maxEvents)).toEqual([
      { timeMs: startMs + 30_000, kind: 'closed', text: 'over', facts: {} },
      {
        timeMs: startMs + 20_000,
        kind: 'bound',
        text: 'an incident keeps 10000 events: 5 that came later are not kept',
        facts: { dropped: 5 },
      },
    ]);
  });

  test('text, labels and facts of others are cut, and show it', () => {
    const labels = Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [`label-${String(i).padStart(3, '0')}`, 'x'.repeat(2000)]),
    );
    const text = `${'a'.repeat(4094)}😀${'b'.repeat(1e6)}`;
    const id = store.incidents.open(causeOf({ labels, text, facts: { rate: Infinity } }), startMs);
    const { cause } = store.incidents.findIncident(id);
    // The cut would go through a character of two units.
    expect(cause.text).toBe(`${'a'.repeat(4094)}…`);
    expect(Object.keys(cause.labels)).toHaveLength(64);
    expect(cause.labels['…']).toBe('37 more');
    expect(cause.labels['label-000']).toBe(`${'x'.repeat(1023)}…`);
    expect(cause.facts).toEqual({ rate: 'Infinity' });
  });

  test('a label may have the name of a property that all objects have', () => {
    const labels = Object.fromEntries([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    const id = store.incidents.open(causeOf({ labels }), startMs);
    expect(Object.entries(store.incidents.findIncident(id).cause.labels)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });
});

describe('what belongs to an incident', () => {
  test('its points, their snapshots, and those that its events name', () => {
    const id = store.incidents.open(causeOf(), startMs);
    const other = store.incidents.open(causeOf(), startMs + 1);
    store.putPoint(pointOf({ id: '0000000000p1', incident: id }));
    store.putPoint(pointOf({ id: '0000000000p2', incident: other }));
    store.putPoint(pointOf({ id: '0000000000p3' }));
    putSnapshot(store, '0000000000a1', '0000000000p1', 5n);
    // As an agent says it that armed the point for one build.
    putSnapshot(store, '0000000000a2', '0000000000p1-abcdef01', 3n);
    putSnapshot(store, '0000000000a3', '0000000000p2', 1n);
    putSnapshot(store, '0000000000a4', '0000000000p3', 1n);
    putSnapshot(store, '0000000000a5', '', 4n);
    store.incidents.add(id, eventOf({ kind: 'snapshot', facts: { snapshot: '0000000000a5' } }));
    store.incidents.add(id, eventOf({ kind: 'snapshot', facts: { snapshot: '0000000000a1' } }));
    // Not a snapshot's event, not an id, not a snapshot that is stored.
    store.incidents.add(id, eventOf({ kind: 'armed', facts: { snapshot: '0000000000a4' } }));
    store.incidents.add(id, eventOf({ kind: 'snapshot', facts: { snapshot: '%' } }));
    store.incidents.add(id, eventOf({ kind: 'snapshot', facts: { snapshot: '0000000000zz' } }));
    reopen();
    expect(store.incidents.listPoints(id).map((point) => point.id)).toEqual(['0000000000p1']);
    expect(store.incidents.listSnapshots(id).map((snapshot) => snapshot.id)).toEqual([
      '0000000000a2',
      '0000000000a5',
      '0000000000a1',
    ]);
    expect(store.incidents.listSnapshots(other).map((snapshot) => snapshot.id)).toEqual(['0000000000a3']);
  });

  test('signatures of stacks', () => {
    expect(store.incidents.findSignature('0000000000a1')).toBeUndefined();
    store.incidents.putSignature('0000000000a1', { key: 'k', frames: ['main a.c:1', '(not known)'] });
    reopen();
    expect(store.incidents.findSignature('0000000000a1')).toEqual({
      key: 'k',
      frames: ['main a.c:1', '(not known)'],
    });
  });
});

describe('kill -9', () => {
  test.each([1, 7, 20, 45])(
    'after %i steps: all that was said is there, whole and in order',
    async (steps) => {
      const script = join(repositoryRoot, 'dist/test/controller/automation/incident-writer.js');
      const child = spawn(process.execPath, [script, folder.folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const said: string[][] = [];
      const ended = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        said.push(line.split(' '));
        if (said.length === steps) child.kill('SIGKILL');
      });
      expect(await ended).toBe('SIGKILL');
      expect(said.length).toBeGreaterThanOrEqual(steps);

      reopen();
      const open = new Set(store.incidents.listOpen().map(({ id }) => id));
      const ids = said.filter(([step]) => step === 'open').map(([, id]) => id ?? '');
      expect(store.incidents.listIncidents().map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
      for (const { id } of store.incidents.listIncidents()) {
        const wasSaid = (...step: string[]): boolean =>
          said.some((words) => words.join(' ') === step.join(' '));
        const texts = store.incidents.listEvents(id).map(({ text }) => text);
        const whole = [causeOf().text, ...[1, 2, 3, 4, 5].map((i) => `event ${i}`), 'done'];
        expect(texts.length).toBeGreaterThan(0);
        expect(texts).toEqual(whole.slice(0, texts.length));
        for (let i = 1; i <= 5; i++) if (wasSaid('add', id, String(i))) expect(texts).toContain(`event ${i}`);
        // The row and its event are one step.
        expect(open.has(id)).toBe(!texts.includes('done'));
        if (wasSaid('close', id)) expect(open.has(id)).toBe(false);
        if (wasSaid('enqueue', id)) {
          expect(
            store.notifications.listUnmade(Date.now() + 1000, 1e6).map(({ incident }) => incident),
          ).toContain(id);
        }
      }
    },
  );
});
