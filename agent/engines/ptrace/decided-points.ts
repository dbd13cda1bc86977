/** Which sites of the points of a process the list of a wait decides by itself (decided-sites.ts). */
import { decodeExpression } from '../../../format/dwarf-op/decode.js';
import type { PlanSite } from '../../../format/plan/plan.js';
import type { Breakpoints } from './breakpoints.js';
import { planCapture } from './capture-steps.js';
import { planCondition } from './condition-steps.js';
import { type DecidedCounts, type DecidedSite, type ListedHit, maxDecidedSites } from './decided-sites.js';
import type { TracedPoint } from './points.js';
import type { SoftwareBreakpoints } from './software-breakpoints.js';

/** Takes a hit at a site of a point that the list has read. */
export type TakeListed = (point: TracedPoint, siteIndex: number, hit: ListedHit) => void;

export function findDecidedSites(
  points: Iterable<TracedPoint>,
  hardware: Breakpoints | undefined,
  software: SoftwareBreakpoints | undefined,
  take: TakeListed,
): DecidedSite[] {
  const all = [...points];
  const sites: DecidedSite[] = [];
  for (const point of all) {
    for (const [index, address] of point.spec.addresses.entries()) {
      const site = point.spec.plan.sites[index];
      // Of several at an address each counts for itself, and the first may be the last that there will be.
      const isAlone = all.flatMap((other) => other.sitesAt(address)).length === 1;
      const by =
        point.mechanism === 'software' ? passingAt(software, address) : signallingAt(hardware, address);
      const decided = site === undefined || !isAlone ? undefined : decide(site, { point, index, take });
      if (site === undefined || by === undefined || decided === undefined) continue;
      const count = (counted: DecidedCounts): void => {
        for (const slot of ['hits', 'conditionFalse', 'limited', 'stoppedNs'] as const) {
          if (counted[slot] > 0n) point.count(slot, counted[slot]);
        }
      };
      sites.push({ address, bias: address - site.linkAddress, ...decided, by, count });
    }
  }
  return sites.slice(0, maxDecidedSites);
}

interface SiteOfPoint {
  readonly point: TracedPoint;
  readonly index: number;
  readonly take: TakeListed;
}

function decide(
  site: PlanSite,
  { point, index, take }: SiteOfPoint,
): Pick<DecidedSite, 'condition' | 'brings'> | undefined {
  const { plan, countOnly } = point.spec;
  const condition = site.condition === undefined ? undefined : stepsOf(site.condition);
  if (site.condition !== undefined && condition === undefined) return undefined;
  if (countOnly) return { condition, brings: undefined };
  const brings = {
    capture: planCapture(site, plan),
    notBeforeNs: () => point.notBeforeNs,
    take: (hit: ListedHit) => take(point, index, hit),
  };
  return { condition, brings };
}

const stepsOf = (condition: Uint8Array): ReturnType<typeof planCondition> =>
  planCondition(decodeExpression(condition, { addressSize: 8, name: 'condition' }));

function passingAt(
  software: SoftwareBreakpoints | undefined,
  address: bigint,
): DecidedSite['by'] | undefined {
  const emulation = software?.emulationAt(address);
  if (emulation === undefined || emulation.branch !== undefined) return undefined;
  const { computes, returns } = emulation;
  // Whether there is a shadow stack is asked each time.
  if (returns !== undefined) return undefined;
  if (computes === undefined) return emulation;
  // A list has no flags, and no products.
  const { to, value, bits } = computes;
  if (to === undefined || computes.with !== undefined || value.index !== undefined) return undefined;
  return { advance: emulation.advance, sets: { to, bits, base: value.base, constant: value.constant } };
}

function signallingAt(hardware: Breakpoints | undefined, address: bigint): DecidedSite['by'] | undefined {
  if (hardware === undefined) return undefined;
  return { signal: hardware.signal, descriptors: () => hardware.descriptorsOf(address) };
}
