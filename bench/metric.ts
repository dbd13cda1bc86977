/**
 * What a metric costs a hit, against bpftrace's `count()` and `hist()` at the same address of the same process, in turns; and whether a second of
 * hits as fast as they come is counted exactly. Prints ratios.
 *
 * usage: node dist/bench/metric.js [--json]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { uprobeEngine } from '../agent/engines/uprobe/engine.js';
import { ByteWriter } from '../format/bytes.js';
import { DW_OP } from '../format/dwarf-op/opcodes.js';
import type { PlanAggregate, SiteAggregate } from '../format/plan/aggregate.js';
import { buildIdOf, symbolAddress } from './binary.js';
import { type Loop, startLoop } from './loop.js';
import { median } from './machine.js';
import { compileBenchProgram, report } from './measure.js';

const rounds = 7;
const calls = 200_000;

const flags = ['-g', '-O2', '-pie', '-fPIE', '-Wl,--build-id=sha1'];
const program = compileBenchProgram('probe-lab/loop.c', flags);
const address = symbolAddress(program, 'handle');

/** `order->total`: the second word of what rdi points to. */
const total = new ByteWriter().u8(DW_OP.DW_OP_breg5).sleb(8).u8(DW_OP.DW_OP_deref).finish();

const metrics: Readonly<Record<string, readonly [PlanAggregate, SiteAggregate]>> = {
  count: [{ kind: 'count', signed: false, maxGroups: 1 }, {}],
  histogram: [{ kind: 'histogram', signed: true, buckets: { kind: 'log2' }, maxGroups: 1 }, { value: total }],
  'count by': [
    { kind: 'count', signed: false, group: { kind: 'number' }, maxGroups: 1000 },
    { group: total },
  ],
};
const peers: Readonly<Record<string, string>> = {
  count: '@ = count();',
  histogram: '@ = hist(*(int64 *)(arg0 + 8));',
  'count by': '@[*(int64 *)(arg0 + 8)] = count();',
};

/** Nanoseconds of the thread's own time a call, and of the clock. */
async function underMetric(loop: Loop, name: string): Promise<{ cpuNs: number; wallNs: number }> {
  const [aggregate, own] = metrics[name] ?? [];
  if (aggregate === undefined || own === undefined) throw new Error(`no metric ${name}`);
  const site = { linkAddress: address, fileOffset: Number(address), function: 'handle', inlined: false };
  const point = await uprobeEngine().arm?.(
    {
      pointId: 'bench',
      pid: loop.pid,
      plan: {
        version: 2,
        module: { buildId: buildIdOf(program), path: program },
        stackBytes: 0,
        maxBytes: 1,
        request: { location: 'handle', captures: [] },
        aggregate,
        sites: [{ ...site, ranges: [], aggregate: own }],
      },
      maxHits: 1,
      minIntervalNs: 0n,
      countOnly: true,
      forced: false,
    },
    { hit: () => undefined, ended: () => undefined },
  );
  if (point === undefined) throw new Error('the uprobe engine has no points');
  const { cpuNs, wallNs } = await loop.run(calls);
  await point.disarm();
  const totals = point.counters().aggregate;
  const counted = totals?.groups.reduce((sum, { count }) => sum + count, totals.rest.count);
  if (counted !== BigInt(calls)) throw new Error(`${name}: ${counted} of ${calls} hits were counted`);
  return { cpuNs: cpuNs / calls, wallNs: wallNs / calls };
}

async function underBpftrace(loop: Loop, name: string): Promise<number> {
  const script = `BEGIN { printf("ready\\n"); } uprobe:${program}:handle { ${peers[name] ?? ''} }`;
  const child = spawn('bpftrace', ['-e', script, '-p', String(loop.pid)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  await sleep(300);
  const { cpuNs } = await loop.run(calls);
  const exit = once(child, 'exit');
  child.kill('SIGINT');
  const forced = setTimeout(() => child.kill('SIGKILL'), 3000);
  await exit;
  clearTimeout(forced);
  return cpuNs / calls;
}

const none: number[] = [];
const ours = new Map<string, number[]>();
const theirs = new Map<string, number[]>();
let fastest = 0;
await using loop = await startLoop(program);
await loop.run(calls);
for (let i = 0; i < rounds; i++) {
  none.push((await loop.run(calls)).cpuNs / calls);
  for (const name of Object.keys(metrics)) {
    const { cpuNs, wallNs } = await underMetric(loop, name);
    ours.set(name, [...(ours.get(name) ?? []), cpuNs]);
    fastest = Math.max(fastest, 1e9 / wallNs);
    theirs.set(name, [...(theirs.get(name) ?? []), await underBpftrace(loop, name)]);
  }
}
const base = median(none);
const own = (name: string): number => median(ours.get(name) ?? []);
const other = (name: string): number => median(theirs.get(name) ?? []);
const each = (row: (name: string) => readonly (readonly [string, number])[]): Record<string, number> =>
  Object.fromEntries(Object.keys(metrics).flatMap(row));
report('metric', {
  'ns a call': {
    'no probe': base,
    ...each((name) => [
      [name, own(name)],
      [`bpftrace, ${name}`, other(name)],
    ]),
  },
  ratios: each((name) => [[`${name} / bpftrace's`, (own(name) - base) / (other(name) - base)]]),
  'hits a second of one thread, each counted': { 'in the fastest round': fastest },
});
process.exit(0);
