/**
 * Conditions from the text to the answer: planned, decided by the kernel's part, collected, and decided by the agent's on nothing but what was collected. Which part runs where,
 * and what neither decides.
 */
import { describe, expect, test } from 'vitest';
import { type PlannedPoint, planPoint, type PlanRequestOptions } from '../../../controller/planner/plan.js';
import { type Absent, isAbsent } from '../../../format/absent.js';
import { CapturedMemory } from '../../../format/decision/captured-memory.js';
import { decide } from '../../../format/decision/decide.js';
import { StillframeError } from '../../../format/error.js';
import { decodePlan, encodePlan } from '../../../format/plan/encode.js';
import { listPlan } from '../../../format/plan/list.js';
import { hasDecisions, withoutRanges } from '../../../format/plan/plan.js';
import { rangeBytes, runPlanSite } from '../../../format/plan/run.js';
import { verifyPlan } from '../../../format/plan/verify.js';
import { process, registersOfHit, symbols } from './view-process.js';

function planned(condition: string, more: Partial<PlanRequestOptions> = {}): PlannedPoint {
  return planPoint({
    symbols,
    modulePath: '/usr/bin/app',
    location: 'service.cc:12',
    stackBytes: 0,
    condition,
    ...more,
  });
}

/** As an agent does it with the plan that was sent to it. */
function decided(
  condition: string,
  more: Partial<PlanRequestOptions> = {},
): boolean | Absent | 'by the kernel' {
  const plan = decodePlan(encodePlan(planned(condition, more).plan));
  verifyPlan(plan);
  const [site] = plan.sites;
  if (site === undefined) throw new Error('no site');
  const registers = registersOfHit();
  const { hit, ranges, missing } = runPlanSite(site, {
    registers,
    memory: process,
    maxBytes: rangeBytes(plan),
  });
  if (!hit || site.decision === undefined) return hit ? 'by the kernel' : false;
  const memory = new CapturedMemory({ ranges, missing });
  return decide(site.decision, {
    registers,
    memory,
    linkAddress: site.linkAddress,
    pid: 100,
    tid: 101,
    comm: 'worker',
  });
}

const spelled = (result: ReturnType<typeof decided>): string =>
  isAbsent(result) ? `${result.absent}: ${result.detail}` : String(result);

describe('is decided on what was collected', () => {
  test.each<readonly [string, string]>([
    ['name.contains("somewhere")', 'true'],
    ['name.contains("nowhere")', 'false'],
    ['name.matches("^a .* else$")', 'true'],
    ['names[1].contains("second") && names[0] != names[1]', 'true'],
    ['names[0] == name', 'true'],
    ['names.contains("the second string, also elsewhere")', 'true'],
    ['some.value().matches("elsewhere$")', 'true'],
    ['none.has_value() && none.value().contains("x")', 'false'],
    ['shared->name.contains("else")', 'true'],
    ['numbers.contains(299)', 'true'],
    ['numbers.count(300) == 0', 'true'],
    ['list[1] == 2 && list.back() == 3', 'true'],
    ['list.contains(4)', 'false'],
    ['map["a string that is somewhere else"] == 1', 'true'],
    ['map["no such key"] == 1', 'unreadable: map["no such key"]: there is no such key among 2'],
    ['map.contains("the second string, also elsewhere")', 'true'],
    ['price * 2 == 25', 'true'],
    ['price + numbers[3] > 15.5', 'false'],
    ['(int)(price * 2) == 25 && numbers[1] == 1', 'true'],
    ['price * 2 == 25 || numbers[1] == 7', 'true'],
    ['$tid == 101 && $pid == 100 && $comm == "worker"', 'true'],
    ['broken.contains("x")', 'unreadable: broken is corrupt: it says a length of 1, which cannot be'],
    ['numbers[1] == 7 && name.contains("somewhere")', 'false'],
    ['numbers[1] == 1', 'by the kernel'],
  ])('%s', (condition, wanted) => {
    expect(spelled(decided(condition, { locals: false }))).toBe(wanted);
  });

  test('whatever else is captured', () => {
    const captures = ['names', 'numbers', 'chain', 'map', 'list'];
    expect(decided('name.contains("somewhere")', { captures, maxBytes: 4096 })).toBe(true);
  });
});

describe('is split at what joins its parts', () => {
  test('each part runs where it can, in its order', () => {
    const condition =
      'numbers[1] == 1 && price * 2 > 20 && (name.contains("x") || list[0] == 1) && numbers[2] == 2';
    const [site] = planned(condition).explanation.sites;
    expect(site?.condition).toMatchObject({
      text: condition,
      runsIn: 'kernel and agent',
      parts: [
        { text: 'numbers[1] == 1', runsIn: 'kernel' },
        {
          text: 'price * 2 > 20',
          runsIn: 'agent',
          reason: 'floating arithmetic cannot run in the kernel; only comparisons can',
        },
        {
          text: 'name.contains("x") || list[0] == 1',
          runsIn: 'agent',
          reason: '"contains" cannot run in the kernel; it needs a loop over the whole string',
        },
        { text: 'numbers[2] == 2', runsIn: 'kernel' },
      ],
    });
  });

  test('what the kernel decides as a whole stays there, and its plan has no decision', () => {
    const { plan, explanation } = planned('numbers[1] == 1 && price > 2');
    expect(hasDecisions(plan)).toBe(false);
    expect(plan.sites[0]?.decision).toBeUndefined();
    expect(explanation.sites[0]?.condition).toMatchObject({ runsIn: 'kernel' });
  });

  test('a plan with a decision says so in its version, in its list, and not to who only counts', () => {
    const { plan } = planned('price * 2 > 20');
    expect(plan).toMatchObject({ version: 3 });
    expect(plan.sites[0]?.condition).toBeUndefined();
    expect(listPlan(plan)).toContain('  if the agent finds\n    c0 = ');
    const counted = withoutRanges(plan);
    expect(counted.version).toBe(1);
    verifyPlan(counted);
  });

  test('candidates bring less of what nobody asked for', () => {
    const all = planned('numbers[1] == 1').explanation.sites[0]?.ranges.count ?? 0;
    const some = planned('numbers[1] == 1 && price * 2 > 20').explanation.sites[0]?.ranges.count ?? 0;
    expect(all).toBeGreaterThan(70);
    expect(some).toBeLessThanOrEqual(70);
  });
});

describe('is refused', () => {
  const where = 'at handle at 0x401010';
  test.each<readonly [string, string, Partial<PlanRequestOptions>]>([
    [
      '(long double)price * 2 > 1',
      'long double values are computed with neither in the kernel nor in the agent',
      {},
    ],
    ['(__int128)numbers[0] * 2 > 1', '128-bit integers cannot be computed with in the kernel', {}],
    [
      'name.contains("x")',
      '"contains" cannot run in the kernel; it needs a loop over the whole string; hits that are added up never leave the kernel',
      { metric: { kind: 'count' } },
    ],
  ])('%s', (condition, why, more) => {
    let message = '';
    try {
      planned(condition, more);
    } catch (error) {
      message = error instanceof StillframeError ? error.message : String(error);
    }
    expect(message).toBe(`cannot decide condition "${condition}" ${where}: ${why}`);
  });

  test('what is too large', () => {
    expect(() => planned(`price${' + price'.repeat(300)} > 1`)).toThrow(/: nested deeper than 200$/);
  });
});
