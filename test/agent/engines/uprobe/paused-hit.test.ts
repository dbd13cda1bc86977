/** A hit that sleeps in a read while another thread passes the same point on the same CPU: each has its own values. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { attachWays } from '../../../../agent/engines/uprobe/attach.js';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import type { Capture } from '../../../../format/capture.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { Plan, PlanRange } from '../../../../format/plan/plan.js';
import { compileFixture } from '../../../support/compile.js';
import { expression, sleb, uleb } from '../../../support/dwarf-expression.js';
import { requireFeature } from '../../../support/require-feature.js';
import { startProgram } from '../../../support/running-program.js';
import { buildIdOf, symbolAddress } from './lab.js';

/** What the first thread has in its registers and in its page, and the second. */
const first = { number: 0x1000, value: 0x200 };
const second = { number: 0x50000, value: 0x100 };

/** `number` so often, then what the pointer points to, all added up: `depth` values wait while the memory is read. */
function sum(depth: number): Uint8Array {
  return expression(
    ...Array.from({ length: depth }, () => expression(DW_OP.DW_OP_breg4, sleb(0))),
    DW_OP.DW_OP_breg5,
    sleb(0),
    DW_OP.DW_OP_deref,
    ...Array<number>(depth).fill(DW_OP.DW_OP_plus),
  );
}
const sumOf = ({ number, value }: typeof first, depth: number): number => depth * number + value;

function planOf(path: string, site: { condition?: Uint8Array; ranges: readonly PlanRange[] }): Plan {
  const address = symbolAddress(path, 'handle');
  return {
    version: 1,
    module: { buildId: buildIdOf(path), path },
    stackBytes: 0,
    maxBytes: 65_536,
    request: { location: 'handle', captures: [] },
    sites: [
      { linkAddress: address, fileOffset: Number(address), function: 'handle', inlined: false, ...site },
    ],
  };
}

function rangeAt(address: Uint8Array): PlanRange {
  const length = expression(DW_OP.DW_OP_lit8);
  return { path: 'sum', address, length, maxBytes: 8, untilNul: false, secret: false, children: [] };
}

const sleepable = attachWays()
  .filter((way) => way.sleepable)
  .map((way) => [way.name, way] as const);

describe.each(sleepable)('by %s', (_name, way) => {
  // The eBPF stack holds five values, beside the top; the rest is spilled.
  test.for([1, 5, 6, 9, 40])('%i values that wait', async (depth, context) => {
    const path = compileFixture('probe-lab/paused-hit.c', {
      cc: 'gcc',
      flags: ['-O2', '-pthread', '-pie', '-fPIE', '-Wl,--build-id=sha1'],
    });
    await using program = startProgram(path);
    const state = await program.nextLine();
    requireFeature(context, 'userfaultfd', state === 'ready' ? undefined : state);
    const round = async (site: Parameters<typeof planOf>[1], hits: number): Promise<Capture[]> => {
      const captures: Capture[] = [];
      const point = await uprobeEngine([way]).arm?.(
        {
          pointId: 'p',
          pid: program.pid,
          plan: planOf(path, site),
          maxHits: 10,
          minIntervalNs: 0n,
          countOnly: false,
          forced: false,
        },
        { hit: (capture) => captures.push(capture), ended: (end) => expect(end).toBe('still armed') },
      );
      program.child.stdin.write('round\n');
      expect(await program.nextLine()).toBe('done');
      for (let i = 0; i < 12_000 && captures.length < hits; i++) await sleep(5);
      await point?.disarm();
      expect(point?.counters()).toMatchObject({ hits: 2n, delivered: BigInt(hits), dropped: 0n });
      return captures;
    };

    const both = await round({ ranges: [rangeAt(sum(depth))] }, 2);
    const addresses = both.map(({ missing }) => Number(missing[0]?.address));
    expect(addresses).toEqual([sumOf(first, depth), sumOf(second, depth)]);

    const wanted = expression(DW_OP.DW_OP_constu, uleb(sumOf(first, depth)), DW_OP.DW_OP_eq);
    const [hit, ...others] = await round({ condition: expression(sum(depth), wanted), ranges: [] }, 1);
    expect(others).toEqual([]);
    const rsi = Buffer.from(hit?.threads[0]?.registers ?? []).readBigUInt64LE(13 * 8);
    expect(rsi).toBe(BigInt(first.number));
  });
});
