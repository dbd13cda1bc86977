/**
 * What a hit brings as steps that a list of calls can go through while the thread stands still (capture-records.ts): where each range lies and how long it is, by steps of expressions
 * (condition-steps.ts). What is not (loops, products) is undefined, and taken by the interpreter of plans. Pure.
 */
import { decodeExpression } from '../../../format/dwarf-op/decode.js';
import type { Plan, PlanRange, PlanSite } from '../../../format/plan/plan.js';
import { type ConditionSteps, planCondition } from './condition-steps.js';

export interface RangeSteps {
  readonly address: ConditionSteps;
  readonly length: ConditionSteps;
  readonly maxBytes: number;
  readonly untilNul: boolean;
  readonly children: readonly RangeSteps[];
}

export interface CaptureSteps {
  readonly stackBytes: number;
  readonly ranges: readonly RangeSteps[];
  /** The room that all ranges take together. */
  readonly rangeBytes: number;
  /** Of all ranges. */
  readonly count: { readonly ranges: number; readonly steps: number; readonly slots: number };
}

/** Of ranges: what would be more is read while the thread stands, too, as far as the hit may bring it, but not by the list. */
const maxRangeBytes = 256 * 1024;
const maxRanges = 128;
const maxSteps = 512;

export function planCapture(site: PlanSite, plan: Plan): CaptureSteps | undefined {
  const count = { ranges: 0, steps: 0, slots: 0 };
  let rangeBytes = 0;
  const planRanges = (list: readonly PlanRange[], isTop: boolean): readonly RangeSteps[] | undefined => {
    const planned: RangeSteps[] = [];
    for (const range of list) {
      const address = planExpression(range.address, !isTop);
      const length = planExpression(range.length, !isTop);
      if (range.repeat !== undefined || address === undefined || length === undefined) return undefined;
      count.ranges++;
      count.steps += address.steps.length + length.steps.length;
      count.slots += address.slots + length.slots;
      rangeBytes += range.maxBytes;
      if (count.ranges > maxRanges || count.steps > maxSteps || rangeBytes > maxRangeBytes) return undefined;
      const children = planRanges(range.children, false);
      if (children === undefined) return undefined;
      const { maxBytes, untilNul } = range;
      planned.push({ address, length, maxBytes, untilNul, children });
    }
    return planned;
  };
  const ranges = planRanges(site.ranges, true);
  if (ranges === undefined) return undefined;
  return { stackBytes: Math.min(plan.stackBytes, plan.maxBytes), ranges, rangeBytes, count };
}

function planExpression(expression: Uint8Array, hasObject: boolean): ConditionSteps | undefined {
  return planCondition(decodeExpression(expression, { addressSize: 8, name: 'plan expression' }), hasObject);
}
