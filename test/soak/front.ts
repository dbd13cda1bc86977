/**
 * The front of an agent, as far as tracers go, that is to be killed: has its tracer copy, stop or arm the process again and again. Arguments: what, the process, a
 * folder to write into. Says first how much of its time that is, in percent, and the number of its tracer.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TracerSupervisor } from '../../agent/tracer/supervisor.js';
import { toStillframeError } from '../../format/error.js';
import { planFor } from '../agent/engines/ptrace/target.js';
import type { Work } from './engine-kills.js';

const [work = 'stops', target = '', folder = ''] = process.argv.slice(2) as [Work?, string?, string?];
const pid = Number(target);
const tracer = new TracerSupervisor({ journalFolder: join(folder, 'journal') });
const never = Uint8Array.of(0x30);
const functions = { points: ['work'], software: ['work', 'second', 'third', 'fourth', 'fifth'] };
const rehearsals = 3;
const armedMs = 3;

/** Nanoseconds that threads stood still. */
async function copy(): Promise<number> {
  const file = join(folder, `${process.pid}.core`);
  const order = { pid, file, maxBytes: 2 ** 32, snapshot: '0t3k00000000', host: 'here' };
  const made = await tracer.core({ ...order, engine: 'fork' }, () => undefined);
  rmSync(file);
  return made.stoppedNs;
}

async function stop(): Promise<number> {
  const request = { pid, tids: [], stackBytes: 4096, maxBytes: 1 << 20, engine: 'ptrace' as const };
  return (await tracer.now(request)).capture.cost.stoppedNs;
}

/** Nanoseconds from arming to the end of it. */
async function arm(which: 'points' | 'software'): Promise<number> {
  const beganNs = process.hrtime.bigint();
  const plan = planFor(functions[which], never);
  const request = { pointId: 'p', pid, plan, engine: 'ptrace' as const, maxHits: 1, minIntervalNs: 0n };
  await tracer.arm({ ...request, countOnly: true });
  await sleep(armedMs);
  await tracer.disarm('p', pid);
  return Number(process.hrtime.bigint() - beganNs);
}

async function next(): Promise<number> {
  try {
    if (work === 'copies') return await copy();
    return work === 'stops' ? await stop() : await arm(work);
  } catch (error) {
    // On a machine with other work a thread may not stop in time, and nothing is done then.
    if (toStillframeError(error).code === 'limit') return 0;
    throw error;
  }
}

async function main(): Promise<void> {
  const tracerPid = await tracer.start();
  let began = process.hrtime.bigint();
  let heldNs = 0;
  for (let i = 0; i < rehearsals; i++) {
    // The first one compiles.
    if (i === 1) {
      began = process.hrtime.bigint();
      heldNs = 0;
    }
    heldNs += await next();
  }
  const percent = (100 * heldNs) / Number(process.hrtime.bigint() - began);
  process.stdout.write(`${percent.toFixed(0)} ${tracerPid}\n`);
  for (;;) await next();
}

void main();
