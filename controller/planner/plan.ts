/**
 * The planner: location, condition and captures to a plan, with an explanation of it. Pure and deterministic: from the same
 * binary, text and limits comes the same plan. It touches no process; nothing is guessed, and what cannot be is refused by name.
 */
import { hex } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import { listExpression } from '../../format/dwarf-op/list.js';
import { defaultLimits, type Limits } from '../../format/limits.js';
import { flattenRanges, type Plan, type PlanSite, repeatsIn } from '../../format/plan/plan.js';
import { isUnlowered, type Unlowered } from '../expression/lower.js';
import type { Typed } from '../expression/typed.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { returnValueAt } from '../symbols/returns/return-value.js';
import { availableLines } from './available-lines.js';
import { boundaryFault } from './boundary.js';
import { collectAskedFor, collectLocals } from './capture.js';
import { planCondition, type PlannedCondition } from './condition.js';
import { Drafts } from './draft.js';
import { type DroppedSite, type Explanation, explainSite, type SiteExplanation } from './explain.js';
import { timingOf } from './entries.js';
import { locate, type LocatedSite, parseLocation } from './location.js';
import { placeSites } from './place-site.js';
import { type MetricRequest, type MetricShape, metricText, planMetric, sameShape } from './metric.js';
import { openSite, type Site } from './site.js';
import { planWatch, siteOfWatch, type WatchRequest, writesOf } from './watch.js';

export interface PlanRequestOptions {
  readonly symbols: ModuleSymbols;
  /** The path as the target maps it. */
  readonly modulePath: string;
  /** LOCATION of CLI.md without `module!`, which is the caller's matter. */
  readonly location: string;
  readonly condition?: string;
  readonly captures?: readonly string[];
  /** How many pointers are followed one after another. */
  readonly depth?: number;
  readonly stackBytes?: number;
  readonly maxBytes?: number;
  /** Probes may be put past loads where a hit costs less there: see {@link placeSites}. */
  readonly cheap?: boolean;
  /** False: only what is asked for, no parameters and locals. */
  readonly locals?: boolean;
  /** Hits are added up, and nothing is collected. */
  readonly metric?: MetricRequest;
  /** The location is an expression, and hits are writes of it. */
  readonly watch?: WatchRequest;
  readonly limits?: Limits;
}

export interface PlannedPoint {
  readonly plan: Plan;
  /** Of a metric. */
  readonly shape?: MetricShape;
  readonly explanation: Explanation;
}

/** Throws `not-found`, `ambiguous`, `usage`, `limit`, `bad-expression` or `unsupported`. */
export function planPoint(options: PlanRequestOptions): PlannedPoint {
  if (options.watch !== undefined) return planWatchPoint(options, options.watch);
  const { symbols, location } = options;
  const settings = settingsOf(options);
  const planned: PlannedSite[] = [];
  const dropped: DroppedSite[] = [];
  let refusal: StillframeError | undefined;
  const { sites: places, unseen } = locate(symbols, location);
  const timing = wantsDuration(options) ? timingOf(symbols, places) : undefined;
  const captures = capturesOf(symbols, places, options);
  const asked = { ...options, captures };
  const { kind } = parseLocation(location);
  const placing = { symbols, kind, texts: textsOf(options), cheap: options.cheap === true };
  for (const { asked: located, better } of placeSites(places, placing)) {
    const moved = better === undefined ? undefined : planMoved(openSite(symbols, better), asked, settings);
    const result = moved ?? planSite(openSite(symbols, located, timing), asked, settings);
    if ('site' in result) {
      planned.push(result);
    } else {
      refusal ??= result.refusal;
      dropped.push({
        address: hex(located.address),
        function: located.function,
        reason: result.refusal.message,
      });
    }
  }
  if (planned.length === 0 && refusal !== undefined) throw refusal;
  dropped.push(...unseen.map(({ address, ...rest }) => ({ address: hex(address), ...rest })));
  const { stackBytes, maxBytes } = settings;
  const isThird =
    typeof timing === 'object' ||
    planned.some(({ site }) => site.decision !== undefined || repeatsIn(site.ranges));
  const module = { buildId: symbols.buildId, path: options.modulePath };
  const { metric } = options;
  const shape = sameShape(planned.flatMap((site) => site.shape ?? []));
  return {
    ...(shape === undefined ? {} : { shape }),
    plan: {
      version: isThird ? 3 : shape === undefined ? 1 : 2,
      module,
      sites: planned.map(({ site }) => site),
      stackBytes,
      maxBytes,
      request: {
        location,
        ...(options.condition === undefined ? {} : { condition: options.condition }),
        captures,
        ...(metric === undefined ? {} : { metric: metricText(metric) }),
      },
      ...(shape === undefined ? {} : { aggregate: shape.aggregate }),
      ...(typeof timing === 'object' ? { timing } : {}),
    },
    explanation: {
      location,
      module,
      sites: planned.map(({ explanation }) => explanation),
      dropped,
      stackBytes,
      maxBytes,
    },
  };
}

function planWatchPoint(options: PlanRequestOptions, request: WatchRequest): PlannedPoint {
  const { symbols, location: expression, captures = [], condition: text } = options;
  const { limits, depth, stackBytes, maxBytes } = settingsOf(options);
  const site = siteOfWatch(symbols);
  const { watch, type } = planWatch(site, expression, request.onlyChanges);
  const condition = kernelCondition(site, options, 'a watch is decided where the write is');
  if (condition !== undefined && 'refusal' in condition) throw condition.refusal;
  const asked = collectAskedFor(site, [expression, ...captures], condition?.parts ?? [], {
    limits,
    depth,
    stackBytes,
  });
  const drafts = new Drafts({ maxRanges: limits.maxRanges, maxBytes: maxBytes - stackBytes });
  drafts.adopt(asked.ranges);
  const location = writesOf(expression, request);
  const module = { buildId: symbols.buildId, path: options.modulePath };
  const own = condition?.kernel === undefined ? {} : { condition: condition.kernel };
  const sites = [
    { linkAddress: 0n, fileOffset: 0, function: '', inlined: false, ...own, ranges: drafts.finish() },
  ];
  const asText = { location, ...(text === undefined ? {} : { condition: text }), captures };
  return {
    plan: { version: 3, module, sites, stackBytes, maxBytes, request: asText, watch },
    explanation: {
      location,
      module,
      sites: [],
      watch: {
        expression,
        type,
        bytes: watch.bytes,
        onlyChanges: watch.onlyChanges,
        listing: listExpression(watch.address),
        ...(condition?.kernel === undefined
          ? {}
          : { condition: { text: condition.text, listing: listExpression(condition.kernel) } }),
        captures: asked.outcomes.slice(1),
      },
      dropped: [],
      stackBytes,
      maxBytes,
    },
  };
}

function textsOf({ condition = '', captures = [], metric }: PlanRequestOptions): readonly string[] {
  return [condition, ...captures, metric?.value ?? '', metric?.by ?? ''];
}

function wantsDuration(options: PlanRequestOptions): boolean {
  return textsOf(options).some((text) => /\$duration\b/.test(text));
}

/** Undefined where something cannot be planned there: whether that is so where it was asked for is for the asked place to say. */
function planMoved(site: Site, options: PlanRequestOptions, settings: Settings): PlannedSite | undefined {
  try {
    const result = planSite(site, options, settings);
    return 'site' in result ? result : undefined;
  } catch (error) {
    if (error instanceof StillframeError) return undefined;
    throw error;
  }
}

/** Who looks at a function that returns wants to see what it returns, where locals are shown at all. */
function capturesOf(
  symbols: ModuleSymbols,
  places: readonly LocatedSite[],
  { captures = [], locals, metric }: PlanRequestOptions,
): readonly string[] {
  const exits = places.filter(({ exit }) => exit?.kind === 'return');
  if (exits.length === 0 || locals === false || metric !== undefined) return captures;
  const returns = exits.some(({ address }) => typeof returnValueAt(symbols, address) !== 'string');
  return !returns || captures.includes('$return') ? captures : ['$return', ...captures];
}

interface Settings {
  readonly limits: Limits;
  readonly depth: number;
  readonly stackBytes: number;
  readonly maxBytes: number;
}

function settingsOf(options: PlanRequestOptions): Settings {
  const limits = options.limits ?? defaultLimits;
  if (options.metric !== undefined) return { limits, depth: 0, stackBytes: 0, maxBytes: 1 };
  const maxBytes = options.maxBytes ?? limits.defaultHitBytes;
  const stackBytes = options.stackBytes ?? Math.min(limits.defaultStackBytes, Math.floor(maxBytes / 2));
  const depth = options.depth ?? limits.maxDepth;
  within('the bytes of a hit', maxBytes, 1, limits.maxHitBytes);
  within('the stack window', stackBytes, 0, Math.min(limits.maxStackBytes, maxBytes));
  within('the depth', depth, 0, limits.maxNesting);
  return { limits, depth, stackBytes, maxBytes };
}

function within(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new StillframeError(
    'usage',
    `cannot plan the point: ${what} must be from ${least} to ${most}, not ${value}`,
  );
}

/** What parameters and locals lead to nobody asked for by name: each range delays the hitting thread, so there is an end sooner. */
const maxLocalRanges = 256;
/** The same of a point whose candidates bring them, whether they turn out to be hits or not. */
const maxCandidateRanges = 64;

interface PlannedSite {
  readonly site: PlanSite;
  readonly explanation: SiteExplanation;
  readonly shape?: MetricShape;
}

/** The site as planned, or why it cannot be probed; what is wrong with the expressions themselves is thrown. */
function planSite(
  site: Site,
  options: PlanRequestOptions,
  settings: Settings,
): PlannedSite | { refusal: StillframeError } {
  const { address, symbols, frame } = site;
  const fault = boundaryFault(symbols, address);
  const fileOffset = symbols.elf.fileOffsetOf(address);
  if (fault?.nearest !== undefined || fileOffset === undefined) {
    const reason = fault?.reason ?? `"${symbols.path}" has no bytes at ${hex(address)}`;
    return { refusal: new StillframeError('bad-data', `cannot probe ${nameOf(site)}: ${reason}`) };
  }
  const condition = conditionOf(site, options);
  if (condition !== undefined && 'refusal' in condition) return condition;

  const metric =
    options.metric === undefined ? undefined : planMetric({ ...site, timed: site.isTimed }, options.metric);
  if (metric !== undefined && isUnlowered(metric)) return { refusal: cannotAddUp(site, metric) };
  const { limits, depth, stackBytes, maxBytes } = settings;
  const captureOptions = { limits, depth, stackBytes };
  const read = metric === undefined ? (condition?.parts ?? []) : [];
  const asked = collectAskedFor(site, options.captures ?? [], read, captureOptions);
  if (asked.undecidable !== undefined) {
    return { refusal: cannotDecide(site, options.condition ?? '', asked.undecidable) };
  }
  const localRanges = condition?.agent === undefined ? maxLocalRanges : maxCandidateRanges;
  const drafts = new Drafts({
    maxRanges: Math.min(limits.maxRanges, flattenRanges(asked.ranges).length + localRanges),
    maxBytes: maxBytes - stackBytes,
  });
  drafts.adopt(asked.ranges);
  if (options.locals !== false && metric === undefined) collectLocals(site, drafts, captureOptions);
  return {
    site: {
      linkAddress: address,
      fileOffset,
      function: site.function,
      ...(frame?.file === undefined ? {} : { file: frame.file }),
      ...(frame?.line === undefined ? {} : { line: frame.line }),
      inlined: site.inlined,
      ...(condition?.kernel === undefined ? {} : { condition: condition.kernel }),
      ...(condition?.agent === undefined ? {} : { decision: condition.agent }),
      ranges: drafts.finish(),
      ...(metric === undefined ? {} : { aggregate: metric.own }),
    },
    ...(metric === undefined ? {} : { shape: metric.shape }),
    explanation: explainSite(site, {
      captures: asked.outcomes,
      drafts,
      ...(condition === undefined ? {} : { condition }),
    }),
  };
}

function cannotAddUp(site: Site, { unsupported, position, length }: Unlowered): StillframeError {
  return new StillframeError('unsupported', `cannot add up at ${nameOf(site)}: ${unsupported}`, {
    detail: { address: site.address, position, length },
  });
}

function conditionOf(
  site: Site,
  options: PlanRequestOptions,
): PlannedCondition | { readonly refusal: StillframeError } | undefined {
  if (options.metric !== undefined)
    return kernelCondition(site, options, 'hits that are added up never leave the kernel');
  const { condition: text } = options;
  if (text === undefined) return undefined;
  const planned = planCondition(site, text);
  return isUnlowered(planned) ? { refusal: cannotDecide(site, text, planned) } : planned;
}

/** Where nothing is left to the agent, and why not. */
function kernelCondition(
  site: Site,
  { condition: text }: PlanRequestOptions,
  why: string,
): PlannedCondition | { readonly refusal: StillframeError } | undefined {
  if (text === undefined) return undefined;
  const planned = planCondition(site, text);
  if (isUnlowered(planned)) return { refusal: cannotDecide(site, text, planned) };
  const inAgent = planned.parts.find(({ runsIn }) => runsIn === 'agent');
  if (inAgent === undefined) return planned;
  const { start, end } = inAgent.node.span;
  const refusal = cannotDecide(site, text, {
    unsupported: `${inAgent.reason ?? inAgent.text}; ${why}`,
    position: start,
    length: end - start,
  });
  return { refusal };
}

function cannotDecide(
  site: Site,
  text: string,
  { unsupported, absent, position, length, hint, node }: Unlowered & { readonly node?: Typed },
): StillframeError {
  const lines =
    absent?.absent === 'optimized-out' && node !== undefined ? availableLines(site, node) : undefined;
  return new StillframeError(
    'unsupported',
    `cannot decide condition "${text}" at ${nameOf(site)}: ${unsupported}`,
    {
      detail: { address: site.address, position, length },
      ...(hint === undefined ? {} : { hint }),
      ...(lines === undefined ? {} : { hint: lines.hint, candidates: lines.candidates }),
    },
  );
}

/** `charge_order (orders.c:70) at 0x1234`. */
function nameOf(site: LocatedSite & Pick<Site, 'frame'>): string {
  if (site.function === '' && site.address === 0n) return 'a write';
  const file = site.frame?.file;
  const line = site.frame?.line;
  const source = file === undefined ? '' : ` (${file.slice(file.lastIndexOf('/') + 1)}:${line ?? '?'})`;
  return `${site.function}${source} at ${hex(site.address)}`;
}
