/**
 * What a hit costs the target: no probe, bpftrace's empty uprobe, ours with a false condition, ours with 16 KiB of stack and ten reads, and
 * gdb's conditional breakpoint, all at the same address of the same process, in turns. Prints ratios.
 *
 * usage: node dist/bench/hit-cost.js [--json]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { uprobeEngine } from '../agent/engines/uprobe/engine.js';
import type { ArmedPoint, PointSink } from '../agent/engines/engine.js';
import { ByteWriter } from '../format/bytes.js';
import type { Capture } from '../format/capture.js';
import { DW_OP } from '../format/dwarf-op/opcodes.js';
import type { Plan, PlanRange } from '../format/plan/plan.js';
import { buildIdOf, symbolAddress } from './binary.js';
import { median } from './machine.js';
import { best, compileBenchProgram, report } from './measure.js';
import { startLoop, type Loop } from './loop.js';
import { ended, underGdb } from './under-gdb.js';

const rounds = 15;
const calls = 50_000;
const bursts = 100;
const burstCalls = 8;

const program = compileBenchProgram('probe-lab/loop.c', [
  '-g',
  '-O2',
  '-pie',
  '-fPIE',
  '-Wl,--build-id=sha1',
]);
const address = symbolAddress(program, 'handle');

const rdi = (out: ByteWriter): ByteWriter => out.u8(DW_OP.DW_OP_breg5).sleb(0);

/** `order->customer->tier == 3 && order->total > 10000`: false at the first read. */
function falseCondition(): Uint8Array {
  const out = rdi(new ByteWriter())
    .u8(DW_OP.DW_OP_plus_uconst)
    .uleb(8)
    .u8(DW_OP.DW_OP_deref)
    .u8(DW_OP.DW_OP_constu)
    .uleb(10_000)
    .u8(DW_OP.DW_OP_gt);
  return out.finish();
}

function itemRange(index: number): PlanRange {
  const out = rdi(new ByteWriter())
    .u8(DW_OP.DW_OP_plus_uconst)
    .uleb(24 + index * 8);
  return {
    path: `order->items[${index}]`,
    address: out.u8(DW_OP.DW_OP_deref).finish(),
    length: new ByteWriter().u8(DW_OP.DW_OP_lit16).finish(),
    maxBytes: 16,
    untilNul: false,
    secret: false,
    children: [],
  };
}

function planOf(condition: Uint8Array | undefined, ranges: readonly PlanRange[], stackBytes: number): Plan {
  return {
    version: 1,
    module: { buildId: buildIdOf(program), path: program },
    stackBytes,
    maxBytes: 65_536,
    request: { location: 'handle', captures: [] },
    sites: [
      {
        linkAddress: address,
        fileOffset: Number(address),
        function: 'handle',
        inlined: false,
        ranges,
        ...(condition === undefined ? {} : { condition }),
      },
    ],
  };
}

async function armed(loop: Loop, plan: Plan, hit: PointSink['hit'] = () => undefined): Promise<ArmedPoint> {
  const point = await uprobeEngine().arm?.(
    {
      pointId: 'bench',
      pid: loop.pid,
      plan,
      maxHits: 1_000_000,
      minIntervalNs: 0n,
      countOnly: false,
      forced: false,
    },
    { hit, ended: () => undefined },
  );
  if (point === undefined) throw new Error('the uprobe engine has no points');
  return point;
}

/** CPU time of a call when calls come in short bursts, as many as the ring holds, with a pause after each. */
async function bursty(loop: Loop, pause: (calls: number) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < bursts; i++) {
    times.push((await loop.run(burstCalls)).cpuNs / burstCalls);
    await pause((i + 1) * burstCalls);
  }
  return times;
}

async function underBpftrace(loop: Loop): Promise<{ steady: number; bursts: number[] }> {
  const child = spawn('bpftrace', ['-e', `uprobe:${program}:handle { }`, '-p', String(loop.pid)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  await sleep(300);
  const { cpuNs } = await loop.run(calls);
  const inBursts = await bursty(loop, async () => {
    await sleep(1);
  });
  await ended(child);
  return { steady: cpuNs / calls, bursts: inBursts };
}

async function underFalseCondition(loop: Loop): Promise<number> {
  const point = await armed(loop, planOf(falseCondition(), [itemRange(0)], 16_384));
  const { cpuNs } = await loop.run(calls);
  await point.disarm();
  if (point.counters().conditionFalse !== BigInt(calls)) throw new Error('hits were missed');
  return cpuNs / calls;
}

const stackBytes = 16_384;
/** Of the window: the red zone, and what the compiler keeps below the frame that the program filled. */
const unknownStackBytes = 1024;
const filledStack = Buffer.alloc(stackBytes - unknownStackBytes, 0x5a);

/** All that was asked for, and true: loop.c says what lies there. */
function isTrue({ ranges, missing }: Capture): boolean {
  const [stack, ...items] = ranges;
  return (
    missing.length === 0 &&
    stack?.bytes.length === stackBytes &&
    filledStack.equals(stack.bytes.subarray(unknownStackBytes)) &&
    items.length === 10 &&
    items.every(({ bytes }, i) => {
      const item = Buffer.from(bytes);
      return item.length === 16 && item.readBigInt64LE(0) === BigInt(i) && item.readBigInt64LE(8) === 1n;
    })
  );
}

async function underCapture(loop: Loop): Promise<number[]> {
  const ranges = Array.from({ length: 10 }, (_, i) => itemRange(i));
  let truths = 0;
  const point = await armed(loop, planOf(undefined, ranges, stackBytes), (capture) => {
    if (isTrue(capture)) truths++;
  });
  const times = await bursty(loop, async (made) => {
    while (point.counters().delivered < BigInt(made)) await sleep(1);
  });
  await point.disarm();
  if (point.counters().dropped !== 0n) throw new Error('hits were dropped');
  if (truths !== bursts * burstCalls) throw new Error(`only ${truths} captures are as they should be`);
  return times;
}

const results = {
  none: [] as number[],
  bpftrace: [] as number[],
  bpftraceBursts: [] as number[],
  condition: [] as number[],
  captureBursts: [] as number[],
};
{
  await using loop = await startLoop(program);
  await loop.run(calls);
  for (let i = 0; i < rounds; i++) {
    results.none.push((await loop.run(calls)).cpuNs / calls);
    const { steady, bursts: inBursts } = await underBpftrace(loop);
    results.bpftrace.push(steady);
    results.bpftraceBursts.push(...inBursts);
    results.condition.push(await underFalseCondition(loop));
    results.captureBursts.push(...(await underCapture(loop)));
  }
}
await using loop = await startLoop(program);
const gdb = await underGdb(loop);
const [none, empty, condition] = [median(results.none), median(results.bpftrace), median(results.condition)];
const [emptyBursts, captureBursts] = [median(results.bpftraceBursts), median(results.captureBursts)];
const [emptyBest, captureBest] = [best(results.bpftraceBursts), best(results.captureBursts)];
report('hit-cost', {
  'ns a call': {
    'no probe': none,
    'bpftrace, empty': empty,
    'false condition': condition,
    'bpftrace, empty, in bursts': emptyBursts,
    'capture, in bursts': captureBursts,
    'bpftrace, empty, in bursts, best tenth': emptyBest,
    'capture, in bursts, best tenth': captureBest,
    'gdb, conditional': gdb,
  },
  ratios: {
    'false condition / bpftrace empty (at most 1.15)': (condition - none) / (empty - none),
    'gdb conditional / false condition (at least 200)': (gdb - none) / (condition - none),
    'capture (registers, 16 KiB of stack, 10 reads) / bpftrace empty (at most 5)':
      (captureBursts - none) / (emptyBursts - none),
    'the same, best tenth of each': (captureBest - none) / (emptyBest - none),
  },
});
process.exit(0);
