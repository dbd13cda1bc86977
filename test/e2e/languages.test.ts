import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Workplace } from '../support/cli.js';
import { field, local, type SnapshotJson, type ValueJson } from '../support/documents.js';
import {
  cplusplusService,
  goService,
  type RunningService,
  rustService,
  startService,
} from '../support/language-service.js';

/** Each value in few words: its text, or its value, or the reason why there is none. */
async function answers(workplace: Workplace, ...expressions: string[]): Promise<string[]> {
  const values = (await workplace.json('eval', 'last', ...expressions)) as ValueJson[];
  return values.map(({ text, value, absent }) => absent?.reason ?? text ?? value ?? '');
}

const entries = (map: ValueJson): string[] =>
  (map.elements ?? []).map((pair) => `${field(pair, 'key').text ?? ''} ${field(pair, 'value').value ?? ''}`);

describe('a service in C++', () => {
  let running: RunningService;
  let snapshot: SnapshotJson;

  beforeAll(async () => {
    running = await startService(cplusplusService);
    const { workplace, service, location } = running;
    const condition = 'request.name == "abc" && request.items.size() > 1 && request.coupon.has_value()';
    const snap = ['snap', String(service.pid), location, '--if', condition, '--capture', 'shop::handled'];
    [snapshot] = (await workplace.json(...snap, '--wait', '110s')) as [SnapshotJson];
  });
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
  });

  test('the kernel decides on its strings and containers, and a hit brings what they hold', () => {
    expect(snapshot).toMatchObject({ engine: 'uprobe', cost: { faults: 0, stoppedNs: 0 } });
    const request = field(local(snapshot.frames[0], 'request'), 'shop::Request');
    expect(field(request, 'name')).toMatchObject({ kind: 'string', text: 'abc', length: 3 });
    expect((field(request, 'items').elements ?? []).map((item) => field(item, 'sku').text)).toEqual([
      'apple',
      'a very long stock keeping unit',
    ]);
    expect(entries(field(request, 'stock'))).toEqual(['apple 3', 'pear 5', 'plum 0']);
    expect((field(request, 'notes').elements ?? []).map((note) => note.text)).toEqual([
      'first',
      'second note, which is rather long',
    ]);
    expect((field(request, 'history').elements ?? []).map(({ value }) => value)).toEqual(['10', '20', '30']);
    expect(field(request, 'customer')).toMatchObject({
      kind: 'pointer',
      target: { fields: [{ text: 'Ada Lovelace, Countess' }, { value: '2' }] },
    });
  });

  test('what nobody asked for at the hit is answered from the snapshot', async () => {
    const asked: readonly (readonly [string, string])[] = [
      ['request.name.size() + request.items.size()', '5'],
      ['request.stock["pear"]', '5'],
      ['request.headers["host"]', 'example.org'],
      ['request.headers["none"]', 'unreadable'],
      ['request.notes[1]', 'second note, which is rather long'],
      ['request.marks.contains(2)', '1'],
      ['request.history.back()', '30'],
      ['*request.coupon', 'SAVE10'],
      ['request.customer->name.startsWith("Ada")', '1'],
      ['request.gift->sku == "ribbon"', '1'],
      ['request.Request::id_ >= 0', '1'],
      ['((shop::Express *)&request)->hours', '24'],
      ['request.items[7]', 'unreadable'],
      ['shop::handled > 0', '1'],
    ];
    expect(await answers(running.workplace, ...asked.map(([expression]) => expression))).toEqual(
      asked.map(([, expected]) => expected),
    );
  });

  test.each([
    ['Counter::add', ['shop::Counter::add(double)', 'shop::Counter::add(int)']],
    ['larger', ['shop::larger<double>(double, double)', 'shop::larger<int>(int, int)']],
    ['weight', ['shop::Express::weight()', 'shop::Request::weight()']],
  ])('%s is several functions, each of which can be named', async (name, candidates) => {
    const { workplace, service } = running;
    const refused = await workplace.run('explain', String(service.pid), name, '--json');
    expect(refused.status).toBe(3);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { candidates } });
    const [chosen = ''] = candidates;
    expect((await workplace.run('explain', String(service.pid), chosen)).status).toBe(0);
  });
});

describe('a service in Rust', () => {
  test('the kernel decides on its strings, vectors and options, and a hit brings what they hold', async () => {
    await using running = await startService(rustService);
    const { workplace, service, location } = running;
    const condition = 'self.name == "abc" && self.items.len() > 1 && self.coupon.is_some()';
    const snap = ['snap', String(service.pid), location, '--if', condition, '--wait', '110s'];
    const [snapshot] = (await workplace.json(...snap)) as [SnapshotJson];
    expect(snapshot.cost.faults).toBe(0);
    const self = local(snapshot.frames[0], 'self');
    expect(field(self, 'name')).toMatchObject({ kind: 'string', text: 'abc' });
    expect(entries(field(self, 'stock'))).toEqual(['apple 3', 'pear 5']);
    expect(field(self, 'payment').kind).toBe('variant');
    expect(field(self, 'shape').text).toBe('service::Circle{radius=2}');
    const asked: readonly (readonly [string, string])[] = [
      ['self.items[1].sku', 'a very long stock keeping unit'],
      ['self.headers["host"]', 'example.org'],
      ['self.stock["pear"] + 1', '6'],
      ['self.history.len()', '3'],
      ['self.history[2]', '30'],
      ['self.coupon.unwrap()', 'SAVE10'],
      ['self.checked.is_ok()', '1'],
      ['self.checked.unwrap()', '7'],
      ['self.customer.name', 'Ada Lovelace'],
      ['self.customer.tier as u32', '2'],
      ['self.gift.sku == "ribbon"', '1'],
      ['self.pair.0', '5'],
      ['self.pair.1', 'five'],
      ['self.coupon == None', '0'],
    ];
    expect(await answers(workplace, ...asked.map(([expression]) => expression))).toEqual(
      asked.map(([, expected]) => expected),
    );
  });
});

describe('a service in Go', () => {
  test('the kernel decides on its strings and errors, and a hit brings what they hold', async () => {
    await using running = await startService(goService);
    const { workplace, service, location } = running;
    const condition = 'r.Err != nil && r.Name != "abc" && len(r.Items) == 2';
    const snap = ['snap', String(service.pid), location, '--if', condition, '--wait', '110s'];
    const [snapshot] = (await workplace.json(...snap)) as [SnapshotJson];
    expect(snapshot.cost.faults).toBe(0);
    const request = local(snapshot.frames[0], 'r');
    expect(field(request, 'Name').text).toMatch(/^request number \d+$/);
    expect(entries(field(request, 'Stock')).toSorted()).toEqual(['apple 3', 'pear 5']);
    expect(field(request, 'Shape').text).toBe('main.Circle{Radius=2}');
    const asked: readonly (readonly [string, string])[] = [
      ['r.Items[1].SKU', 'a very long stock keeping unit'],
      ['len(r.Items)', '2'],
      ['cap(r.Items) >= 2', '1'],
      ['r.Stock["pear"]', '5'],
      ['len(r.Stock)', '2'],
      ['r.Customer.Name', 'Ada Lovelace'],
      ['r.Shape.(main.Circle).Radius', '2'],
      ['r.Err == nil', '0'],
      ['r.Err.(*main.NotFound).Key', 'key'],
      ['r.Err.(*main.Request)', 'unreadable'],
      ['r.Name[0:7]', 'request'],
      ['r.Any != nil', '1'],
      ['r.Tags[1]', 'fast'],
      ['len(r.Queue)', '1'],
      ['r.Queue[0]', '7'],
      ['r.Name.startsWith("request")', '1'],
    ];
    expect(await answers(workplace, ...asked.map(([expression]) => expression))).toEqual(
      asked.map(([, expected]) => expected),
    );
  });
});
