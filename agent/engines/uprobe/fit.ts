/**
 * Sites whose program the kernel does not take, for it is too large: with fewer ranges it does. Those at the end are left out, which are the farthest, and each hit says
 * which. Without any range it is for the caller to say what is wrong.
 */
import { StillframeError } from '../../../format/error.js';
import { flattenRanges, type PlanRange, type PlanSite } from '../../../format/plan/plan.js';

export interface FittedSite<T> {
  readonly site: PlanSite;
  /** What `make` made of it. */
  readonly made: T;
  /** Paths of ranges that are left out, outermost ones only. */
  readonly left: readonly string[];
}

/** Halves the ranges for as long as `make` throws `limit`: ten times at most, for a plan has no more than so many. */
export function fitSite<T>(site: PlanSite, make: (site: PlanSite) => T): FittedSite<T> {
  const all = flattenRanges(site.ranges).length;
  for (let count = all; ; count = Math.floor(count / 2)) {
    const { ranges, left } = firstRanges(site.ranges, count);
    const fitted = count === all ? site : { ...site, ranges };
    try {
      return { site: fitted, made: make(fitted), left };
    } catch (error) {
      if (count === 0 || !(error instanceof StillframeError) || error.code !== 'limit') throw error;
    }
  }
}

/** In preorder. */
function firstRanges(
  ranges: readonly PlanRange[],
  count: number,
): { readonly ranges: readonly PlanRange[]; readonly left: readonly string[] } {
  const left: string[] = [];
  let taken = 0;
  const take = (list: readonly PlanRange[]): PlanRange[] =>
    list.flatMap((range) => {
      if (taken >= count) {
        left.push(range.path);
        return [];
      }
      taken++;
      return [{ ...range, children: take(range.children) }];
    });
  return { ranges: take(ranges), left };
}

/** For whoever arms the point, and for each hit. */
export function tooLarge(site: PlanSite): string {
  const { length } = flattenRanges(site.ranges);
  return `the kernel takes no larger program at ${site.function} than one that collects ${length} ranges`;
}
