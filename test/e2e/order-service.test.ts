import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { field, local, type SnapshotJson, type ValueJson } from '../support/documents.js';
import { chargeLocation, goldCondition, latestReport, startOrderService } from '../support/order-service.js';

/** From a line of source to a variable's value, by the commands that a user types. */
describe.each([
  { cc: 'gcc', opt: 'O2', dwarf: 5, pie: true },
  { cc: 'gcc', opt: 'O0', dwarf: 4, pie: false },
  { cc: 'clang', opt: 'O2', dwarf: 5, pie: true },
  { cc: 'clang', opt: 'O0', dwarf: 4, pie: true },
] as const)('snap of the order service: $cc -$opt DWARF $dwarf', (variant) => {
  let workplace: Workplace;
  let service: StartedProgram;
  let snapshot: SnapshotJson;
  // clang -O2 merges the store with the one that follows: that line has no code of its own.
  const location = chargeLocation(variant.cc === 'clang' && variant.opt === 'O2' ? 'charged' : 'charge');

  beforeAll(async () => {
    workplace = openWorkplace();
    service = await startOrderService(workplace, variant);
    await workplace.startAgent();
    const snap = ['snap', String(service.pid), location, '--if', goldCondition];
    [snapshot] = (await workplace.json(...snap)) as [SnapshotJson];
  });
  afterAll(async () => {
    await workplace?.[Symbol.asyncDispose]();
  });

  test('the snapshot says where it was taken, how, and what it cost', () => {
    expect(snapshot).toMatchObject({ engine: 'uprobe', pid: service.pid });
    expect(snapshot.comm).toMatch(/^worker-\d$/);
    expect(snapshot.location.function).toBe('charge_order');
    expect(`orders.c:${snapshot.location.line}`).toBe(location);
    expect(snapshot.cost.hits).toBeGreaterThan(0);
    expect(snapshot.cost).toMatchObject({ stoppedNs: 0, dropped: 0, faults: 0 });
    expect(snapshot.cost.bytes).toBeGreaterThan(4096);
  });

  test('the stack is whole, inlined frames included', () => {
    const names = snapshot.frames.map((frame) => frame.function);
    expect(names.slice(0, 3)).toEqual(['charge_order', 'handle_request', 'worker_main']);
    expect(snapshot.frames[1]).toMatchObject({
      index: 1,
      file: expect.stringMatching(/orders\.c$/) as string,
    });
    // Two frames of the C library, which has no debug information here: an address, and no invented name.
    expect(names).toHaveLength(5);
    expect(names.slice(3)).not.toContain('charge_order');
  });

  test('the variables are those of one moment: the order adds up', () => {
    const order = local(snapshot.frames[0], 'order');
    expect(order).toMatchObject({ type: 'struct order *', kind: 'pointer', parameter: true });
    const total = Number(field(order, 'total').value);
    expect(total).toBeGreaterThan(10000);
    expect(field(order, 'customer', 'tier')).toMatchObject({ kind: 'enum', text: 'GOLD', value: '2' });
    expect(field(order, 'status').text).toMatch(/^(PRICED|CHARGED)$/);
    expect(['Edsger', 'Barbara']).toContain(field(order, 'customer', 'name').text);
    expect(field(order, 'currency').text).toBe('EUR');
    const count = Number(field(order, 'item_count').value);
    const items = field(order, 'items').elements ?? [];
    expect(items).toHaveLength(4);
    const sum = items
      .slice(0, count)
      .reduce(
        (all, item) => all + Number(field(item, 'quantity').value) * Number(field(item, 'unit_price').value),
        0,
      );
    expect(sum).toBe(total);
    const rebate = local(snapshot.frames[0], 'rebate');
    const due = local(snapshot.frames[0], 'due');
    if (rebate.absent === undefined && due.absent === undefined) {
      expect(Number(due.value)).toBe(total - Number(rebate.value));
    }
    expect(field(order, 'discount').text).toMatch(/discount_gold/);
  });

  test('a frame further out shows its own variables', () => {
    const request = local(snapshot.frames[2], 'request');
    expect(request.type).toBe('struct request');
    expect(Number(field(request, 'sequence').value)).toBeGreaterThan(0);
    expect(local(snapshot.frames[2], 'text').text).toMatch(/^ORDER [23] [1-4] \d+$/);
  });

  test('a question that nobody asked at capture time is answered', async () => {
    const [quantity, city, sku] = (await workplace.json(
      'eval',
      'last',
      'order->items[0].quantity * order->items[0].unit_price',
      'order->customer->address->city',
      'order->items[0].sku',
    )) as ValueJson[];
    expect(Number(quantity?.value)).toBeGreaterThan(0);
    expect(['Tartu', 'Lisbon']).toContain(city?.text);
    expect(['lamp-3', 'chair-oak', 'desk-xl', 'clock-7']).toContain(sku?.text);
  });

  test('what was not captured says so, and the hint brings it', async () => {
    const deep = 'order->customer->referrer->referrer->address->city';
    const [missing] = (await workplace.json('eval', snapshot.id, deep)) as ValueJson[];
    expect(missing?.absent?.reason).toBe('not-captured');
    expect(missing?.absent?.hint).toContain('--capture');
    const again = ['snap', String(service.pid), location, '--if', goldCondition, '--capture', deep];
    const [second] = (await workplace.json(...again)) as [SnapshotJson];
    expect(second.captures[0]).toMatchObject({ expression: deep, kind: 'array' });
    expect(['Lisbon', 'Ghent']).toContain(second.captures[0]?.text);
  });

  test('the service is unharmed', () => {
    expect(service.process.exitCode).toBeNull();
    expect(latestReport(service).wrong).toBe(0);
  });
});
