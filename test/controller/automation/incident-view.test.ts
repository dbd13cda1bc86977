import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { IncidentDocument, StackGroup } from '../../../controller/automation/incident.js';
import { IncidentView } from '../../../controller/automation/incident-view.js';
import type { PointDocument } from '../../../controller/service/documents.js';
import { openSymbols } from '../../../controller/service/symbols.js';
import type { EmbeddedStore } from '../../../controller/store/sqlite.js';
import { chargeLine, fillStore, takeSnapshots, type Taken } from './shop.js';
import { causeOf, eventOf, startMs } from './store-folder.js';
import { SymbolsHere } from '../../../controller/service/symbols-here.js';

let byTwoWays: readonly Taken[];
let byRecursion: readonly Taken[];
let otherBuild: readonly Taken[];
let cutStacks: readonly Taken[];

beforeAll(async () => {
  byTwoWays = await takeSnapshots({
    way: 'x',
    snaps: [
      ['--if', 'attempt == 1', '--hits', '6'],
      ['--if', 'attempt == 2', '--hits', '3'],
    ],
  });
  byRecursion = await takeSnapshots({ way: 'r' });
  otherBuild = await takeSnapshots({ way: 'b', flags: ['-g', '-O0', '-no-pie', '-DOTHER'] });
  cutStacks = await takeSnapshots({ way: 'b', snaps: [['--hits', '9', '--stack', '128']] });
});

let folder: string;
let id: string;
let store: EmbeddedStore | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-view-'));
});
afterEach(() => {
  store?.[Symbol.dispose]();
  store = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function viewOf(taken: readonly Taken[], points: readonly PointDocument[] = []): IncidentView {
  store = fillStore(folder, taken, (fresh) => (id = fresh.incidents.open(causeOf(), startMs)));
  return new IncidentView({
    store,
    incidents: store.incidents,
    points: { list: () => points },
    symbols: new SymbolsHere(openSymbols),
  });
}

test('a snapshot that comes while stacks are read is in the document, too', async () => {
  const view = viewOf(byTwoWays);
  const incidents = store?.incidents ?? expect.unreachable('no store');
  const all = incidents.listSnapshots(id);
  vi.spyOn(incidents, 'listSnapshots').mockReturnValueOnce(all.slice(0, 5));
  const document = await view.incident('last');
  expect(document).toMatchObject({ snapshots: 9, stacks: 2 });
  expect(document.groups.flatMap(({ snapshots }) => snapshots)).toHaveLength(9);
});

/** Without what of the C library differs between hosts. */
const ownFrames = (group: StackGroup | undefined): readonly string[] =>
  (group?.stack ?? []).filter((frame) => frame.includes('shop.c:') || frame.startsWith('('));

describe('snapshots that came by two ways', () => {
  let document: IncidentDocument;
  let retail: StackGroup | undefined;
  let wholesale: StackGroup | undefined;
  beforeEach(async () => {
    document = await viewOf(byTwoWays).incident('last');
    [retail, wholesale] = document.groups;
  });

  test('stand in two groups, the most frequent first, each with its stack', () => {
    expect(document).toMatchObject({ id, snapshots: 9, stacks: 2, state: 'open', rule: 'checkout-errors' });
    expect(document.groups).toHaveLength(2);
    expect(ownFrames(retail)).toEqual([
      `charge shop.c:${chargeLine}`,
      expect.stringMatching(/^retail shop\.c:\d+$/),
      expect.stringMatching(/^main shop\.c:\d+$/),
    ]);
    expect(ownFrames(wholesale)?.[1]).toMatch(/^wholesale shop\.c:\d+$/);
    const ids = byTwoWays.map(({ record }) => record.id);
    expect([...(retail?.snapshots ?? []), ...(wholesale?.snapshots ?? [])].toSorted()).toEqual(
      ids.toSorted(),
    );
    expect(retail?.snapshots).toHaveLength(6);
    expect(retail?.snapshots).toEqual(retail?.snapshots.toSorted());
  });

  test('the values that tell the groups apart come first: what was asked for, then the rest', () => {
    expect(retail?.same[0]).toEqual({ name: 'order->customer->tier', text: 'BRONZE' });
    expect(wholesale?.same[0]).toEqual({ name: 'order->customer->tier', text: 'GOLD' });
    expect(wholesale?.same).toEqual(
      expect.arrayContaining([
        { name: 'order->coupon', text: '"HALF"' },
        { name: 'order->customer->name', text: '"Acme"' },
        { name: 'attempt', text: '2' },
        { name: 'order->quantity', text: '3' },
      ]),
    );
    expect(retail?.same).toEqual(
      expect.arrayContaining([
        { name: 'order->coupon', text: 'NULL' },
        { name: 'attempt', text: '1' },
      ]),
    );
    // Equal everywhere: it tells nothing apart, and stands behind all that does.
    const names = wholesale?.same.map(({ name }) => name) ?? [];
    expect(names.indexOf('order->total')).toBeGreaterThan(names.indexOf('order->customer->name'));
  });

  test('what differs has the value of each snapshot; what is another one each time stands last', () => {
    const quantity = retail?.different.find(({ name }) => name === 'order->quantity');
    expect(quantity?.texts.toSorted()).toEqual(['1', '1', '1', '2', '2', '2']);
    const numbers = retail?.different.find(({ name }) => name === 'order->id')?.texts.map(Number) ?? [];
    // In the order of the snapshots: each order has a higher number than the one before.
    expect(numbers).toHaveLength(6);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set(numbers).size).toBe(6);
    expect(retail?.different.at(-1)?.name).toBe('order->id');
  });

  test('addresses of what is shown are not told', () => {
    const told = [...(retail?.same ?? []), ...(retail?.different ?? [])].map(({ name }) => name);
    expect(told).not.toContain('order');
    expect(told).not.toContain('order->customer');
  });
});

test('a recursion is one stack, however often it went round', async () => {
  const document = await viewOf(byRecursion).incident(id);
  expect(document.stacks).toBe(1);
  expect(ownFrames(document.groups[0])).toEqual([
    `charge shop.c:${chargeLine}`,
    expect.stringMatching(/^retry shop\.c:\d+$/),
    expect.stringMatching(/^retry shop\.c:\d+$/),
    expect.stringMatching(/^main shop\.c:\d+$/),
  ]);
});

test('two builds of the same source give one group', async () => {
  const builds = new Set([...byTwoWays, ...otherBuild].map(({ record }) => record.buildId));
  expect(builds.size).toBe(2);
  const document = await viewOf([...byTwoWays, ...otherBuild]).incident(id);
  const [first] = document.groups;
  expect(ownFrames(first)[1]).toMatch(/^wholesale /);
  expect(first?.snapshots).toHaveLength(3 + otherBuild.length);
  expect(first?.same).toContainEqual({ name: 'order->coupon', text: '"HALF"' });
});

test('a stack that breaks off says so, and is not the whole one', async () => {
  const whole = otherBuild.slice(0, 2);
  const document = await viewOf([...whole, ...cutStacks]).incident(id);
  expect(document.stacks).toBe(2);
  const cut = document.groups.find((group) => group.snapshots.includes(cutStacks[0]?.record.id ?? ''));
  expect(cut?.snapshots).toHaveLength(cutStacks.length);
  expect(cut?.stack.at(-1)).toBe('(the callers are not known: not captured)');
  expect(cut?.stack[0]).toBe(`charge shop.c:${chargeLine}`);
});

test('a stack is unwound once: the list asks the store', async () => {
  const first = viewOf(byTwoWays);
  await first.incidents({});
  if (store === undefined) throw new Error('no store');
  const unreadable = { ...store, pathOf: () => '/nonexistent' };
  const again = new IncidentView({
    store: unreadable,
    incidents: store.incidents,
    symbols: new SymbolsHere(openSymbols),
  });
  expect(await again.incidents({})).toEqual([
    {
      id,
      rule: 'checkout-errors',
      trigger: 'prometheus',
      state: 'open',
      started: new Date(startMs).toISOString(),
      cause: causeOf().text,
      labels: causeOf().labels,
      snapshots: 9,
      stacks: 2,
    },
  ]);
});

test('a snapshot that cannot be read costs only itself, and is no stack', async () => {
  viewOf(byTwoWays);
  if (store === undefined) throw new Error('no store');
  const lost = byTwoWays[0]?.record.id ?? '';
  const pathOf: EmbeddedStore['pathOf'] = (record) =>
    record.id === lost ? join(folder, 'gone') : (store?.pathOf(record) ?? '');
  const view = new IncidentView({
    store: { ...store, pathOf },
    incidents: store.incidents,
    symbols: new SymbolsHere(openSymbols),
  });
  const document = await view.incident(id);
  expect(document).toMatchObject({ snapshots: 9, stacks: 2 });
  expect(document.groups.map(({ snapshots }) => snapshots.length)).toEqual([5, 3, 1]);
  expect(document.groups.at(-1)).toEqual({
    stack: [
      expect.stringMatching(/^\(the snapshot cannot be read: cannot open ".*gone": ENOENT\)$/) as string,
    ],
    snapshots: [lost],
    same: [],
    different: [],
  });
  // Not kept: it may be there again.
  expect(store.incidents.findSignature(lost)).toBeUndefined();
  expect(await view.stackOf(lost)).toBe('');
  const keys = await Promise.all(byTwoWays.slice(1).map(({ record }) => view.stackOf(record.id)));
  expect(new Set(keys).size).toBe(2);
});

test('the timeline has the snapshots that no event speaks of, where their time is', async () => {
  const view = viewOf(byTwoWays.slice(0, 3));
  if (store === undefined) throw new Error('no store');
  const [first, second, third] = byTwoWays.map(({ record }) => ({
    id: record.id,
    ms: Number(record.timeNs / 1_000_000n),
  }));
  if (first === undefined || second === undefined || third === undefined) throw new Error('no snapshots');
  store.incidents.add(id, eventOf({ kind: 'armed', text: 'armed', timeMs: first.ms - 1 }));
  store.incidents.add(
    id,
    eventOf({ kind: 'snapshot', text: 'told', timeMs: second.ms, facts: { snapshot: second.id } }),
  );
  store.incidents.close(id, 'enough', third.ms - 1);
  const document = await view.incident(id);
  expect(document.timeline.map(({ kind, facts }) => [kind, facts?.['snapshot']])).toEqual([
    ['fired', undefined],
    ['armed', undefined],
    ['snapshot', first.id],
    ['snapshot', second.id],
    ['closed', undefined],
    ['snapshot', third.id],
  ]);
  expect(document.timeline[2]?.text).toMatch(
    new RegExp(`^snapshot ${first.id}: in charge at shop.c:${chargeLine}, shop \\(pid \\d+\\) on `),
  );
  expect(document).toMatchObject({ state: 'closed', closed: new Date(third.ms - 1).toISOString() });
});

test('points as they stand now, or as they stood when they were last written down', async () => {
  const [first = '', second = ''] = new Set(byTwoWays.map(({ record }) => record.point));
  const another = livePoint({ id: first, incident: 'another', hits: 1 });
  const stored = await viewOf(byTwoWays, [another]).incident(id);
  const place = { target: 'name:checkout', location: `shop.c:${chargeLine}`, state: 'armed', why: '' };
  // As many hits as there are snapshots of it: nobody else counts them any more.
  expect(stored.points).toEqual([
    { id: first, ...place, hits: 6 },
    { id: second, ...place, hits: 3 },
  ]);
  if (store === undefined) throw new Error('no store');
  const live = livePoint({ id: second, incident: id, hits: 41, state: 'ended', why: 'its hits are used up' });
  const points = { list: () => [live] };
  const view = new IncidentView({
    store,
    incidents: store.incidents,
    points,
    symbols: new SymbolsHere(openSymbols),
  });
  expect((await view.incident(id)).points).toEqual([
    { id: first, ...place, hits: 6 },
    {
      id: second,
      target: 'name:shop',
      location: 'charge',
      condition: 'attempt > 0',
      state: 'ended',
      why: 'its hits are used up',
      hits: 41,
    },
  ]);
});

test('debug information is opened once for all snapshots of a build, and no file stays open', async () => {
  viewOf(byTwoWays);
  if (store === undefined) throw new Error('no store');
  const opened: string[] = [];
  const view = new IncidentView({
    store,
    incidents: store.incidents,
    symbols: new SymbolsHere((elf) => {
      opened.push(elf.source.name);
      return openSymbols(elf);
    }),
  });
  const before = readdirSync('/proc/self/fd').length;
  await view.incident(id);
  expect(opened.filter((path) => path.endsWith('/shop'))).toHaveLength(1);
  expect(readdirSync('/proc/self/fd')).toHaveLength(before);
});

test('of many snapshots with one stack the oldest are compared, and it is said', async () => {
  viewOf(byTwoWays.slice(0, 1));
  if (store === undefined) throw new Error('no store');
  const [record] = store.incidents.listSnapshots(id);
  if (record === undefined) throw new Error('no snapshot');
  const many = Array.from({ length: 60 }, (_, i) => ({
    ...record,
    id: `0000000000${String(i).padStart(2, '0')}`,
  }));
  const incidents = { ...store.incidents, listSnapshots: () => many };
  const { groups } = await new IncidentView({
    store,
    incidents,
    symbols: new SymbolsHere(openSymbols),
  }).incident(id);
  expect(groups).toHaveLength(1);
  expect(groups[0]?.snapshots).toHaveLength(60);
  expect(groups[0]?.note).toBe('the oldest 50 of 60 snapshots are compared');
  expect(groups[0]?.same).toContainEqual({ name: 'order->customer->tier', text: 'BRONZE' });
});

test('what others ask of the process gets its turn between two snapshots', async () => {
  const view = viewOf(byTwoWays);
  let turns = 0;
  let isDone = false;
  const tick = (): void => {
    turns += 1;
    if (!isDone) setImmediate(tick);
  };
  setImmediate(tick);
  await Promise.all([view.incident(id), view.incidents({})]);
  isDone = true;
  // Nine stacks and nine comparisons.
  expect(turns).toBeGreaterThanOrEqual(18);
});

function livePoint(part: Partial<PointDocument>): PointDocument {
  return {
    id: '',
    state: 'armed',
    why: '',
    target: 'name:shop',
    location: 'charge',
    condition: 'attempt > 0',
    captures: [],
    engine: '',
    processes: [],
    hits: 0,
    conditionFalse: 0,
    faults: 0,
    dropped: 0,
    delivered: 0,
    expires: '',
    kind: 'snapshot',
    ...part,
  };
}
