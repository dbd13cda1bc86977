/**
 * What the ptrace engine costs a process: how long threads stand still for their registers and stacks, beside a program of C that does the same and
 * eu-stack (the whole of it; gaps are what the threads see), and what a hit with a false condition costs by both kinds of breakpoints, beside a program of C that does the same and gdb's;
 * and how long a thread stands still for a hit that brings something, beside gdb printing the same.
 * In one run, in turns.
 *
 * usage: node dist/bench/ptrace.js [--json]
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { TracerSupervisor } from '../agent/tracer/supervisor.js';
import { ByteWriter } from '../format/bytes.js';
import { DW_OP } from '../format/dwarf-op/opcodes.js';
import type { Plan } from '../format/plan/plan.js';
import { buildIdOf, symbolAddress } from './binary.js';
import { type HitListener, measureDelivered } from './delivered.js';
import { median } from './machine.js';
import { best, compileBenchProgram, report } from './measure.js';
import { startLoop, type Loop } from './loop.js';
import { underGdb } from './under-gdb.js';

const rounds = 4;
const stopsEach = 8;
const calls = 10_000;
const hitRounds = 5;
// NB: a process of its own, for Node takes the stops of its own children.
const tracer = new TracerSupervisor();
const heard: HitListener = { onHit: () => undefined };
tracer.listen({
  hit: (_, { capture }) => heard.onHit(capture),
  ended: () => undefined,
  restarted: () => undefined,
});
const us = 1000;

const sleepers = compileBenchProgram('probe-lab/sleepers.c', ['-g', '-O1']);
const reference = compileBenchProgram('probe-lab/stop.c', ['-O2']);
const falseHits = compileBenchProgram('probe-lab/false-hits.c', ['-O2']);
const looping = compileBenchProgram('probe-lab/loop.c', [
  '-g',
  '-O2',
  '-pie',
  '-fPIE',
  '-Wl,--build-id=sha1',
]);

async function measureStops(threads: number, stackBytes: number): Promise<Record<string, number>> {
  await using target = await startLoop(sleepers, [String(threads - 1)]);
  const { pid } = target;
  const request = { pid, tids: [], stackBytes, maxBytes: 4 << 20, engine: 'ptrace' } as const;
  const ours: number[] = [];
  const inC: number[] = [];
  const euStack: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < stopsEach; i++) {
      const { capture } = await tracer.now(request);
      if (capture.threads.length !== threads) throw new Error('threads are missing');
      // One that had no processor to stop on in time is the machine's doing.
      if (capture.threads.every(({ absent }) => absent === undefined)) ours.push(capture.cost.stoppedNs / us);
    }
    const text = execFileSync(reference, [String(pid), String(stopsEach), String(stackBytes)], {
      encoding: 'utf8',
    });
    inC.push(
      ...text
        .trim()
        .split('\n')
        .map((line) => Number(line) / us),
    );
    const began = performance.now();
    const run = spawnSync('eu-stack', ['-q', '-n', '64', '-p', String(pid)]);
    if (run.status !== 0) throw new Error(`eu-stack: ${String(run.stderr)}`);
    euStack.push((performance.now() - began) * us);
  }
  return {
    'stopped, us': median(ours),
    'stopped, us, best tenth': best(ours),
    'the same in C, us': median(inC),
    'the same in C, us, best tenth': best(inC),
    'eu-stack, the whole of it, us': median(euStack),
    'stopped / in C': median(ours) / median(inC),
  };
}

/** `order->total > 10000`. */
const compared = new ByteWriter()
  .u8(DW_OP.DW_OP_breg5)
  .sleb(8)
  .u8(DW_OP.DW_OP_deref)
  .u8(DW_OP.DW_OP_constu)
  .uleb(10_000)
  .u8(DW_OP.DW_OP_gt)
  .finish();
/** `order->total * order->total > 1000000`, which the list of the wait cannot decide. */
const multiplied = new ByteWriter()
  .u8(DW_OP.DW_OP_breg5)
  .sleb(8)
  .u8(DW_OP.DW_OP_deref)
  .u8(DW_OP.DW_OP_dup)
  .u8(DW_OP.DW_OP_mul)
  .u8(DW_OP.DW_OP_constu)
  .uleb(1_000_000)
  .u8(DW_OP.DW_OP_gt)
  .finish();

/** Functions that are not called while calls are measured: with five addresses breakpoints are those of software. */
const others = ['main', '_start', '_init', '_fini'];

function neverTrue(names: readonly string[], condition: Uint8Array): Plan {
  return {
    version: 1,
    module: { buildId: buildIdOf(looping), path: looping },
    stackBytes: 0,
    maxBytes: 4096,
    request: { location: 'handle', captures: [] },
    sites: names.map((name) => {
      const address = symbolAddress(looping, name);
      return {
        linkAddress: address,
        fileOffset: Number(address),
        function: name,
        inlined: false,
        ranges: [],
        condition,
      };
    }),
  };
}

async function underPtrace(loop: Loop, plan: Plan): Promise<number> {
  const point = { pointId: 'bench', pid: loop.pid, plan, maxHits: 1, minIntervalNs: 0n };
  await tracer.arm({ ...point, engine: 'ptrace' });
  const { wallNs } = await loop.run(calls);
  const counters = await tracer.disarm('bench', loop.pid);
  if (counters === undefined || counters.conditionFalse < BigInt(calls)) {
    throw new Error(`only ${counters?.conditionFalse} of ${calls} hits were seen`);
  }
  return wallNs / calls;
}

async function underReference(loop: Loop, manner: 'signal' | 'int3'): Promise<number> {
  const base = BigInt(`0x${readFileSync(`/proc/${loop.pid}/maps`, 'utf8').split('-')[0] ?? ''}`);
  const address = (base + symbolAddress(looping, 'handle')).toString(16);
  const child = spawn(falseHits, [String(loop.pid), address, manner], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), exit]);
  if (child.exitCode !== null) throw new Error(`${falseHits} ended with ${child.exitCode}`);
  const { wallNs } = await loop.run(calls);
  child.kill('SIGTERM');
  const [code] = (await exit) as [number | null];
  if (code !== 0) throw new Error(`${falseHits} ended with ${code}`);
  return wallNs / calls;
}

const manners: Readonly<Record<string, (loop: Loop) => Promise<number>>> = {
  'hardware breakpoint': (loop) => underPtrace(loop, neverTrue(['handle'], compared)),
  'hardware breakpoint, in C': (loop) => underReference(loop, 'signal'),
  'hardware breakpoint, decided in TypeScript': (loop) =>
    underPtrace(loop, neverTrue(['handle'], multiplied)),
  int3: (loop) => underPtrace(loop, neverTrue(['handle', ...others], compared)),
  'int3, in C': (loop) => underReference(loop, 'int3'),
  'int3, decided in TypeScript': (loop) => underPtrace(loop, neverTrue(['handle', ...others], multiplied)),
  gdb: underGdb,
};

async function measureHits(): Promise<Record<string, number>> {
  await using loop = await startLoop(looping);
  const took: Record<string, number[]> = {};
  for (let round = 0; round < hitRounds; round++) {
    for (const [name, measure] of Object.entries(manners)) (took[name] ??= []).push(await measure(loop));
  }
  const rows: Record<string, number> = {};
  const gdb = took['gdb'] ?? [];
  for (const [name, times] of Object.entries(took)) {
    rows[`${name}, us`] = median(times) / us;
    rows[`${name}, us, best`] = Math.min(...times) / us;
  }
  for (const name of ['hardware breakpoint', 'int3']) {
    rows[`gdb / ${name} (at least 5)`] = median(gdb) / median(took[name] ?? []);
  }
  return rows;
}

report('ptrace', {
  'one thread, registers (at most 200 us)': await measureStops(1, 0),
  'five threads, registers and 16 KiB of stack each (at most 1000 us)': await measureStops(5, 16_384),
  'a hit whose condition is false': await measureHits(),
  ...(await measureDelivered(looping, { tracer, heard })),
});
process.exit(0);
