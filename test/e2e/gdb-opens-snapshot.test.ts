import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../support/cli.js';
import type { SnapshotJson, ValueJson } from '../support/documents.js';
import { chargeLocation, goldCondition, startOrderService } from '../support/order-service.js';

/** A snapshot is a core file: gdb opens it as it lies in the store, and says what we say. */
describe('gdb on the stored snapshot', () => {
  let workplace: Workplace;
  let program: string;
  let stored: string;
  let snapshot: SnapshotJson;

  beforeAll(async () => {
    workplace = openWorkplace();
    const service = await startOrderService(workplace);
    program = service.path;
    await workplace.startAgent();
    const snap = ['snap', String(service.pid), chargeLocation(), '--if', goldCondition];
    [snapshot] = (await workplace.json(...snap)) as [SnapshotJson];
    stored = findStoredCore(join(workplace.folder, 'data'));
  });
  afterAll(async () => {
    await workplace?.[Symbol.asyncDispose]();
  });

  const gdb = (...commands: string[]): string => {
    const args = ['-q', '-nx', '-batch', '-ex', 'set print frame-arguments none', '-ex', 'set width 0'];
    const run = spawnSync(
      'gdb',
      [...args, program, stored, ...commands.flatMap((command) => ['-ex', command])],
      { encoding: 'utf8', env: { ...process.env, DEBUGINFOD_URLS: '' } },
    );
    return `${run.stdout}${run.stderr}`;
  };

  test('bt gives the same frames', () => {
    // gdb prints frame 0 when it opens the file, too: the last of each number counts.
    const lines = gdb('bt').matchAll(/^#(\d+)\s+(?:0x[0-9a-f]+ in )?(\S+) \(/gm);
    const frames = [...new Map([...lines].map((match) => [match[1], match[2]])).values()];
    const ours = snapshot.frames
      .filter((frame) => frame.function !== undefined)
      .map((frame) => frame.function);
    expect(frames.slice(0, 3)).toEqual(['charge_order', 'handle_request', 'worker_main']);
    expect(ours.slice(0, 3)).toEqual(frames.slice(0, 3));
    expect(snapshot.frames).toHaveLength(frames.length);
  });

  test('shared libraries are found, and their frames have names', () => {
    expect(gdb('info sharedlibrary')).toMatch(/libc\.so\.6/);
    expect(gdb('bt')).toMatch(/start_thread/);
  });

  test('info threads shows the hitting thread', () => {
    expect(gdb('info threads')).toMatch(new RegExp(`\\* 1\\s.*LWP ${snapshot.tid}\\b`));
  });

  test('info registers has the address of the point', () => {
    const rip = /^rip\s+(0x[0-9a-f]+)/m.exec(gdb('info registers'))?.[1];
    expect(rip).toBe(snapshot.location.address);
  });

  test('info proc mappings lists the program', () => {
    expect(gdb('info proc mappings')).toContain(program);
  });

  test.each([
    'order->id',
    'order->total',
    'order->customer->id',
    'order->customer->tier',
    'order->customer->address->zip',
    'order->customer->referrer->id',
    'order->items[0].quantity',
    'order->items[1].unit_price',
    'order->payment.kind',
    'order->priority',
    'order->express',
    'stats->requests',
    'request->sequence',
    'request->worker',
  ])('print %s', async (expression) => {
    const frame = expression.startsWith('request') ? 1 : 0;
    const printed = gdb(`frame ${frame}`, `print/d ${expression}`);
    const theirs = /^\$1 = (-?\d+)$/m.exec(printed)?.[1];
    const [ours] = (await workplace.json(
      'eval',
      snapshot.id,
      expression,
      '--frame',
      String(frame),
    )) as ValueJson[];
    expect(theirs, printed).toBeDefined();
    expect(ours?.value).toBe(theirs);
  });

  test.each([
    'order->customer->name',
    'order->items[0].sku',
    'order->currency',
    'order->customer->address->city',
  ])('print string %s', async (expression) => {
    const theirs = /^\$1 = (?:0x[0-9a-f]+(?: <[^>]*>)? )?"([^"]*?)(?:\\000)*"/m.exec(
      gdb(`print ${expression}`),
    )?.[1];
    const [ours] = (await workplace.json('eval', snapshot.id, expression)) as ValueJson[];
    expect(theirs).toBeDefined();
    expect(ours?.text ?? ours?.target?.text).toBe(theirs);
  });

  test('memory that was not captured is not shown as zeros', () => {
    expect(gdb('print lanes[63]')).toMatch(/Cannot access memory at address|<unavailable>/);
  });
});

/** The one file of the store that is an ELF file. */
function findStoredCore(folder: string): string {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => statSync(file).size > 4096 && !/\.(db|sqlite)/.test(file) && !file.endsWith('-wal'));
  const [only, ...others] = files;
  if (only === undefined || others.length > 0)
    throw new Error(`one core wanted in the store: ${files.join(', ')}`);
  return only;
}
