/** Points that count and capture nothing, over real processes: each hit exactly once, whatever comes of the process. */
import { describe, expect, test } from 'vitest';
import { compileSite } from '../../../agent/bpf/compile-plan.js';
import { bpfHelpers } from '../../../agent/bpf/helper-calls.js';
import type { PointCounters, PointEnd } from '../../../agent/tracer/client.js';
import { TracerSupervisor } from '../../../agent/tracer/supervisor.js';
import { everyNth, startWorkers, workersPlan } from '../engines/uprobe/workers.js';

/** More than a hit may bring, if hits brought anything. */
const plan = workersPlan({ condition: everyNth(10), stackBytes: 16_384 });
const arming = { pointId: 'p', countOnly: true, maxHits: 1, minIntervalNs: 1n << 60n } as const;

interface Heard {
  hits: number;
  readonly passed: string[];
  readonly ends: { reason: PointEnd; last: PointCounters }[];
}

function listen(tracer: TracerSupervisor): Heard {
  const heard: Heard = { hits: 0, passed: [], ends: [] };
  tracer.listen({
    hit: () => (heard.hits += 1),
    passed: (pointIds) => heard.passed.push(...pointIds),
    ended: (_, __, reason, last) => heard.ends.push({ reason, last }),
    restarted: () => undefined,
  });
  return heard;
}

const countersOf = (hits: number): PointCounters => ({
  hits: BigInt(hits),
  conditionFalse: BigInt(hits - hits / 10),
  faults: 0n,
  dropped: 0n,
  delivered: 0n,
});

// A hit costs a stop with ptrace.
describe.each([
  { engine: 'uprobe', calls: 20_000 },
  { engine: 'ptrace', calls: 500 },
] as const)('$engine', ({ engine, calls }) => {
  test('every hit of every thread is counted, none is delivered, and the point does not end', async () => {
    await using workers = await startWorkers(4);
    const original = workers.code();
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    const armed = await tracer.arm({ ...arming, pid: workers.pid, plan, engine });
    expect(armed).toMatchObject({ engine, refusals: [] });
    await workers.call(calls);
    const counters = countersOf(4 * calls);
    expect(await tracer.counters(['p'])).toMatchObject([{ pointId: 'p', pid: workers.pid, counters }]);
    expect(await tracer.counters(['q'])).toEqual([]);
    await workers.call(calls);
    expect(await tracer.disarm('p', workers.pid)).toMatchObject(countersOf(8 * calls));
    expect(workers.code()).toEqual(original);
    expect(heard).toMatchObject({ hits: 0, ends: [] });
  });

  test('whoever passes is told of, without being asked', async () => {
    await using workers = await startWorkers(1);
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    await tracer.arm({ ...arming, pid: workers.pid, plan, engine });
    await workers.call(10);
    for (let i = 0; i < 6000 && heard.passed.length === 0; i++) await new Promise((r) => setTimeout(r, 10));
    expect(heard.passed).toEqual(['p']);
  });

  test('the hits of a process that ended are not lost', async () => {
    await using workers = await startWorkers(2);
    await using tracer = new TracerSupervisor();
    const heard = listen(tracer);
    await tracer.arm({ ...arming, pid: workers.pid, plan, engine });
    await workers.call(calls);
    await workers.bye();
    for (let i = 0; i < 6000 && heard.ends.length === 0; i++) await new Promise((r) => setTimeout(r, 10));
    expect(heard.ends).toMatchObject([{ reason: { kind: 'target-gone' }, last: countersOf(2 * calls) }]);
  });
});

test('the program that counts has nothing to do with rings', () => {
  const helpers = (delivery: Parameters<typeof compileSite>[1]['delivery']): Set<number> => {
    const { bytes } = compileSite(plan, {
      siteIndex: 0,
      stateFd: 5,
      counterSlots: 2,
      delivery,
      sleepable: true,
    });
    const code = Buffer.from(bytes);
    const calls = new Set<number>();
    // BPF_JMP | BPF_CALL of a helper.
    for (let at = 0; at < code.length; at += 8) if (code[at] === 0x85) calls.add(code.readInt32LE(at + 4));
    return calls;
  };
  const { bpf_copy_from_user, bpf_get_smp_processor_id, bpf_ringbuf_reserve } = bpfHelpers;
  expect(helpers(undefined)).toEqual(new Set([bpf_copy_from_user, bpf_get_smp_processor_id]));
  expect(helpers({ ringFd: 6, ringBytes: 65_536, maxHits: 1, minIntervalNs: 0n })).toContain(
    bpf_ringbuf_reserve,
  );
});
