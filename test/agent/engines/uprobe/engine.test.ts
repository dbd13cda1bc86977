/** Points on real processes: hits, budgets, ends, and that nothing is left behind. */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type AttachWay, attachWays } from '../../../../agent/engines/uprobe/attach.js';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import type { ArmedPoint, Engine, PointEnd } from '../../../../agent/engines/engine.js';
import { linkIds } from '../../../../agent/linux/bpf.js';
import type { Capture } from '../../../../format/capture.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { expression, sleb, uleb } from '../../../support/dwarf-expression.js';
import { requireFeature } from '../../../support/require-feature.js';
import { heldLinkIds } from './links.js';
import { everyNth, orderRanges, startWorkers, workersPlan } from './workers.js';

interface Armed {
  readonly point: ArmedPoint;
  readonly captures: Capture[];
  readonly ends: PointEnd[];
}

interface Budget {
  readonly maxHits?: number;
  readonly minIntervalNs?: bigint;
}

async function arm(engine: Engine, pid: number, plan: Plan, budget: Budget = {}): Promise<Armed> {
  const captures: Capture[] = [];
  const ends: PointEnd[] = [];
  const point = await engine.arm?.(
    {
      pointId: 'p',
      pid,
      plan,
      maxHits: budget.maxHits ?? 1000,
      minIntervalNs: budget.minIntervalNs ?? 0n,
      countOnly: false,
      forced: false,
    },
    { hit: (capture) => captures.push(capture), ended: (end) => ends.push(end) },
  );
  if (point === undefined) throw new Error('the engine has no points');
  return { point, captures, ends };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 12_000 && !what(); i++) await sleep(5);
  if (!what()) throw new Error('it does not come to pass');
}

/** Descriptors of eBPF objects, perf events, mappings of rings, and processes. */
function kernelDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^anon_inode:.*(bpf|perf_event|pidfd)/.test(target) ? [target] : [];
    } catch {
      return [];
    }
  });
}

afterEach(() => {
  expect(kernelDescriptors()).toEqual([]);
});
/** Those of some links that the kernel still lists. */
function left(ids: readonly number[]): number[] {
  const all = linkIds();
  if (all === undefined) throw new Error('the links of this host cannot be listed without CAP_SYS_ADMIN');
  return all.filter((id) => ids.includes(id));
}
const breakpoint = Buffer.from([0xcc]);

const ways: readonly (readonly [string, AttachWay])[] = attachWays().map((way) => [
  `${way.name}${way.sleepable ? '' : ', not sleepable'}`,
  way,
]);

describe.each(ways)('by %s', (_name, way) => {
  test('this host supports it', async (context) => {
    const support = await uprobeEngine([way]).probe();
    requireFeature(context, way.name, support.supported === 'yes' ? undefined : support.detail);
    expect(support.detail).toBe(
      way.sleepable ? `${way.name}, sleepable` : `${way.name}, reads resident pages only`,
    );
  });

  test('a hit brings registers, stack and what pointers lead to; nothing is left', async () => {
    await using workers = await startWorkers(1);
    const original = workers.code();
    const { point, captures, ends } = await arm(
      uprobeEngine([way]),
      workers.pid,
      workersPlan({ condition: everyNth(5) }),
      { maxHits: 3 },
    );
    const links = heldLinkIds();
    expect(links.length).toBe(way.name === 'uprobe-multi' ? 1 : 0);
    expect(left(links)).toEqual(links);
    expect(workers.code().subarray(0, 1)).toEqual(breakpoint);
    await workers.call(100);
    await until(() => ends.length > 0);
    expect(ends).toEqual([{ kind: 'hits', detail: '3 of 3 hits delivered' }]);
    expect(captures.length).toBe(3);
    captures.forEach((capture, i) => {
      const [thread] = capture.threads;
      const registers = thread?.registers ?? new Uint8Array();
      expect(thread).toMatchObject({
        comm: 'workers',
        state: 'R',
        provenance: 'at-hit',
        unknownRegisters: ['fs_base', 'gs_base', 'ds', 'es', 'fs', 'gs'],
      });
      expect(capture).toMatchObject({ engine: 'uprobe', pid: workers.pid, site: 0, missing: [] });
      expect(Math.abs(Number(capture.timeNs / 1_000_000n) - Date.now())).toBeLessThan(60_000);
      expect(readUserRegister(registers, 'rip')).toBe(point.addresses[0]);
      const [stack, order, customer, name] = capture.ranges;
      expect(stack).toMatchObject({
        path: `stack of ${capture.tid}`,
        address: readUserRegister(registers, 'rsp') - 128n,
        provenance: 'at-hit',
      });
      expect(stack?.bytes.length).toBe(1024);
      expect(order?.address).toBe(readUserRegister(registers, 'rdi'));
      expect(Buffer.from(order?.bytes ?? []).readBigUInt64LE(0)).toBe(BigInt((i + 1) * 5));
      expect(Buffer.from(order?.bytes ?? []).readBigUInt64LE(16)).toBe(customer?.address);
      expect(Buffer.from(name?.bytes ?? []).toString()).toBe('a customer of some thread\0');
    });
    expect(point.counters()).toMatchObject({ faults: 0n, dropped: 0n, delivered: 3n });
    expect(left(links)).toEqual([]);
    expect(workers.code()).toEqual(original);
    expect(await workers.call(10)).toBe(110);
  });

  test('every hit of every thread is counted', async () => {
    await using workers = await startWorkers(4);
    const { point, captures } = await arm(
      uprobeEngine([way]),
      workers.pid,
      workersPlan({ condition: everyNth(1000) }),
    );
    await workers.call(5000);
    await until(() => captures.length === 20);
    const { spentNs = 0n, ...counters } = point.counters();
    await point.disarm();
    // A microsecond each, and much more on a busy machine.
    expect(spentNs).toBeGreaterThan(20_000n * 50n);
    expect(counters).toEqual({
      hits: 20_000n,
      conditionFalse: 19_980n,
      faults: 0n,
      dropped: 0n,
      delivered: 20n,
    });
    expect(new Set(captures.map(({ tid }) => tid)).size).toBe(4);
    // After disarming, the counters stay as they were.
    await workers.call(100);
    expect(point.counters()).toMatchObject(counters);
  });
});

test('disarming twice is disarming once', async () => {
  await using workers = await startWorkers(1);
  const original = workers.code();
  const { point, ends } = await arm(uprobeEngine(), workers.pid, workersPlan());
  const links = heldLinkIds();
  expect(links.length).toBe(1);
  await Promise.all([point.disarm(), point.disarm()]);
  await point.disarm();
  expect(left(links)).toEqual([]);
  expect(workers.code()).toEqual(original);
  expect(ends).toEqual([]);
});

test('hits come no faster than asked', async () => {
  await using workers = await startWorkers(4);
  const { point, captures } = await arm(uprobeEngine(), workers.pid, workersPlan(), {
    minIntervalNs: 200_000_000n,
  });
  const started = performance.now();
  for (let i = 0; i < 20; i++) {
    await workers.call(100);
    await sleep(30);
  }
  const elapsed = performance.now() - started;
  await point.disarm();
  expect(captures.length).toBeGreaterThan(1);
  expect(captures.length).toBeLessThanOrEqual(Math.floor(elapsed / 200) + 1);
  const times = captures.map(({ timeNs }) => timeNs);
  times.slice(1).forEach((time, i) => {
    // Each is turned to the epoch by a clock reading of its own.
    expect(Number(time - (times[i] ?? 0n))).toBeGreaterThan(195_000_000);
  });
  expect(point.counters()).toMatchObject({ hits: 8000n, conditionFalse: 0n, dropped: 0n });
});

test('hits that find no room are counted as dropped, none is lost silently', async () => {
  await using workers = await startWorkers(4);
  const plan = workersPlan({ stackBytes: 16_384 });
  // More than come: a point that has its hits would not see the last ones.
  const { point, captures } = await arm(uprobeEngine(), workers.pid, plan, { maxHits: 10_000 });
  const called = workers.call(2000);
  // Nobody reads the ring until all have passed.
  const deadline = Date.now() + 60_000;
  while (point.counters().hits < 8000n && Date.now() < deadline);
  expect(captures).toEqual([]);
  await called;
  await until(() => point.counters().delivered === BigInt(captures.length));
  await point.disarm();
  const { hits, delivered, dropped } = point.counters();
  expect(hits).toBe(8000n);
  expect(delivered).toBe(BigInt(captures.length));
  expect(dropped).toBeGreaterThan(0n);
  expect(delivered + dropped).toBe(8000n);
});

test('no hits are wanted: they are counted only', async () => {
  await using workers = await startWorkers(2);
  const plan = workersPlan({ condition: everyNth(10) });
  const { point, captures } = await arm(uprobeEngine(), workers.pid, plan, { maxHits: 0 });
  await workers.call(1000);
  await point.disarm();
  expect(captures).toEqual([]);
  expect(point.counters()).toEqual({
    hits: 2000n,
    conditionFalse: 1800n,
    faults: 0n,
    dropped: 0n,
    delivered: 0n,
    spentNs: expect.any(BigInt) as bigint,
  });
});

test('faults of a condition are no hits, and counted', async () => {
  await using workers = await startWorkers(1);
  const condition = expression(DW_OP.DW_OP_lit8, DW_OP.DW_OP_deref);
  const { point, captures } = await arm(uprobeEngine(), workers.pid, workersPlan({ condition }));
  await workers.call(50);
  await point.disarm();
  expect(captures).toEqual([]);
  expect(point.counters()).toMatchObject({ hits: 50n, conditionFalse: 0n, faults: 50n });
});

test('what cannot be collected says why', async () => {
  await using workers = await startWorkers(1);
  const [order] = orderRanges;
  if (order === undefined) throw new Error('no range');
  const length = expression(DW_OP.DW_OP_constu, uleb(100));
  const ranges = [
    { ...order, path: 'nothing', address: expression(DW_OP.DW_OP_lit8) },
    {
      ...order,
      path: 'through nothing',
      address: expression(DW_OP.DW_OP_lit16, DW_OP.DW_OP_deref),
      children: [],
    },
    {
      ...order,
      path: 'divided',
      length: expression(DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit0, DW_OP.DW_OP_div),
      children: [],
    },
    { ...order, path: 'cut', length, children: [] },
    { ...order, path: 'last', length, maxBytes: 100, children: [] },
    { ...order, path: 'too late', children: [] },
  ];
  const { point, captures } = await arm(
    uprobeEngine(),
    workers.pid,
    workersPlan({ ranges, stackBytes: 128, maxBytes: 128 + 24 + 50 }),
    { maxHits: 1 },
  );
  await workers.call(1);
  await until(() => captures.length === 1);
  await point.disarm();
  const rdi = readUserRegister(captures[0]?.threads[0]?.registers ?? new Uint8Array(), 'rdi');
  const unreadable = (path: string, address: bigint, detail: string): object => ({
    path,
    address,
    reason: 'unreadable',
    detail,
  });
  expect(captures[0]?.missing).toEqual([
    { ...unreadable('nothing', 8n, 'memory at 0x8 cannot be read'), length: 24 },
    {
      path: 'order->customer',
      reason: 'not-captured',
      detail: '"nothing", which leads there, was not collected',
    },
    {
      path: 'order->customer->name',
      reason: 'not-captured',
      detail: '"order->customer", which leads there, was not collected',
    },
    unreadable('through nothing', 16n, 'its address depends on memory at 0x10, which cannot be read'),
    { path: 'divided', reason: 'unreadable', detail: 'its length: division by zero' },
    {
      path: 'cut',
      address: rdi + 24n,
      length: 76,
      reason: 'limit',
      detail: '24 of 100 bytes, the most for the range',
    },
    {
      path: 'last',
      address: rdi + 50n,
      length: 50,
      reason: 'limit',
      detail: '50 of 100 bytes, the most for a hit',
    },
    { path: 'too late', address: rdi, length: 24, reason: 'limit', detail: 'the bytes of a hit are used up' },
  ]);
  expect(captures[0]?.ranges.map(({ path, bytes }) => [path, bytes.length])).toEqual([
    [`stack of ${captures[0]?.tid ?? 0}`, 128],
    ['cut', 24],
    ['last', 50],
  ]);
  expect(captures[0]?.cost).toMatchObject({ hits: 1, faults: 3, bytes: 202, stoppedNs: 0 });
});

test('a stack that ends within the window brings what there is', async () => {
  await using workers = await startWorkers(0);
  await using threaded = await startWorkers(1);
  const { point, captures } = await arm(
    uprobeEngine(),
    threaded.pid,
    workersPlan({ stackBytes: 262_144, maxBytes: 524_288 }),
    { maxHits: 1 },
  );
  await threaded.call(1);
  await until(() => captures.length === 1);
  await point.disarm();
  const stack = captures[0]?.ranges[0];
  expect(stack?.path).toBe(`stack of ${captures[0]?.tid ?? 0}`);
  expect(stack?.bytes.length).toBeGreaterThan(1024);
  expect(workers.pid).toBeGreaterThan(0);
});

test('a process that ends while armed', async () => {
  await using workers = await startWorkers(1);
  const { point, ends } = await arm(uprobeEngine(), workers.pid, workersPlan());
  const links = heldLinkIds();
  await workers.bye();
  await until(() => ends.length > 0);
  expect(ends).toEqual([{ kind: 'target-gone', detail: `process ${workers.pid} is gone` }]);
  expect(point.counters()).toMatchObject({ hits: 0n });
  expect(left(links)).toEqual([]);
});

test('an agent killed while armed leaves nothing, and another can arm', async () => {
  await using workers = await startWorkers(2);
  const original = workers.code();
  const script = fileURLToPath(new URL('armed-child.js', import.meta.url));
  const child = spawn(process.execPath, [script, String(workers.pid)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  let links: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    links = JSON.parse(line) as number[];
    break;
  }
  expect(links.length).toBe(1);
  expect(left(links)).toEqual(links);
  expect(workers.code()).not.toEqual(original);
  const load = workers.call(200_000);
  child.kill('SIGKILL');
  await exited;
  await until(() => left(links).length === 0);
  expect(await load).toBe(400_000);
  expect(workers.code()).toEqual(original);
  const again = await arm(uprobeEngine(), workers.pid, workersPlan(), { maxHits: 1 });
  await workers.call(1);
  await until(() => again.ends.length > 0);
  expect(again.captures.length).toBe(1);
});

test('two points on one address do not disturb each other', async () => {
  await using workers = await startWorkers(1);
  const original = workers.code();
  const engine = uprobeEngine();
  const one = await arm(engine, workers.pid, workersPlan({ condition: everyNth(2) }));
  const other = await arm(engine, workers.pid, workersPlan({ condition: everyNth(3) }), { maxHits: 1 });
  await workers.call(30);
  await until(() => other.ends.length > 0 && one.captures.length === 15);
  expect(workers.code()).not.toEqual(original);
  await one.point.disarm();
  expect(other.captures.length).toBe(1);
  expect(one.captures.length).toBe(15);
  expect(workers.code()).toEqual(original);
});

describe('nothing is armed when', () => {
  test.each([
    [
      'the build id is another',
      (plan: Plan): Plan => ({ ...plan, module: { ...plan.module, buildId: '00'.repeat(20) } }),
      'mismatch',
      /^cannot probe ".*workers" in process \d+: build id [0-9a-f]{40} is mapped, the plan was made for build id (00){20}$/,
    ],
    [
      'an expression keeps too much',
      (plan: Plan): Plan => withCondition(plan, expression(...Array<number>(70).fill(DW_OP.DW_OP_lit1))),
      'limit',
      /^cannot compile the condition: it keeps more than 64 values on the stack$/,
    ],
    [
      'an expression is malformed',
      (plan: Plan): Plan => withCondition(plan, expression(DW_OP.DW_OP_plus)),
      'bad-data',
      /^cannot compile the condition: 2 values are wanted on the stack at offset 0x0$/,
    ],
    [
      'an expression leaves no value',
      (plan: Plan): Plan => withCondition(plan, expression(DW_OP.DW_OP_nop)),
      'bad-data',
      /^cannot compile the condition: 0 values are left on the stack, not 1$/,
    ],
    [
      'an operation has no meaning in a plan',
      (plan: Plan): Plan => withCondition(plan, expression(DW_OP.DW_OP_call_frame_cfa)),
      'bad-data',
      /^cannot compile the condition: operation 0x9c has no meaning in a plan at offset 0x0$/,
    ],
    [
      'a register is not known at a probe',
      (plan: Plan): Plan => withCondition(plan, expression(DW_OP.DW_OP_breg0 + 17, sleb(0))),
      'bad-data',
      /^cannot compile the condition: register 17 is not known at a probe at offset 0x0$/,
    ],
    [
      'an expression is too long for a jump',
      (plan: Plan): Plan =>
        withCondition(
          plan,
          expression(
            DW_OP.DW_OP_breg5,
            sleb(0),
            DW_OP.DW_OP_deref,
            ...Array<number>(8000).fill(DW_OP.DW_OP_deref),
          ),
        ),
      'limit',
      /^cannot compile "condition": a jump to "condition fault" over \d+ instructions does not fit 16 bits$/,
    ],
  ])('%s', async (_name, change, code, message) => {
    await using workers = await startWorkers(1);
    const error: unknown = await arm(uprobeEngine(), workers.pid, change(workersPlan())).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as unknown });
    expect(heldLinkIds()).toEqual([]);
  });

  test('there is no such process', async () => {
    const workers = await startWorkers(1);
    await workers.bye();
    await workers[Symbol.asyncDispose]();
    await expect(arm(uprobeEngine(), workers.pid, workersPlan())).rejects.toMatchObject({
      code: 'target-gone',
      message: `there is no process ${workers.pid}`,
    });
  });
});

function withCondition(plan: Plan, condition: Uint8Array): Plan {
  return { ...plan, sites: plan.sites.map((site) => ({ ...site, condition })) };
}

test('a plan without sites is refused', () => {
  expect(uprobeEngine().refusal({ ...workersPlan(), sites: [] })).toBe('the plan has no sites');
  expect(uprobeEngine().refusal(workersPlan())).toBeUndefined();
});
