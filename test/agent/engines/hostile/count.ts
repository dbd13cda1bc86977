import { setTimeout as sleep } from 'node:timers/promises';
import type { PointCounters } from '../../../../agent/engines/engine.js';
import type { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { buildIdOf, symbolAddress } from '../uprobe/lab.js';
import { hostileProgram } from './target.js';

/** At `work`, which the program passes all the time. */
function workPlan(): Plan {
  const linkAddress = symbolAddress(hostileProgram, 'work');
  return {
    version: 1,
    module: { buildId: buildIdOf(hostileProgram), path: hostileProgram },
    sites: [{ linkAddress, fileOffset: Number(linkAddress), function: 'work', inlined: false, ranges: [] }],
    stackBytes: 0,
    maxBytes: 64,
    request: { location: 'work', captures: [] },
  };
}

/** Arms, waits for as many hits, disarms, and gives the last counters. Throws what arming throws. */
export async function armAndCount(
  tracer: TracerSupervisor,
  pid: number,
  engine: 'uprobe' | 'ptrace',
  hits = 1n,
): Promise<PointCounters> {
  const pointId = `${engine} of ${pid}`;
  const request = { pointId, pid, plan: workPlan(), engine, countOnly: true, maxHits: 1, minIntervalNs: 0n };
  await tracer.arm(request);
  const count = async (): Promise<bigint> => (await tracer.counters([pointId]))[0]?.counters.hits ?? 0n;
  while ((await count()) < hits) await sleep(10);
  const last = await tracer.disarm(pointId, pid);
  if (last === undefined) throw new Error('the point ended by itself');
  return last;
}
