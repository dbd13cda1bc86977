import { decodeExpression } from '../dwarf-op/decode.js';
import { DW_OP } from '../dwarf-op/opcodes.js';
import { type VerifiedExpression, verifyPlanExpression } from '../dwarf-op/verify.js';
import { verifyDecision } from '../decision/verify.js';
import { type StillframeError, badData } from '../error.js';
import { type Limits, defaultLimits } from '../limits.js';
import { type PlanAggregate, type SiteAggregate, bucketCount } from './aggregate.js';
import { hasDecisions, hasRepeats, type Plan, type PlanRange, type PlanSite } from './plan.js';
import { maxRepeated, maxRepeatItems, maxRepeatNesting } from './repeat.js';
import { durationRegister, type PlanTiming } from './timing.js';
import { type PlanWatch, watchBytes } from './watch.js';

/** Bounds of texts in a plan, and of its sites. */
const maxTextBytes = 16 * 1024;
const maxSites = 4096;
const maxCaptures = 1024;

export interface VerifiedPlan {
  readonly sites: readonly VerifiedSite[];
}

export interface VerifiedSite {
  readonly condition: VerifiedExpression | undefined;
  /** In preorder, as `flattenRanges` has them. */
  readonly ranges: readonly { readonly address: VerifiedExpression; readonly length: VerifiedExpression }[];
  /** The sum of what all its ranges may bring and of the stack window: may exceed the plan's `maxBytes`, which then rules. */
  readonly totalBytes: number;
}

/** Checks all that an engine relies on. Throws `bad-data` that names the site and the range. Pure; a plan may come from anybody. */
export function verifyPlan(plan: Plan, limits: Limits = defaultLimits): VerifiedPlan {
  const version: number = plan.version;
  if (version !== 1 && version !== 2 && version !== 3) throw wrong(`version ${version} is not known`);
  const third =
    plan.watch !== undefined
      ? 'a watch'
      : plan.timing !== undefined
        ? 'timing'
        : hasDecisions(plan)
          ? 'a decision'
          : hasRepeats(plan)
            ? 'a repeat'
            : undefined;
  const isThird = third !== undefined;
  if ((version === 3) !== isThird) {
    throw wrong(
      `version ${version} ${version === 3 ? 'without timing, a decision, a watch or a repeat' : `with ${third ?? 'nothing'}`}`,
    );
  }
  if (plan.aggregate !== undefined && hasDecisions(plan)) {
    throw wrong('a decision in a plan with an aggregate: hits that are added up never leave the kernel');
  }
  if (version !== 3 && (version === 2) !== (plan.aggregate !== undefined)) {
    throw wrong(`version ${version} ${version === 2 ? 'without' : 'with'} an aggregate`);
  }
  if (!/^([0-9a-f]{2}){0,64}$/.test(plan.module.buildId)) {
    throw wrong(`build id ${JSON.stringify(plan.module.buildId.slice(0, 140))} is not lower-case hex`);
  }
  text('module path', plan.module.path);
  if (plan.module.path === '') throw wrong('module path is empty');
  whole('stackBytes', plan.stackBytes, 0, limits.maxStackBytes);
  whole('maxBytes', plan.maxBytes, 1, limits.maxHitBytes);
  text('request location', plan.request.location);
  if (plan.request.condition !== undefined) text('request condition', plan.request.condition);
  if (plan.request.captures.length > maxCaptures) throw wrong(`more than ${maxCaptures} captures`);
  for (const capture of plan.request.captures) text('request capture', capture);
  if (plan.request.metric !== undefined) text('request metric', plan.request.metric);
  if (plan.watch !== undefined) verifyWatch(plan, plan.watch, limits);
  if (plan.aggregate !== undefined) verifyAggregate(plan, plan.aggregate, limits);
  if (plan.sites.length === 0) throw wrong('it has no sites');
  if (plan.sites.length > maxSites) throw wrong(`more than ${maxSites} sites`);

  const addresses = new Set<bigint>();
  const offsets = new Set<number>();
  const sites: VerifiedSite[] = [];
  for (const site of plan.sites) {
    if (addresses.has(site.linkAddress) || offsets.has(site.fileOffset)) {
      throw wrong(`${nameOf(site)}: another site has the same address`);
    }
    addresses.add(site.linkAddress);
    offsets.add(site.fileOffset);
    sites.push(verifySite(plan, site, limits));
  }
  if (plan.timing !== undefined) verifyTiming(plan.timing, offsets);
  return { sites };
}

function verifyWatch(plan: Plan, watch: PlanWatch, limits: Limits): void {
  const { expression, address, bytes } = watch;
  text('watched expression', expression);
  if (!watchBytes.includes(bytes)) throw wrong(`a watch of ${bytes} bytes`);
  const name = 'plan: watched address';
  verifyPlanExpression(address, { hasObject: false, name, limits });
  if (decodeExpression(address, { addressSize: 8, name }).some(({ code }) => readsRegister(code)))
    throw wrong('the watched address depends on registers');
  const [site, ...others] = plan.sites;
  if (others.length > 0 || site?.linkAddress !== 0n || site.fileOffset !== 0)
    throw wrong('a watch with places in code');
  if (plan.timing !== undefined || plan.aggregate !== undefined || hasDecisions(plan))
    throw wrong('a watch with timing, an aggregate or a decision');
}

const readsRegister = (code: number): boolean =>
  (code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31) || code === DW_OP.DW_OP_bregx;

function verifyTiming({ entries }: PlanTiming, sites: ReadonlySet<number>): void {
  if (entries.length === 0) throw wrong('timing without entries');
  if (entries.length > maxSites) throw wrong(`more than ${maxSites} entries`);
  const offsets = new Set(sites);
  for (const { linkAddress, fileOffset, function: name } of entries) {
    const where = `entry 0x${linkAddress.toString(16)}`;
    if (linkAddress < 0n || linkAddress >= 1n << 64n) throw wrong(`${where}: address of more than 64 bits`);
    whole(`${where}: fileOffset`, fileOffset, 0, Number.MAX_SAFE_INTEGER);
    text(`${where}: function`, name);
    if (offsets.has(fileOffset)) throw wrong(`${where}: a site or another entry has the same address`);
    offsets.add(fileOffset);
  }
}

/** What conditions and what is added up may read beyond the registers of the machine. */
function extraRegister({ timing }: Plan): { readonly extraRegister?: number } {
  return timing === undefined ? {} : { extraRegister: durationRegister };
}

function verifySite(plan: Plan, site: PlanSite, limits: Limits): VerifiedSite {
  const name = nameOf(site);
  if (site.linkAddress < 0n || site.linkAddress >= 1n << 64n)
    throw wrong(`${name}: address of more than 64 bits`);
  whole(`${name}: fileOffset`, site.fileOffset, 0, Number.MAX_SAFE_INTEGER);
  if (site.line !== undefined) whole(`${name}: line`, site.line, 0, 0xffff_ffff);
  text(`${name}: function`, site.function);
  if (site.file !== undefined) text(`${name}: file`, site.file);
  const condition =
    site.condition === undefined
      ? undefined
      : verifyPlanExpression(site.condition, {
          hasObject: false,
          ...extraRegister(plan),
          name: `plan: ${name}: condition`,
          limits,
        });

  const ranges: { address: VerifiedExpression; length: VerifiedExpression }[] = [];
  let totalBytes = plan.stackBytes;
  const walk = (list: readonly PlanRange[], depth: number, around: Repeats): void => {
    if (depth > limits.maxNesting) throw wrong(`${name}: ranges nested deeper than ${limits.maxNesting}`);
    for (const range of list) {
      if (ranges.length >= limits.maxRanges) throw wrong(`${name}: more than ${limits.maxRanges} ranges`);
      text(`${name}: range path`, range.path);
      const where = `${name}: range "${range.path}"`;
      whole(`${where}: maxBytes`, range.maxBytes, 1, limits.maxHitBytes);
      const hasObject = depth > 0;
      ranges.push({
        address: verifyPlanExpression(range.address, { hasObject, name: `plan: ${where}: address`, limits }),
        length: verifyPlanExpression(range.length, { hasObject, name: `plan: ${where}: length`, limits }),
      });
      const repeats = verifyRepeat(range, { where, hasObject, around, limits });
      totalBytes += range.maxBytes * repeats.items;
      walk(range.children, depth + 1, repeats);
    }
  };
  walk(site.ranges, 0, { nesting: 0, items: 1 });
  verifySiteAggregate(plan, site, limits);
  if (site.decision !== undefined) verifyDecision(site.decision, { name: `plan: ${name}: decision`, limits });
  return { condition, ranges, totalBytes };
}

/** How many repeats a range lies in, and how often it can be collected at most. */
interface Repeats {
  readonly nesting: number;
  readonly items: number;
}

function verifyRepeat(
  { repeat }: PlanRange,
  at: {
    readonly where: string;
    readonly hasObject: boolean;
    readonly around: Repeats;
    readonly limits: Limits;
  },
): Repeats {
  const { where, hasObject, around, limits } = at;
  if (repeat === undefined) return around;
  if (around.nesting >= maxRepeatNesting)
    throw wrong(`${where}: more than ${maxRepeatNesting} nested repeats`);
  const { maxItems, count, next } = repeat;
  whole(`${where}: maxItems`, maxItems, 1, maxRepeatItems);
  verifyPlanExpression(next, { hasObject: true, name: `plan: ${where}: next`, limits });
  if (count !== undefined) verifyPlanExpression(count, { hasObject, name: `plan: ${where}: count`, limits });
  return { nesting: around.nesting + 1, items: Math.min(maxRepeated, around.items * maxItems) };
}

function verifyAggregate({ stackBytes }: Plan, aggregate: PlanAggregate, limits: Limits): void {
  const { kind, signed, buckets, group, maxGroups } = aggregate;
  if (stackBytes !== 0) throw wrong('an aggregate with a stack window');
  if (kind === 'count' && signed) throw wrong('a count of signed values');
  if ((kind === 'histogram') !== (buckets !== undefined))
    throw wrong(`a ${kind} ${buckets ? 'with' : 'without'} buckets`);
  whole('maxGroups', maxGroups, 1, limits.maxGroups);
  if (group?.kind === 'text') whole('the bytes of a group', group.maxBytes, 1, limits.maxGroupBytes);
  if (buckets === undefined) return;
  if (buckets.kind === 'linear') {
    const { base, width, count } = buckets;
    whole('the number of buckets', count, 1, limits.maxBuckets);
    if (width < 1n || width >= 1n << 63n) throw wrong(`buckets of width ${width}`);
    if (base < (signed ? -(1n << 63n) : 0n) || base >= 1n << 63n) throw wrong(`buckets from ${base}`);
  }
  const cells = (group === undefined ? 1 : maxGroups) * bucketCount(buckets);
  if (cells > limits.maxCells) throw wrong(`${cells} buckets in all, ${limits.maxCells} are the most`);
}

function verifySiteAggregate(plan: Plan, site: PlanSite, limits: Limits): void {
  const { aggregate } = plan;
  const name = nameOf(site);
  const own: SiteAggregate | undefined = site.aggregate;
  if (aggregate === undefined) {
    if (own !== undefined) throw wrong(`${name}: it adds up, and the plan does not`);
    return;
  }
  if (own === undefined) throw wrong(`${name}: it does not add up, and the plan does`);
  if (site.ranges.length > 0) throw wrong(`${name}: it collects ranges and adds up`);
  const { value, group, groupLength } = own;
  if ((value !== undefined) !== (aggregate.kind !== 'count'))
    throw wrong(`${name}: a ${aggregate.kind} with a wrong value`);
  if ((group !== undefined) !== (aggregate.group !== undefined)) throw wrong(`${name}: a wrong group`);
  if (groupLength !== undefined && aggregate.group?.kind !== 'text')
    throw wrong(`${name}: a length without a string`);
  for (const [what, expression] of Object.entries({ value, group, 'group length': groupLength })) {
    if (expression === undefined) continue;
    const about = { hasObject: false, ...extraRegister(plan), name: `plan: ${name}: ${what}`, limits };
    verifyPlanExpression(expression, about);
  }
}

function nameOf(site: PlanSite): string {
  return `site 0x${site.linkAddress.toString(16)}`;
}

function wrong(reason: string): StillframeError {
  return badData(`cannot verify plan: ${reason}`);
}

function whole(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw wrong(`${name} ${value} is not within ${least} to ${most}`);
  }
}

function text(name: string, value: string): void {
  if (value.length > maxTextBytes || Buffer.byteLength(value) > maxTextBytes) {
    throw wrong(`${name} is longer than ${maxTextBytes} bytes`);
  }
}
