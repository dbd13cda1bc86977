/**
 * Requests of the faces, to messages and back. What comes in is foreign: every text, list and number has a bound, and what is beyond it is
 * refused as `usage` before anything is done.
 */
import { engineNames, type EngineName } from '../../format/capture.js';
import type { AggregateBuckets } from '../../format/plan/aggregate.js';
import { StillframeError } from '../../format/error.js';
import { maxCanaryMs, termsPart, type PointTerms } from '../../format/point-terms.js';
import { fromLong, numberFromLong, toLong, type Long } from '../../proto/long.js';
import type { Fields } from '../../proto/service.js';
import type {
  ExplainOptions,
  FireOptions,
  LogOptions,
  MetricOptions,
  CoreOptions,
  NowOptions,
  SnapOptions,
} from '../service/controller-api.js';
import type { CaptureBounds, PointOptions } from '../service/planning.js';
import { formats, isFormat, type Format } from '../types/format.js';
import type { EvaluateOptions, ShowOptions } from '../snapshot/show.js';
import type { SnapshotFilter } from '../store/store.js';

export const requestLimits = {
  /** Ids, names of rules, hosts, targets. */
  maxNameLength: 1024,
  /** Locations, conditions, captures, expressions, notes. */
  maxTextLength: 16_384,
  maxOwnerLength: 256,
  maxCaptures: 64,
  maxExpressions: 256,
  maxPoints: 1024,
  maxThreads: 4096,
  maxLabels: 64,
  /** Seven days. */
  maxWaitMs: 604_800_000,
  maxMeasureMs: 60_000,
  /** Of values that are shown: what pointers lead to multiplies with each step. */
  maxDepth: 10,
} as const;

type Text = string | null | undefined;

/** A name of something; empty where that is allowed. */
export function nameFrom(what: string, text: Text): string {
  return bounded(what, text ?? '', requestLimits.maxNameLength);
}

export function requiredName(what: string, text: Text): string {
  const name = nameFrom(what, text);
  if (name === '') throw new StillframeError('usage', `${what} is missing`);
  return name;
}

function textFrom(what: string, text: Text): string {
  return bounded(what, text ?? '', requestLimits.maxTextLength);
}

function bounded(what: string, text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  throw new StillframeError(
    'usage',
    `${what} is too long: ${text.length} characters, at most ${maxLength} are allowed`,
  );
}

function listFrom<Item, Result>(
  what: string,
  items: readonly Item[] | null | undefined,
  maxCount: number,
  convert: (item: Item) => Result,
): readonly Result[] {
  const list = items ?? [];
  if (list.length > maxCount) {
    throw new StillframeError('usage', `too many ${what}: ${list.length}, at most ${maxCount} are allowed`);
  }
  return list.map(convert);
}

function countFrom(what: string, value: Long | number | null | undefined, most: number): number {
  const count = typeof value === 'number' ? value : Number(fromLong(value));
  if (count <= most) return count;
  throw new StillframeError('usage', `${what} is too large: ${count}, at most ${most} is allowed`);
}

function engineFrom(name: Text): EngineName | '' {
  if (name === null || name === undefined || name === '') return '';
  const engine = engineNames.find((known) => known === name);
  if (engine !== undefined) return engine;
  throw new StillframeError('usage', `there is no engine "${name.slice(0, 32)}"`, {
    candidates: engineNames,
  });
}

/** A field that was not set is left out. */
function given<Key extends string, From, To>(
  key: Key,
  value: From | null | undefined,
  convert: (value: From) => To,
): { readonly [P in Key]?: To } {
  return value === null || value === undefined
    ? {}
    : ({ [key]: convert(value) } as { readonly [P in Key]?: To });
}

const same = <T>(value: T): T => value;

/** What only the planner can judge, it judges; here it only has to be a number that fits. */
const maxBound = Number.MAX_SAFE_INTEGER;

function boundsFrom(bounds: Fields<'CaptureBounds'> | null | undefined): CaptureBounds {
  return {
    ...given('depth', bounds?.depth, same),
    ...given('stackBytes', bounds?.stackBytes, (value) => countFrom('stack bytes', value, maxBound)),
    ...given('bytes', bounds?.bytes, (value) => countFrom('bytes', value, maxBound)),
    ...(bounds?.cheap === true ? { cheap: true } : {}),
  };
}

function boundsMessage(bounds: CaptureBounds): Fields<'CaptureBounds'> {
  return {
    ...given('depth', bounds.depth, same),
    ...given('stackBytes', bounds.stackBytes, toLong),
    ...given('bytes', bounds.bytes, toLong),
    cheap: bounds.cheap === true,
  };
}

function termsFrom(point: Fields<'PointRequest'> | null | undefined): PointTerms {
  return {
    ...given('canaryMs', point?.canaryMs, (value) =>
      countFrom('milliseconds of a canary', value, maxCanaryMs),
    ),
    ...given('cpuPercent', point?.cpuPercent, same),
    ...given('allThreads', point?.allThreads, same),
  };
}

function pointOptionsFrom(point: Fields<'PointRequest'> | null | undefined): PointOptions {
  const location = textFrom('location', point?.location);
  if (location === '') throw new StillframeError('usage', 'location is missing');
  return {
    target: requiredName('target', point?.target),
    location,
    ...given('condition', point?.condition, (text) => textFrom('condition', text)),
    captures: listFrom('captures', point?.captures, requestLimits.maxCaptures, (text) =>
      textFrom('capture', text),
    ),
    engine: engineFrom(point?.engine),
    bounds: boundsFrom(point?.bounds),
    ...termsPart(termsFrom(point)),
    ...given('watch', point?.watch, ({ onlyChanges }) => ({ onlyChanges: onlyChanges ?? false })),
  };
}

function pointMessage(options: PointOptions): Fields<'PointRequest'> {
  if (options.exe !== undefined) {
    throw new StillframeError('unsupported', 'cannot give a controller a program with --exe', {
      hint: 'put the program, or its debug information, where the controller finds it by its build id',
    });
  }
  return {
    target: options.target,
    location: options.location,
    ...given('condition', options.condition, same),
    captures: [...options.captures],
    engine: options.engine,
    bounds: boundsMessage(options.bounds),
    ...options.terms,
    ...given('watch', options.watch, same),
  };
}

export function explainOptionsFrom(request: Fields<'ExplainRequest'>): ExplainOptions {
  return {
    ...pointOptionsFrom(request.point),
    ...given('measureMs', request.measureMs, (value) =>
      countFrom('measured milliseconds', value, requestLimits.maxMeasureMs),
    ),
  };
}

export function explainMessage(options: ExplainOptions): Fields<'ExplainRequest'> {
  return { point: pointMessage(options), ...given('measureMs', options.measureMs, toLong) };
}

export function snapOptionsFrom(request: Fields<'SnapRequest'>): SnapOptions {
  return {
    ...pointOptionsFrom(request.point),
    hits: request.hits ?? 0,
    minIntervalNs: fromLong(request.minIntervalNs),
    everyProcess: request.everyProcess ?? false,
    waitMs: countFrom('milliseconds to wait', request.waitMs, requestLimits.maxWaitMs),
    detach: request.detach ?? false,
    ...given('expireMs', request.expireMs, (value) => countFrom('milliseconds to expiry', value, maxBound)),
    owner: bounded('owner', request.owner ?? '', requestLimits.maxOwnerLength),
    note: textFrom('note', request.note),
  };
}

export function snapMessage(options: SnapOptions): Fields<'SnapRequest'> {
  return {
    point: pointMessage(options),
    hits: options.hits,
    minIntervalNs: toLong(options.minIntervalNs),
    everyProcess: options.everyProcess,
    waitMs: toLong(options.waitMs),
    detach: options.detach,
    ...given('expireMs', options.expireMs, toLong),
    owner: options.owner ?? '',
    note: options.note ?? '',
  };
}

export function metricOptionsFrom(request: Fields<'MetricRequest'>): MetricOptions {
  const kind = metricKinds.find((known) => known === request.kind);
  if (kind === undefined) throw new StillframeError('usage', 'a metric of no kind that is known');
  const linear = request.linear ?? undefined;
  return {
    ...pointOptionsFrom(request.point),
    metric: {
      kind,
      ...given('value', request.value, (text) => textFrom('value', text)),
      ...given('by', request.by, (text) => textFrom('by', text)),
      ...given('maxGroups', request.maxGroups, same),
      ...given('groupBytes', request.groupBytes, same),
      ...(linear === undefined ? {} : { buckets: bucketsFrom(linear) }),
    },
    everyMs: countFrom('milliseconds between two samples', request.everyMs, maxBound),
    ...given('forMs', request.forMs, (value) => countFrom('milliseconds', value, maxBound)),
    owner: bounded('owner', request.owner ?? '', requestLimits.maxOwnerLength),
    note: textFrom('note', request.note),
  };
}

function bucketsFrom({ base, width, count }: Fields<'LinearBuckets'>): AggregateBuckets {
  return {
    kind: 'linear',
    base: BigInt.asIntN(64, fromLong(base)),
    width: fromLong(width),
    count: count ?? 0,
  };
}

const metricKinds = ['count', 'sum', 'histogram'] as const;

export function metricMessage(options: MetricOptions): Fields<'MetricRequest'> {
  const { kind, value, by, buckets, maxGroups, groupBytes } = options.metric;
  return {
    point: pointMessage(options),
    kind,
    ...given('value', value, same),
    ...given('by', by, same),
    ...given('maxGroups', maxGroups, same),
    ...given('groupBytes', groupBytes, same),
    ...(buckets?.kind === 'linear'
      ? { linear: { base: toLong(buckets.base), width: toLong(buckets.width), count: buckets.count } }
      : {}),
    everyMs: toLong(options.everyMs),
    ...given('forMs', options.forMs, toLong),
    owner: options.owner ?? '',
    note: options.note ?? '',
  };
}

export function logOptionsFrom(request: Fields<'LogRequest'>): LogOptions {
  const { captures: _, ...point } = pointOptionsFrom(request.point);
  return {
    ...point,
    template: textFrom('template', request.template),
    linesPerSecond: request.linesPerSecond ?? 0,
    ...given('forMs', request.forMs, (value) => countFrom('milliseconds', value, maxBound)),
    owner: bounded('owner', request.owner ?? '', requestLimits.maxOwnerLength),
    note: textFrom('note', request.note),
  };
}

export function logMessage(options: LogOptions): Fields<'LogRequest'> {
  return {
    point: pointMessage({ ...options, captures: [] }),
    template: options.template,
    linesPerSecond: options.linesPerSecond,
    ...given('forMs', options.forMs, toLong),
    owner: options.owner ?? '',
    note: options.note ?? '',
  };
}

export function nowOptionsFrom(request: Fields<'NowRequest'>): NowOptions {
  return {
    target: requiredName('target', request.target),
    tids: listFrom('threads', request.tids, requestLimits.maxThreads, same),
    engine: engineFrom(request.engine),
    bounds: boundsFrom(request.bounds),
  };
}

export function nowMessage(options: NowOptions): Fields<'NowRequest'> {
  const { target, tids, engine, bounds } = options;
  return { target, tids: [...tids], engine, bounds: boundsMessage(bounds) };
}

export function coreOptionsFrom(request: Fields<'CoreRequest'>): CoreOptions {
  return {
    target: requiredName('target', request.target),
    engine: engineFrom(request.engine),
    bytes: numberFromLong(request.bytes),
  };
}

export function coreMessage({ target, engine, bytes }: CoreOptions): Fields<'CoreRequest'> {
  return { target, engine, bytes: toLong(bytes) };
}

export function pointReferencesFrom(
  request: Fields<'RemovePointsRequest' | 'ResumePointsRequest'>,
): readonly string[] {
  return listFrom('points', request.points, requestLimits.maxPoints, (text) => requiredName('point', text));
}

export function snapshotFilterFrom(request: Fields<'SnapshotsRequest'>): SnapshotFilter {
  const point = nameFrom('point', request.point);
  const sinceNs = fromLong(request.sinceNs);
  return { ...(point === '' ? {} : { point }), ...(sinceNs === 0n ? {} : { sinceNs }) };
}

export function snapshotFilterMessage(filter: SnapshotFilter): Fields<'SnapshotsRequest'> {
  return { point: filter.point ?? '', sinceNs: toLong(filter.sinceNs ?? 0n) };
}

const depthFrom = (depth: number): number => countFrom('depth', depth, requestLimits.maxDepth);

function goroutineFrom(id: Long): number {
  const wide = fromLong(id);
  if (wide > BigInt(Number.MAX_SAFE_INTEGER))
    throw new StillframeError('usage', `no goroutine has the id ${wide}`);
  return Number(wide);
}

export function showOptionsFrom(request: Fields<'ShowRequest'>): ShowOptions {
  return {
    ...given('frame', request.frame, same),
    ...given('depth', request.depth, depthFrom),
    ...given('allThreads', request.allThreads, same),
    ...given('goroutine', request.goroutine, goroutineFrom),
    raw: request.raw ?? false,
  };
}

export function showMessage(snapshot: string, options: ShowOptions): Fields<'ShowRequest'> {
  return {
    snapshot,
    ...given('frame', options.frame, same),
    ...given('depth', options.depth, same),
    ...given('allThreads', options.allThreads, same),
    ...given('goroutine', options.goroutine, toLong),
    raw: options.raw ?? false,
  };
}

export function expressionsFrom(request: Fields<'EvalRequest'>): readonly string[] {
  return listFrom('expressions', request.expressions, requestLimits.maxExpressions, (text) =>
    textFrom('expression', text),
  );
}

function formatFrom(letter: string): Format {
  if (isFormat(letter)) return letter;
  throw new StillframeError('usage', `there is no format "${letter.slice(0, 32)}"`, {
    hint: `formats are ${Object.keys(formats).join(' ')}`,
  });
}

export function evaluateOptionsFrom(request: Fields<'EvalRequest'>): EvaluateOptions {
  return {
    frame: request.frame ?? 0,
    ...given('tid', request.tid, same),
    ...given('goroutine', request.goroutine, goroutineFrom),
    ...given('depth', request.depth, depthFrom),
    ...given('format', request.format, formatFrom),
    raw: request.raw ?? false,
  };
}

export function evalMessage(
  snapshot: string,
  expressions: readonly string[],
  options: EvaluateOptions,
): Fields<'EvalRequest'> {
  return {
    snapshot,
    expressions: [...expressions],
    frame: options.frame ?? 0,
    ...given('tid', options.tid, same),
    ...given('goroutine', options.goroutine, toLong),
    ...given('depth', options.depth, same),
    ...given('format', options.format, same),
    raw: options.raw ?? false,
  };
}

export function fireOptionsFrom(request: Fields<'FireRuleRequest'>): FireOptions {
  const labels = listFrom(
    'labels',
    Object.entries(request.labels ?? {}),
    requestLimits.maxLabels,
    ([name, value]): [string, string] => [requiredName('label', name), textFrom(`label "${name}"`, value)],
  );
  return {
    labels: Object.fromEntries(labels),
    owner: bounded('owner', request.owner ?? '', requestLimits.maxOwnerLength),
  };
}
