/** Plans and machine states for tests. */
import type { Plan, PlanRange, PlanSite } from '../../format/plan/plan.js';

export function planOf(sites: readonly PlanSite[], changes: Partial<Plan> = {}): Plan {
  return {
    version: 1,
    module: { buildId: '0123456789abcdef', path: '/usr/bin/app' },
    sites,
    stackBytes: 0,
    maxBytes: 4096,
    request: { location: 'app.c:1', captures: [] },
    ...changes,
  };
}

export function siteOf(changes: Partial<PlanSite> = {}): PlanSite {
  return {
    linkAddress: 0x1136n,
    fileOffset: 0x136,
    function: 'main',
    inlined: false,
    ranges: [],
    ...changes,
  };
}

export function rangeOf(
  path: string,
  address: Uint8Array,
  length: Uint8Array,
  changes: Partial<PlanRange> = {},
): PlanRange {
  return { path, address, length, maxBytes: 64, untilNul: false, secret: false, children: [], ...changes };
}
