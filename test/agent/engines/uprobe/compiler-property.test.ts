/**
 * The eBPF compiler against the reference interpreter: random plans over random states of a real process. The compiled programs run in the
 * kernel at a real uprobe; the interpreter reads the same memory through /proc.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { attachWays } from '../../../../agent/engines/uprobe/attach.js';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import { runPlanSite } from '../../../../format/plan/run.js';
import { verifyPlan } from '../../../../format/plan/verify.js';
import { listPlan } from '../../../../format/plan/list.js';
import type { Capture, MissingRange } from '../../../../format/capture.js';
import { flattenRanges, type Plan, type PlanRange } from '../../../../format/plan/plan.js';
import { pageBytes, regionPages, regionStart, startLab, symbolAddress } from './lab.js';
import { testSeed } from '../../../support/seed.js';
import { Random, RandomExpressions } from './random-plan.js';
import { pointers, randomMemory, randomState, registersOf } from './random-state.js';

const statesPerPlan = 40;
const plans = Number(process.env['STILLFRAME_PLANS'] ?? 60);
const rangesPerPlan = 40;

test(`${plans} random plans at ${statesPerPlan} random states bring what the interpreter brings`, async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  const states = Array.from({ length: statesPerPlan * plans }, () => randomState(random));
  await using lab = await startLab(states, randomMemory(random));
  using memory = new ProcessMemory(lab.pid);
  const probed = symbolAddress(lab.path, 'probed');
  const expressions = new RandomExpressions(random, {
    regionStart: regionStart,
    regionBytes: regionPages * pageBytes,
    linkAddress: symbolAddress(lab.path, 'global_numbers'),
    pointers,
  });
  const engines = attachWays().map((way) => uprobeEngine([way]));
  let compared = 0;
  let hits = 0;
  let repeated = 0;
  for (let i = 0; i < plans; i++) {
    const ranges = expressions.ranges(rangesPerPlan, 0, i % 2 === 0 ? 25 : 0);
    const plan: Plan = {
      version: flattenRanges(ranges).some(({ range }) => range.repeat !== undefined) ? 3 : 1,
      module: { buildId: lab.buildId, path: lab.path },
      stackBytes: random.of([0, 64, 4096, 10_000]),
      maxBytes: random.of([20_000, 65_536, 12_000]),
      request: { location: '*probed', captures: [] },
      sites: [
        {
          linkAddress: probed,
          fileOffset: Number(probed),
          function: 'run_state',
          inlined: false,
          ...(random.chance(80) ? { condition: expressions.value(12, false) } : {}),
          ranges,
        },
      ],
    };
    verifyPlan(plan);
    const captures: Capture[] = [];
    const point = await engines[i % engines.length]?.arm?.(
      {
        pointId: `${i}`,
        pid: lab.pid,
        plan,
        maxHits: 1000,
        minIntervalNs: 0n,
        countOnly: false,
        forced: false,
      },
      { hit: (capture) => captures.push(capture), ended: (reason) => expect(reason).toBe('still armed') },
    );
    if (point === undefined) throw new Error('the engine has no points');
    const [site] = plan.sites;
    const [address] = point.addresses;
    if (site === undefined || address === undefined) throw new Error('the plan has no site');
    const mine = states.slice(i * statesPerPlan, (i + 1) * statesPerPlan);
    const results = mine.map((state) => {
      const registers = registersOf(state, address);
      const state_ = { registers, memory, maxBytes: Math.max(0, plan.maxBytes - plan.stackBytes) };
      return { state, registers, result: runPlanSite(site, state_) };
    });
    for (let done = 8; done <= statesPerPlan; done += 8) {
      await lab.step(8);
      // No more than the ring holds: what it drops could not be compared.
      const wanted = results.slice(0, done).filter(({ result }) => result.hit).length;
      await arrived(() => captures.length >= wanted && point.counters().hits >= BigInt(done));
    }
    await point.disarm();
    const expected = results.filter(({ result }) => result.hit);
    const { hits: all, conditionFalse, dropped } = point.counters();
    const describe = `seed ${seed}, plan ${i}:\n${listPlan(plan)}`;
    expect({ all, conditionFalse, dropped, delivered: captures.length }, describe).toEqual({
      all: BigInt(statesPerPlan),
      conditionFalse: BigInt(results.filter(({ result }) => !result.hit && result.faults === 0).length),
      dropped: 0n,
      delivered: expected.length,
    });
    captures.forEach((capture, hit) => {
      const wanted = expected[hit];
      if (wanted === undefined) throw new Error('more captures than hits');
      const where = `hit ${hit} of ${describe}`;
      expect(Buffer.from(capture.threads[0]?.registers ?? []).subarray(0, 120), where).toEqual(
        Buffer.from(wanted.registers).subarray(0, 120),
      );
      const own = (path: string): boolean => !path.startsWith('stack of');
      expect(capture.ranges.filter(({ path }) => own(path)).map(textOfRange), where).toEqual(
        wanted.result.ranges.map(textOfRange),
      );
      expect(capture.missing.filter(({ path }) => own(path)).map(textOfMissing), where).toEqual(
        wanted.result.missing.map(textOfMissing),
      );
      repeated += itemsOf(ranges, wanted.result.ranges);
      compared += wanted.result.ranges.length + wanted.result.missing.length;
    });
    hits += captures.length;
  }
  console.log(
    `${hits} hits of ${statesPerPlan * plans}, ${compared} ranges compared, ${repeated} of them items`,
  );
  expect(repeated).toBeGreaterThan(hits);
  expect(hits).toBeGreaterThan((statesPerPlan * plans) / 10);
}, 300_000);

/** How many ranges came that only a repeat can have brought: more of a path than a plan has. */
function itemsOf(planned: readonly PlanRange[], came: readonly { readonly path: string }[]): number {
  const once = flattenRanges(planned).map(({ range }) => range.path);
  const count = (paths: readonly string[], path: string): number =>
    paths.filter((each) => each === path).length;
  const all = came.map(({ path }) => path);
  return [...new Set(all)].reduce((sum, path) => sum + Math.max(0, count(all, path) - count(once, path)), 0);
}

/** Gives up after a time that only a hit which never comes takes; what is compared then says which. */
async function arrived(all: () => boolean): Promise<void> {
  for (let i = 0; i < 30_000 && !all(); i++) await sleep(2);
}

const textOfRange = (range: { path: string; address: bigint; bytes: Uint8Array }): string =>
  `${range.path} at ${range.address.toString(16)}: ${Buffer.from(range.bytes).toString('hex')}`;

/** Details of unreadable memory differ: the interpreter knows the first missing byte, the kernel only that there is one. */
function textOfMissing(missing: MissingRange): string {
  if (missing.reason === 'unreadable') return `${missing.path}: unreadable`;
  const { path, address, length, reason, detail } = missing;
  return `${path}: ${reason} at ${address?.toString(16) ?? ''} of ${length ?? ''}: ${detail}`;
}
