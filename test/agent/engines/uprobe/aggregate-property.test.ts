/**
 * Metrics in the kernel against the reference: random aggregates, conditions and groups over random states of a real process, at a real
 * uprobe. Every hit is somewhere: in a group, in the rest, or among the unreadable.
 */
import { expect, test } from 'vitest';
import { attachWays } from '../../../../agent/engines/uprobe/attach.js';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import {
  type AggregateTotals,
  Aggregator,
  nameOfKey,
  type PlanAggregate,
  type SiteAggregate,
} from '../../../../format/plan/aggregate.js';
import { decodePlan, encodePlan } from '../../../../format/plan/encode.js';
import { listPlan } from '../../../../format/plan/list.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { runPlanSite, runSiteAggregate } from '../../../../format/plan/run.js';
import { verifyPlan } from '../../../../format/plan/verify.js';
import { pageBytes, regionPages, regionStart, startLab, symbolAddress } from './lab.js';
import { testSeed } from '../../../support/seed.js';
import { Random, RandomExpressions } from './random-plan.js';
import { pointers, randomMemory, randomState, registersOf } from './random-state.js';

const statesPerPlan = 40;
const plans = Number(process.env['STILLFRAME_PLANS'] ?? 40);

test(`${plans} random aggregates at ${statesPerPlan} random states add up to what the reference does`, async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  const states = Array.from({ length: statesPerPlan * plans }, () => randomState(random));
  await using lab = await startLab(states, randomMemory(random));
  using memory = new ProcessMemory(lab.pid);
  const probed = symbolAddress(lab.path, 'probed');
  const expressions = new RandomExpressions(random, {
    regionStart,
    regionBytes: regionPages * pageBytes,
    linkAddress: symbolAddress(lab.path, 'global_numbers'),
    pointers,
  });
  const engines = attachWays().map((way) => uprobeEngine([way]));
  let added = 0n;
  let grouped = 0;
  for (let i = 0; i < plans; i++) {
    const { aggregate, own } = randomAggregate(random, expressions);
    const made: Plan = {
      version: 2,
      module: { buildId: lab.buildId, path: lab.path },
      stackBytes: 0,
      maxBytes: 1,
      request: { location: '*probed', captures: [], metric: 'random' },
      aggregate,
      sites: [
        {
          linkAddress: probed,
          fileOffset: Number(probed),
          function: 'run_state',
          inlined: false,
          ...(random.chance(40) ? { condition: expressions.value(12, false) } : {}),
          ranges: [],
          aggregate: own,
        },
      ],
    };
    verifyPlan(made);
    const plan = decodePlan(encodePlan(made));
    expect(plan).toEqual(made);
    const request = { pointId: `${i}`, pid: lab.pid, plan, maxHits: 1, minIntervalNs: 0n };
    const point = await engines[i % engines.length]?.arm?.(
      { ...request, countOnly: true, forced: false },
      { hit: () => expect.unreachable(), ended: (reason) => expect(reason).toBe('still armed') },
    );
    const [site] = plan.sites;
    const [address] = point?.addresses ?? [];
    if (point === undefined || site === undefined || address === undefined) throw new Error('not armed');
    const aggregator = new Aggregator(aggregate);
    for (const state of states.slice(i * statesPerPlan, (i + 1) * statesPerPlan)) {
      const at = { registers: registersOf(state, address), memory, maxBytes: 0 };
      if (runPlanSite(site, at).hit) aggregator.add(runSiteAggregate(site, aggregate, at));
    }
    await lab.step(statesPerPlan);
    await point.disarm();
    const counters = point.counters();
    const describe = `seed ${seed}, plan ${i}:\n${listPlan(plan)}`;
    const totals = counters.aggregate;
    if (totals === undefined) throw new Error('nothing was added up');
    expect(textOf(totals), describe).toEqual(textOf(aggregator.totals()));
    expect(counters.hits, describe).toBe(BigInt(statesPerPlan));
    const all = totals.groups.reduce((sum, { count }) => sum + count, totals.rest.count) + totals.unreadable;
    expect(all, describe).toBe(counters.hits - counters.conditionFalse - counters.faults);
    added += all - totals.unreadable;
    grouped += totals.groups.length;
  }
  console.log(`${added} hits of ${statesPerPlan * plans} added up, ${grouped} groups`);
  // By chance few conditions hold, or most groups are one.
  expect(added).toBeGreaterThan((statesPerPlan * plans) / 40);
  expect(grouped).toBeGreaterThan(plans / 10);
}, 300_000);

function randomAggregate(
  random: Random,
  expressions: RandomExpressions,
): { aggregate: PlanAggregate; own: SiteAggregate } {
  const kind = random.of(['count', 'sum', 'histogram'] as const);
  const signed = kind !== 'count' && random.chance(50);
  const linear = {
    kind: 'linear',
    base: signed && random.chance(50) ? BigInt.asIntN(64, random.interesting()) : BigInt(random.below(50)),
    width: random.chance(50) ? BigInt(1 + random.below(10)) : BigInt.asUintN(63, random.interesting()) || 1n,
    count: 1 + random.below(20),
  } as const;
  const buckets = random.chance(50) ? ({ kind: 'log2' } as const) : linear;
  const grouping = random.of(['none', 'number', 'text', 'counted'] as const);
  const group =
    grouping === 'number'
      ? ({ kind: grouping } as const)
      : ({ kind: 'text', maxBytes: random.of([1, 5, 30, 31, 128]) } as const);
  const expression = (): Uint8Array => expressions.value(random.chance(20) ? 60 : 3, false);
  return {
    aggregate: {
      kind,
      signed,
      ...(kind === 'histogram' ? { buckets } : {}),
      ...(grouping === 'none' ? {} : { group }),
      maxGroups: random.of([1, 3, 100]),
    },
    own: {
      ...(kind === 'count' ? {} : { value: expression() }),
      ...(grouping === 'none'
        ? {}
        : { group: grouping === 'number' ? expression() : expressions.address(1, false) }),
      ...(grouping === 'counted' ? { groupLength: expressions.length(40) } : {}),
    },
  };
}

/** Groups in the order of their names: the kernel has none. */
function textOf({ rest, groups, unreadable }: AggregateTotals): unknown {
  const cell = ({ count, sum, buckets }: typeof rest): string =>
    `${count} ${sum} ${buckets.map(([bucket, hits]) => `${bucket}:${hits}`).join(' ')}`;
  const named = groups.map((group) => `${nameOfKey(group.key)} ${cell(group)}`);
  return { rest: cell(rest), groups: named.toSorted(), unreadable };
}
