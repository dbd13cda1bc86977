/** From keys as a file spells them to a `Rule`. */
import { createHash } from 'node:crypto';
import type { ProcessWhen, Rule, Step, When } from './rule.js';
import type { RawProcess, RawRule, RawStep, RawWhen } from './raw-rule.js';

export function ruleFromRaw(raw: RawRule, place: { readonly file: string; readonly line: number }): Rule {
  const { limits } = raw;
  return {
    name: raw.name,
    ...place,
    digest: createHash('sha256').update(JSON.stringify(raw)).digest('hex').slice(0, 16),
    note: raw.note,
    enabled: raw.enabled,
    dryRun: raw['dry-run'],
    when: whenOf(raw.when),
    where: raw.where,
    allow: new Map(Object.entries(raw.allow)),
    what: raw.what.map((step) => stepOf(step, limits.hits)),
    stopOnFailure: raw['stop-on-failure'],
    limits: {
      cooldownMs: limits.cooldown,
      perDay: limits['per-day'],
      hits: limits.hits,
      stacks: limits.stacks,
      expireMs: limits.expire,
      suspendAfter: limits['suspend-after'],
    },
    notify: raw.notify.map(
      ({ url, 'token-file': tokenFile, 'secret-file': secretFile, 'include-values': includeValues }) => ({
        url,
        includeValues,
        ...optional({ tokenFile, secretFile }),
      }),
    ),
  };
}

/** The schema has seen to it that exactly one is there. */
function whenOf({ prometheus, alertmanager, metric, log, process }: RawWhen): When {
  if (prometheus !== undefined) {
    const { url, query, above, below, for: forMs, every, timeout, 'token-file': tokenFile } = prometheus;
    const bound =
      above === undefined
        ? { direction: 'below' as const, value: below ?? 0 }
        : { direction: 'above' as const, value: above };
    const times = { forMs, everyMs: every, timeoutMs: timeout };
    return { kind: 'prometheus', url, query, bound, ...times, ...optional({ tokenFile }) };
  }
  if (alertmanager !== undefined) {
    const { alert, labels } = alertmanager;
    return {
      kind: 'alertmanager',
      matchers: new Map(Object.entries({ ...optional({ alertname: alert }), ...labels })),
    };
  }
  if (metric !== undefined) {
    const { target, at, if: condition, engine, above, for: forMs, window } = metric;
    return {
      kind: 'metric',
      target,
      location: at,
      engine: engine ?? '',
      abovePerSecond: above,
      forMs,
      windowMs: window,
      ...optional({ condition }),
    };
  }
  if (log !== undefined) {
    const { file, match, host, count, within } = log;
    return { kind: 'log', path: file, pattern: match, count, withinMs: within, ...optional({ host }) };
  }
  if (process !== undefined) {
    return { kind: 'process', target: process.target, ...usageOf(process), forMs: process.for };
  }
  return { kind: 'manual' };
}

function usageOf(usage: RawProcess): Pick<ProcessWhen, 'resource' | 'above'> {
  const { cpu, rss, threads, descriptors } = usage;
  if (cpu !== undefined) return { resource: 'cpu', above: cpu };
  if (rss !== undefined) return { resource: 'rss', above: rss };
  if (threads !== undefined) return { resource: 'threads', above: threads };
  return { resource: 'descriptors', above: descriptors ?? 0 };
}

function stepOf({ snapshot, now }: RawStep, hits: number): Step {
  if (snapshot !== undefined) {
    const { at, if: condition, capture, engine, depth, stack, bytes, every } = snapshot;
    return {
      kind: 'snapshot',
      location: at,
      captures: capture,
      engine: engine ?? '',
      bounds: optional({ depth, stackBytes: stack, bytes }),
      hits: snapshot.hits ?? hits,
      everyProcess: snapshot['every-process'],
      everyMs: every,
      ...optional({ condition }),
    };
  }
  return {
    kind: 'now',
    engine: now?.engine ?? '',
    bounds: optional({ stackBytes: now?.stack, bytes: now?.bytes }),
    processes: now?.processes ?? 1,
  };
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the keys whose value is undefined. */
function optional<T extends object>(values: T): Present<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>;
}
