import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../support/cli.js';
import type { SnapshotJson } from '../support/documents.js';
import { chargeLocation, startOrderService } from '../support/order-service.js';

interface LeafJson {
  readonly name: string;
  readonly a: string;
  readonly b: string;
}
interface DifferenceJson {
  readonly a: { readonly id: string };
  readonly b: { readonly id: string };
  readonly stack: { readonly same: string; readonly common: number };
  readonly frames: readonly {
    readonly function: string;
    readonly different: readonly LeafJson[];
    readonly same: readonly { readonly name: string; readonly text: string }[];
  }[];
}

let workplace: Workplace;
let gold: string;
let bronze: string;

beforeAll(async () => {
  workplace = openWorkplace();
  const service = await startOrderService(workplace, { rate: 500 });
  await workplace.startAgent();
  const take = async (condition: string): Promise<string> => {
    const snap = ['snap', String(service.pid), chargeLocation(), '--if', condition];
    const [snapshot] = (await workplace.json(...snap)) as [SnapshotJson];
    return snapshot.id;
  };
  gold = await take('order->customer->tier == GOLD && order->note == 0');
  bronze = await take('order->customer->tier == BRONZE && order->note != 0');
});
afterAll(async () => {
  await workplace?.[Symbol.asyncDispose]();
});

test('two hits of one line: what differs between them, and what is the same', async () => {
  const [difference] = (await workplace.json('diff', gold, bronze)) as [DifferenceJson];
  expect([difference.a.id, difference.b.id]).toEqual([gold, bronze]);
  expect(difference.stack).toEqual({ same: 'yes', common: 5 });
  const [charge] = difference.frames;
  expect(charge?.function).toBe('charge_order');
  expect(charge?.different).toEqual(
    expect.arrayContaining([
      { name: 'order->customer->tier', a: 'GOLD', b: 'BRONZE' },
      { name: 'order->note', a: 'NULL', b: '"leave at the door"' },
      { name: 'order->discount', a: '<discount_gold>', b: '<discount_none>' },
    ]),
  );
  expect(charge?.same).toContainEqual({ name: 'order->currency', text: '"EUR"' });
  const told = [...(charge?.different ?? []), ...(charge?.same ?? [])].map(({ name }) => name);
  expect(new Set(told).size).toBe(told.length);
});

test('as text', async () => {
  const brief = await workplace.run('diff', gold, bronze);
  expect(brief.status).toBe(0);
  expect(brief.stdout).toContain('the same stack, 5 frames');
  expect(brief.stdout).toMatch(/order->customer->tier {2}GOLD \| BRONZE/);
  expect(brief.stdout).toMatch(/\d+ more values are the same \(--all lists them\)/);
  const all = await workplace.run('diff', gold, bronze, '--all');
  expect(all.stdout).toContain('order->currency = "EUR"');
});

test('a snapshot with itself: nothing that is known differs', async () => {
  const [difference] = (await workplace.json('diff', gold, gold)) as [DifferenceJson];
  const different = difference.frames.flatMap((frame) => frame.different);
  // What is absent is not equal to itself.
  expect(different.filter(({ a }) => !a.includes('<'))).toEqual([]);
  expect(difference.stack.same).toBe('yes');
});

test('one that is not there', async () => {
  const result = await workplace.run('diff', gold, 'zz', '--json');
  expect(result.status).toBe(3);
  expect(JSON.parse(result.stdout)).toMatchObject({
    error: { code: 'not-found', message: 'no snapshot "zz"' },
  });
});
