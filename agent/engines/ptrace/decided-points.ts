/** Which sites of the points of a process the list of a wait decides by itself (decided-sites.ts). */
import { decodeExpression } from '../../../format/dwarf-op/decode.js';
import type { PlanSite } from '../../../format/plan/plan.js';
import type { Breakpoints } from './breakpoints.js';
import { planCondition } from './condition-steps.js';
import { type DecidedSite, maxDecidedSites } from './decided-sites.js';
import type { TracedPoint } from './points.js';
import type { SoftwareBreakpoints } from './software-breakpoints.js';

export function findDecidedSites(
  points: Iterable<TracedPoint>,
  hardware: Breakpoints | undefined,
  software: SoftwareBreakpoints | undefined,
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
      const decided = site === undefined || !isAlone ? undefined : decide(site, point.spec.countOnly);
      if (site === undefined || by === undefined || decided === undefined) continue;
      const count = (hits: bigint, stoppedNs: bigint): void => {
        point.count('hits', hits);
        if (decided.condition !== undefined) point.count('conditionFalse', hits);
        point.count('stoppedNs', stoppedNs);
      };
      sites.push({ address, bias: address - site.linkAddress, ...decided, by, count });
    }
  }
  return sites.slice(0, maxDecidedSites);
}

function decide(site: PlanSite, countOnly: boolean): Pick<DecidedSite, 'condition'> | undefined {
  if (site.condition === undefined) return countOnly ? { condition: undefined } : undefined;
  const condition = planCondition(decodeExpression(site.condition, { addressSize: 8, name: 'condition' }));
  return condition === undefined ? undefined : { condition };
}

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
