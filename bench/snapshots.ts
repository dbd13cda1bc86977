/**
 * Snapshots as fast as they come: ten thousand a second by one thread, each with registers, 4 KiB of stack and a range behind a pointer, through the ring buffer to who
 * receives them. What is lost is counted: every hit is either received or told as dropped.
 *
 * usage: node dist/bench/snapshots.js [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { uprobeEngine } from '../agent/engines/uprobe/engine.js';
import { ByteWriter } from '../format/bytes.js';
import { DW_OP } from '../format/dwarf-op/opcodes.js';
import { buildIdOf, symbolAddress } from './binary.js';
import { startLoop } from './loop.js';
import { compileBenchProgram, report } from './measure.js';

const perSecond = 10_000;
const seconds = 5;
/** Turns a second: the thread rests between them. */
const turns = 100;

const flags = ['-g', '-O2', '-pie', '-fPIE', '-Wl,--build-id=sha1'];
const program = compileBenchProgram('probe-lab/loop.c', flags);
const address = symbolAddress(program, 'handle');
/** What rdi points to. */
const order = new ByteWriter().u8(DW_OP.DW_OP_breg5).sleb(0).finish();
const length = new ByteWriter().u8(DW_OP.DW_OP_lit0 + 16).finish();

interface Outcome {
  readonly received: number;
  readonly dropped: number;
  readonly perSecond: number;
}

/** `calls` at a time, `times` times, at most `turns` times a second. */
async function shoot(calls: number, times: number): Promise<Outcome> {
  await using loop = await startLoop(program);
  let received = 0;
  const range = { address: order, length, maxBytes: 64, untilNul: false, path: 'order', children: [] };
  const site = { linkAddress: address, fileOffset: Number(address), function: 'handle', inlined: false };
  const point = await uprobeEngine().arm?.(
    {
      pointId: 'bench',
      pid: loop.pid,
      plan: {
        version: 1,
        module: { buildId: buildIdOf(program), path: program },
        stackBytes: 4096,
        maxBytes: 8192,
        request: { location: 'handle', captures: [] },
        sites: [{ ...site, ranges: [{ ...range, secret: false }] }],
      },
      maxHits: 0x7fff_ffff,
      minIntervalNs: 0n,
      countOnly: false,
      forced: false,
    },
    { hit: () => received++, ended: () => undefined },
  );
  if (point === undefined) throw new Error('the uprobe engine has no points');
  const begin = performance.now();
  for (let i = 0; i < times; i++) {
    await loop.run(calls);
    const aheadMs = (i + 1) * (1000 / turns) - (performance.now() - begin);
    if (aheadMs > 0) await sleep(aheadMs);
  }
  const tookMs = performance.now() - begin;
  await point.disarm();
  const { hits, dropped } = point.counters();
  const all = calls * times;
  if (hits !== BigInt(all)) throw new Error(`${hits} of ${all} hits were counted`);
  if (BigInt(received) + dropped !== hits)
    throw new Error(`${hits} hits, ${received} received and ${dropped} dropped`);
  return { received, dropped: Number(dropped), perSecond: (1000 * all) / tookMs };
}

const paced = await shoot(perSecond / turns, turns * seconds);
const burst = await shoot(20_000, 5);
report('snapshots', {
  'ten thousand a second for five seconds': {
    'hits a second': paced.perSecond,
    received: paced.received,
    'told as dropped (wanted: 0)': paced.dropped,
  },
  'as fast as one thread can, 100,000 hits': {
    'hits a second': burst.perSecond,
    received: burst.received,
    'told as dropped': burst.dropped,
  },
});
process.exit(0);
