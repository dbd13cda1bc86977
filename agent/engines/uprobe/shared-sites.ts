/** Sites of a plan that one program can serve: what it decides and collects there is the same, but for where it is. One link holds all of them, and is detached at once. */
import type { PlanSite } from '../../../format/plan/plan.js';
import { siteCookie } from '../../bpf/site-cookie.js';

export interface SharedSites {
  /** Indices among the sites of the plan, in order; never none. */
  readonly indices: readonly number[];
  /** One each, where there are several. */
  readonly cookies: readonly bigint[];
}

/** In the order of the first site of each. */
export function shareSites(sites: readonly PlanSite[], canShare: boolean): readonly SharedSites[] {
  const groups = new Map<string, { readonly indices: number[]; readonly cookies: bigint[] }>();
  for (const [index, site] of sites.entries()) {
    const cookie = siteCookie(index, site.linkAddress);
    const key = canShare && cookie !== undefined ? contentOf(site) : String(index);
    const group = groups.get(key) ?? { indices: [], cookies: [] };
    groups.set(key, group);
    group.indices.push(index);
    group.cookies.push(cookie ?? 0n);
  }
  return [...groups.values()];
}

/** All that a program is made of. */
function contentOf({ condition, ranges, aggregate }: PlanSite): string {
  return JSON.stringify({ condition, ranges, aggregate }, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  );
}
