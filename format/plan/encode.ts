/**
 * Plans as bytes: the same plan always gives the same bytes, so that plans can be compared and digested. Our own compact form: magic
 * `SFPL`, version, then fields in the order of `plan.ts`; numbers in ULEB128, texts and expressions with their length before them.
 * Version 2 is version 1 with an aggregate: after the captures and, of each site, after the ranges. Version 3 has after the captures a byte of
 * flags that say what there is of an aggregate (as in version 2), of timing (after all sites), of decisions (of each site, last, whether it has one, and
 * then that), of a watch (before the rest) and of repeats (of each range that has one, before its children). A plan with none of the last four is version 1 or 2.
 * Decoding checks the form only; {@link ./verify.ts verifyPlan} checks the sense.
 */
import { ByteCursor, ByteWriter } from '../bytes.js';
import type { Decision } from '../decision/decision.js';
import { readDecision, writeDecision } from '../decision/encode.js';
import { readBytes, readList, readText, writeBytes, writeText } from '../encoded-fields.js';
import { defaultLimits } from '../limits.js';
import type { AggregateBuckets, AggregateGrouping, PlanAggregate, SiteAggregate } from './aggregate.js';
import { hasDecisions, hasRepeats, type Plan, type PlanRange, type PlanSite } from './plan.js';
import type { PlanRepeat } from './repeat.js';
import type { PlanTiming } from './timing.js';
import { type PlanWatch, watchBytes } from './watch.js';

const magic = 0x4c504653;
/** Without an aggregate, with one, and with timing, decisions, a watch or repeats. */
const versions = [1, 2, 3] as const;

const partFlags = { aggregate: 1, timing: 2, decisions: 4, watch: 8, repeats: 16 } as const;
const siteFlags = { inlined: 1, file: 2, line: 4, condition: 8 } as const;
const rangeFlags = { untilNul: 1, secret: 2, repeat: 4 } as const;
const aggregateFlags = { signed: 1, group: 2, metric: 4 } as const;
const aggregateKinds = ['count', 'sum', 'histogram'] as const;
const bucketKinds = ['log2', 'linear'] as const;
const groupKinds = ['number', 'text'] as const;
const timingKeys = ['stack', 'goroutine'] as const;
const expressionFlags = { value: 1, group: 2, groupLength: 4 } as const;

export function encodePlan(plan: Plan): Uint8Array {
  const out = new ByteWriter();
  const { aggregate, timing, watch } = plan;
  out.u32(magic).uleb(plan.version);
  writeText(out, plan.module.buildId);
  writeText(out, plan.module.path);
  out.uleb(plan.stackBytes).uleb(plan.maxBytes);
  const { location, condition, captures } = plan.request;
  writeText(out, location);
  out.u8(condition === undefined ? 0 : 1);
  if (condition !== undefined) writeText(out, condition);
  out.uleb(captures.length);
  for (const capture of captures) writeText(out, capture);
  const isDecided = hasDecisions(plan);
  if (plan.version === 3) {
    out.u8(
      (aggregate === undefined ? 0 : partFlags.aggregate) |
        (timing === undefined ? 0 : partFlags.timing) |
        (isDecided ? partFlags.decisions : 0) |
        (watch === undefined ? 0 : partFlags.watch) |
        (hasRepeats(plan) ? partFlags.repeats : 0),
    );
  }
  if (watch !== undefined) writeWatch(out, watch);
  if (aggregate !== undefined) writeAggregate(out, aggregate, plan.request.metric);
  out.uleb(plan.sites.length);
  for (const site of plan.sites) {
    writeSite(out, site);
    if (aggregate !== undefined) writeSiteAggregate(out, site.aggregate ?? {});
    if (isDecided) writeSiteDecision(out, site.decision);
  }
  if (timing !== undefined) writeTiming(out, timing);
  return out.finish();
}

/** Throws `bad-data` for anything that {@link encodePlan} would not have written. */
export function decodePlan(bytes: Uint8Array): Plan {
  const cursor = new ByteCursor(bytes, 'plan');
  if (cursor.remaining < 4 || cursor.u32() !== magic) throw cursor.error('no plan magic', 0);
  const found = cursor.ulebNumber();
  const version = versions.find((known) => known === found);
  if (version === undefined) throw cursor.error(`version ${found} is not known`, 4);
  const module = { buildId: readText(cursor), path: readText(cursor) };
  const stackBytes = cursor.ulebNumber();
  const maxBytes = cursor.ulebNumber();
  const location = readText(cursor);
  const condition = readFlags(cursor, 1) === 1 ? readText(cursor) : undefined;
  const captures = readList(cursor, () => readText(cursor));
  const asked = { location, ...(condition === undefined ? {} : { condition }), captures };
  const parts = version === 3 ? readFlags(cursor, 31) : version === 2 ? partFlags.aggregate : 0;
  const has = (flag: number): boolean => (parts & flag) !== 0;
  const watched = has(partFlags.watch) ? { watch: readWatch(cursor) } : {};
  const summed = has(partFlags.aggregate) ? readAggregate(cursor) : undefined;
  const sites = readList(cursor, () => {
    const site = readSite(cursor, has(partFlags.repeats));
    const aggregate = has(partFlags.aggregate) ? { aggregate: readSiteAggregate(cursor) } : {};
    return { ...site, ...aggregate, ...(has(partFlags.decisions) ? readSiteDecision(cursor) : {}) };
  });
  const timed = has(partFlags.timing) ? { timing: readTiming(cursor) } : {};
  if (!cursor.atEnd) throw cursor.error('bytes after the plan');
  const plain = { version, module, sites, stackBytes, maxBytes, ...timed, ...watched };
  if (summed === undefined) return { ...plain, request: asked };
  const { aggregate, metric } = summed;
  return { ...plain, request: { ...asked, ...(metric === undefined ? {} : { metric }) }, aggregate };
}

function writeWatch(out: ByteWriter, { expression, address, bytes, onlyChanges }: PlanWatch): void {
  writeText(out, expression);
  writeBytes(out, address);
  out.uleb(bytes).u8(onlyChanges ? 1 : 0);
}

function readWatch(cursor: ByteCursor): PlanWatch {
  const expression = readText(cursor);
  const address = readBytes(cursor);
  const at = cursor.offset;
  const length = cursor.ulebNumber();
  const bytes = watchBytes.find((known) => known === length);
  if (bytes === undefined) throw cursor.error(`a watch of ${length} bytes`, at);
  return { expression, address, bytes, onlyChanges: readFlags(cursor, 1) === 1 };
}

function writeAggregate(out: ByteWriter, aggregate: PlanAggregate, metric: string | undefined): void {
  const { kind, signed, buckets, group, maxGroups } = aggregate;
  out.u8(aggregateKinds.indexOf(kind));
  out.u8(
    (signed ? aggregateFlags.signed : 0) |
      (group === undefined ? 0 : aggregateFlags.group) |
      (metric === undefined ? 0 : aggregateFlags.metric),
  );
  out.uleb(maxGroups);
  if (kind === 'histogram') {
    out.u8(bucketKinds.indexOf(buckets?.kind ?? 'log2'));
    if (buckets?.kind === 'linear') out.sleb(buckets.base).uleb(buckets.width).uleb(buckets.count);
  }
  if (group !== undefined) {
    out.u8(groupKinds.indexOf(group.kind));
    if (group.kind === 'text') out.uleb(group.maxBytes);
  }
  if (metric !== undefined) writeText(out, metric);
}

function readAggregate(cursor: ByteCursor): { aggregate: PlanAggregate; metric: string | undefined } {
  const kind = readKind(cursor, aggregateKinds);
  const flags = readFlags(cursor, 7);
  const maxGroups = cursor.ulebNumber();
  const buckets = kind === 'histogram' ? readBuckets(cursor) : undefined;
  const group = (flags & aggregateFlags.group) === 0 ? undefined : readGrouping(cursor);
  const metric = (flags & aggregateFlags.metric) === 0 ? undefined : readText(cursor);
  const aggregate = {
    kind,
    signed: (flags & aggregateFlags.signed) !== 0,
    ...(buckets === undefined ? {} : { buckets }),
    ...(group === undefined ? {} : { group }),
    maxGroups,
  };
  return { aggregate, metric };
}

function readBuckets(cursor: ByteCursor): AggregateBuckets {
  const kind = readKind(cursor, bucketKinds);
  if (kind === 'log2') return { kind };
  return { kind, base: cursor.sleb(), width: cursor.uleb(), count: cursor.ulebNumber() };
}

function readGrouping(cursor: ByteCursor): AggregateGrouping {
  const kind = readKind(cursor, groupKinds);
  return kind === 'number' ? { kind } : { kind, maxBytes: cursor.ulebNumber() };
}

function writeSiteAggregate(out: ByteWriter, { value, group, groupLength }: SiteAggregate): void {
  out.u8(
    (value === undefined ? 0 : expressionFlags.value) |
      (group === undefined ? 0 : expressionFlags.group) |
      (groupLength === undefined ? 0 : expressionFlags.groupLength),
  );
  for (const expression of [value, group, groupLength])
    if (expression !== undefined) writeBytes(out, expression);
}

function readSiteAggregate(cursor: ByteCursor): SiteAggregate {
  const flags = readFlags(cursor, 7);
  return {
    ...((flags & expressionFlags.value) === 0 ? {} : { value: readBytes(cursor) }),
    ...((flags & expressionFlags.group) === 0 ? {} : { group: readBytes(cursor) }),
    ...((flags & expressionFlags.groupLength) === 0 ? {} : { groupLength: readBytes(cursor) }),
  };
}

function writeSiteDecision(out: ByteWriter, decision: Decision | undefined): void {
  out.u8(decision === undefined ? 0 : 1);
  if (decision !== undefined) writeDecision(out, decision);
}

function readSiteDecision(cursor: ByteCursor): Pick<PlanSite, 'decision'> {
  return readFlags(cursor, 1) === 0 ? {} : { decision: readDecision(cursor) };
}

function writeTiming(out: ByteWriter, { key, entries }: PlanTiming): void {
  out.u8(timingKeys.indexOf(key)).uleb(entries.length);
  for (const entry of entries) {
    out.uleb(entry.linkAddress).uleb(entry.fileOffset);
    writeText(out, entry.function);
  }
}

function readTiming(cursor: ByteCursor): PlanTiming {
  const key = readKind(cursor, timingKeys);
  const entries = readList(cursor, () => ({
    linkAddress: cursor.uleb(),
    fileOffset: cursor.ulebNumber(),
    function: readText(cursor),
  }));
  return { key, entries };
}

function readKind<K extends string>(cursor: ByteCursor, kinds: readonly K[]): K {
  const at = cursor.offset;
  const kind = kinds[cursor.u8()];
  if (kind === undefined) throw cursor.error('a kind that is not known', at);
  return kind;
}

function writeSite(out: ByteWriter, site: PlanSite): void {
  out.uleb(site.linkAddress).uleb(site.fileOffset);
  out.u8(
    (site.inlined ? siteFlags.inlined : 0) |
      (site.file === undefined ? 0 : siteFlags.file) |
      (site.line === undefined ? 0 : siteFlags.line) |
      (site.condition === undefined ? 0 : siteFlags.condition),
  );
  writeText(out, site.function);
  if (site.file !== undefined) writeText(out, site.file);
  if (site.line !== undefined) out.uleb(site.line);
  if (site.condition !== undefined) writeBytes(out, site.condition);
  writeRanges(out, site.ranges);
}

function readSite(cursor: ByteCursor, mayRepeat: boolean): PlanSite {
  const linkAddress = cursor.uleb();
  const fileOffset = cursor.ulebNumber();
  const flags = readFlags(cursor, 15);
  const name = readText(cursor);
  return {
    linkAddress,
    fileOffset,
    function: name,
    ...((flags & siteFlags.file) === 0 ? {} : { file: readText(cursor) }),
    ...((flags & siteFlags.line) === 0 ? {} : { line: cursor.ulebNumber() }),
    inlined: (flags & siteFlags.inlined) !== 0,
    ...((flags & siteFlags.condition) === 0 ? {} : { condition: readBytes(cursor) }),
    ranges: readRanges(cursor, 0, mayRepeat ? 7 : 3),
  };
}

function writeRanges(out: ByteWriter, ranges: readonly PlanRange[]): void {
  out.uleb(ranges.length);
  for (const range of ranges) {
    writeText(out, range.path);
    writeBytes(out, range.address);
    writeBytes(out, range.length);
    out.uleb(range.maxBytes);
    out.u8(
      (range.untilNul ? rangeFlags.untilNul : 0) |
        (range.secret ? rangeFlags.secret : 0) |
        (range.repeat === undefined ? 0 : rangeFlags.repeat),
    );
    if (range.repeat !== undefined) writeRepeat(out, range.repeat);
    writeRanges(out, range.children);
  }
}

function writeRepeat(out: ByteWriter, { maxItems, count, next }: PlanRepeat): void {
  out.uleb(maxItems).u8(count === undefined ? 0 : 1);
  if (count !== undefined) writeBytes(out, count);
  writeBytes(out, next);
}

function readRepeat(cursor: ByteCursor): PlanRepeat {
  const maxItems = cursor.ulebNumber();
  const count = readFlags(cursor, 1) === 1 ? { count: readBytes(cursor) } : {};
  return { maxItems, ...count, next: readBytes(cursor) };
}

function readRanges(cursor: ByteCursor, depth: number, known: number): PlanRange[] {
  if (depth > defaultLimits.maxNesting + 1) throw cursor.error('ranges nested too deep');
  return readList(cursor, () => {
    const path = readText(cursor);
    const address = readBytes(cursor);
    const length = readBytes(cursor);
    const maxBytes = cursor.ulebNumber();
    const flags = readFlags(cursor, known);
    return {
      path,
      address,
      length,
      maxBytes,
      untilNul: (flags & rangeFlags.untilNul) !== 0,
      secret: (flags & rangeFlags.secret) !== 0,
      ...((flags & rangeFlags.repeat) === 0 ? {} : { repeat: readRepeat(cursor) }),
      children: readRanges(cursor, depth + 1, known),
    };
  });
}

function readFlags(cursor: ByteCursor, known: number): number {
  const at = cursor.offset;
  const flags = cursor.u8();
  if ((flags & ~known) !== 0) throw cursor.error(`unknown flags 0x${flags.toString(16)}`, at);
  return flags;
}
