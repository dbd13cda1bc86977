/** Hits of the ptrace engine that bring something: how long the thread stands still for each, and what a call takes with one, beside a breakpoint of gdb whose commands print the same bytes. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TracerSupervisor } from '../agent/tracer/supervisor.js';
import type { Capture } from '../format/capture.js';
import { ByteWriter } from '../format/bytes.js';
import { DW_OP } from '../format/dwarf-op/opcodes.js';
import type { Plan, PlanRange } from '../format/plan/plan.js';
import { buildIdOf, symbolAddress } from './binary.js';
import { type Loop, startLoop } from './loop.js';
import { median } from './machine.js';
import { ended } from './under-gdb.js';

const hits = 3000;
/** The first find code that has hardly run. */
const warmUp = 200;
const gdbHits = 30;
const gdbAttachMs = 3000;
const redZoneBytes = 128;
const us = 1000;

/** `order->items[0]` to `[9]`, with the sixteen bytes that each leads to. */
const items: readonly PlanRange[] = Array.from({ length: 10 }, (_, i) => ({
  path: `*order->items[${i}]`,
  address: new ByteWriter()
    .u8(DW_OP.DW_OP_breg5)
    .sleb(24 + 8 * i)
    .u8(DW_OP.DW_OP_deref)
    .finish(),
  length: Uint8Array.of(DW_OP.DW_OP_lit16),
  maxBytes: 16,
  untilNul: false,
  secret: false,
  children: [],
}));

/** With more than four addresses breakpoints are those of software. */
const sets: Readonly<Record<string, readonly string[]>> = {
  'hardware breakpoint': ['handle'],
  int3: ['handle', 'main', '_start', '_init', '_fini'],
};
const captures: Readonly<Record<string, { stackBytes: number; ranges: readonly PlanRange[] }>> = {
  '4 KiB of stack': { stackBytes: 4096, ranges: [] },
  '16 KiB of stack and 10 reads through pointers': { stackBytes: 16_384, ranges: items },
};

function planAt(
  program: string,
  names: readonly string[],
  { stackBytes, ranges }: { stackBytes: number; ranges: readonly PlanRange[] },
): Plan {
  return {
    version: 1,
    module: { buildId: buildIdOf(program), path: program },
    stackBytes,
    maxBytes: 65_536,
    request: { location: 'handle', captures: [] },
    sites: names.map((name) => {
      const address = symbolAddress(program, name);
      return {
        linkAddress: address,
        fileOffset: Number(address),
        function: name,
        inlined: false,
        ranges,
      };
    }),
  };
}

/** Where hits are told. */
export interface HitListener {
  onHit: (capture: Capture) => void;
}

async function underPtrace(
  loop: Loop,
  plan: Plan,
  { tracer, heard }: { readonly tracer: TracerSupervisor; readonly heard: HitListener },
): Promise<{ stopped: number[]; wallNs: number }> {
  const stopped: number[] = [];
  heard.onHit = ({ threads, missing }) => {
    if (missing.length > 0) throw new Error(`missing: ${missing[0]?.detail}`);
    stopped.push((threads[0]?.stoppedNs ?? Number.NaN) / us);
  };
  const point = { pointId: 'delivered', pid: loop.pid, plan, maxHits: 1_000_000, minIntervalNs: 0n };
  await tracer.arm({ ...point, engine: 'ptrace' });
  await loop.run(warmUp);
  const { wallNs } = await loop.run(hits);
  await tracer.disarm('delivered', loop.pid);
  if (stopped.length !== hits + warmUp) throw new Error(`${stopped.length} of ${hits} hits came`);
  return { stopped: stopped.slice(warmUp), wallNs: wallNs / hits };
}

async function underGdb(loop: Loop, stackBytes: number, reads: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-bench-'));
  try {
    const print = Array.from({ length: reads }, (_, i) => `x/2xg ((long **)$rdi)[${3 + i}]`);
    const script = join(folder, 'commands');
    const commands = ['silent', 'info registers', `x/${stackBytes / 8}xg $rsp-${redZoneBytes}`, ...print];
    writeFileSync(
      script,
      [
        'set pagination off',
        'break *handle',
        'commands',
        ...commands,
        'continue',
        'end',
        'continue',
        '',
      ].join('\n'),
    );
    const child = spawn('gdb', ['-nx', '-batch', '-p', String(loop.pid), '-x', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.stdout.on('data', () => undefined);
    await sleep(gdbAttachMs);
    const { wallNs } = await loop.run(gdbHits);
    await ended(child);
    return wallNs / gdbHits;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function summary(name: string, values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    [`${name}, stopped, us`]: median(sorted),
    [`${name}, stopped, us, p99`]: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
    [`${name}, stopped, us, most`]: sorted.at(-1) ?? Number.NaN,
  };
}

/** Tables by what a hit brings. `heard` is told of the hits of `tracer`. */
export async function measureDelivered(
  program: string,
  means: { readonly tracer: TracerSupervisor; readonly heard: HitListener },
): Promise<Record<string, Record<string, number>>> {
  const tables: Record<string, Record<string, number>> = {};
  await using loop = await startLoop(program);
  for (const [what, capture] of Object.entries(captures)) {
    const rows: Record<string, number> = {};
    for (const [name, places] of Object.entries(sets)) {
      const { stopped, wallNs } = await underPtrace(loop, planAt(program, places, capture), means);
      Object.assign(rows, summary(name, stopped), { [`${name}, a call, us`]: wallNs / us });
    }
    const gdbNs = await underGdb(loop, capture.stackBytes, capture.ranges.length);
    rows['gdb that prints the same, a call, us'] = gdbNs / us;
    tables[`a hit with ${what}`] = rows;
  }
  return tables;
}
