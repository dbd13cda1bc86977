/** What a rule may say, key by key. docs/automation.md says the same to people. */
import * as z from 'zod';
import { engineNames } from '../../format/capture.js';
import { defaultLimits } from '../../format/limits.js';
import { resources } from '../fleet/fleet.js';
import { didYouMean, nearMatches } from '../expression/near-match.js';
import { duration, percent, rate, size, type Quantity } from './quantity.js';
import type { RawRule } from './raw-rule.js';
import { triggerKinds } from './rule.js';
import {
  checkExpression,
  checkLocation,
  checkPattern,
  checkTarget,
  checkUrl,
  type SyntaxFault,
} from './rule-syntax.js';
import { isFault, parseTemplate } from './template.js';

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const maxTextLength = 2000;
const maxNameLength = 256;

/** A map that has these keys and no other. Unknown ones are told a line each, in the order of the issue's keys. */
function keys<S extends z.core.$ZodShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownKey(key, known)).join('\n')
        : undefined,
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = didYouMean(nearMatches(key, known));
  return `there is no such key: ${near ?? `here may stand ${known.join(', ') || 'none'}`}`;
}

/** Exactly one of these keys; told also where something else is wrong. */
function exactlyOne(names: readonly string[]) {
  return {
    check: (value: unknown): boolean => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return true;
      return names.filter((name) => Object.hasOwn(value, name)).length === 1;
    },
    options: {
      message: `needs exactly one of ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`,
      when: (): boolean => true,
    },
  };
}

const text = (max = maxTextLength) =>
  z
    .string()
    .min(1, 'is empty')
    .max(max, `has more than ${max} characters`)
    .regex(/^[^\p{Cc}]*$/u, 'holds a control character');

/** Text with a syntax of its own; a template may stand in it where that is said. */
function syntax(
  check: (text: string) => SyntaxFault | undefined,
  { max = maxTextLength, templates = false }: { readonly max?: number; readonly templates?: boolean } = {},
) {
  return text(max).superRefine((value, context) => {
    const fault = (!value.includes('{{') ? undefined : checkTemplate(value, templates)) ?? syntaxOf(value);
    if (fault === undefined) return;
    const { message, position } = fault;
    const said = /^(?:is|has|holds) /.test(message) ? `${quoted(value)} ${message}` : message;
    context.addIssue({
      code: 'custom',
      message: said,
      ...(position === undefined ? {} : { params: { position } }),
    });
  });
  function syntaxOf(value: string): SyntaxFault | undefined {
    return value === '' || value.includes('{{') ? undefined : check(value);
  }
}

function checkTemplate(value: string, allowed: boolean): SyntaxFault | undefined {
  if (!allowed) return { message: 'no template may stand here', position: value.indexOf('{{') };
  const parsed = parseTemplate(value);
  return isFault(parsed) ? parsed : undefined;
}

const quoted = (value: string): string =>
  JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);

/** A number is taken as its text, so that it can be told what it lacks. */
function quantity(kind: Quantity, least: number, most: number) {
  const parsed = z.string().transform((value, context) => {
    const found = kind.parse(value.trim());
    if (found === undefined)
      context.addIssue({ code: 'custom', message: `${quoted(value)} is no ${kind.noun}` });
    else if (found < least || found > most) {
      const message = `must be from ${kind.render(least)} to ${kind.render(most)}, not ${value}`;
      context.addIssue({ code: 'custom', message });
    } else return found;
    return z.NEVER;
  });
  return z.preprocess((value) => (typeof value === 'number' ? String(value) : value), parsed);
}

function count(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return z
    .int({ error: (issue) => (issue.input === undefined ? undefined : message) })
    .min(least, message)
    .max(most, message);
}

/** `{}` may be left out. */
const orEmpty = <T extends z.ZodType>(schema: T) => z.preprocess((value) => value ?? {}, schema);

const path = text(4096).regex(/^\//, 'must be an absolute path');
const target = syntax(checkTarget, { max: maxNameLength });
const host = text(253).regex(/^[A-Za-z0-9._:-]+$/, 'is no name of a host');
const location = syntax(checkLocation, { templates: true });
const expression = syntax(checkExpression, { templates: true });
const engine = z.enum(engineNames);
const forAWhile = quantity(duration, 0, 24 * hourMs);

const prometheusBounds = exactlyOne(['above', 'below']);
const prometheus = keys({
  url: syntax(checkUrl),
  query: text(8000),
  above: z.number().optional(),
  below: z.number().optional(),
  for: forAWhile.default(0),
  every: quantity(duration, secondMs, hourMs).default(15 * secondMs),
  timeout: quantity(duration, 100, minuteMs).default(5 * secondMs),
  'token-file': path.optional(),
}).refine(prometheusBounds.check, prometheusBounds.options);

const labelPattern = text(1024);
const alertmanager = keys({
  alert: labelPattern.optional(),
  labels: z.record(z.string(), labelPattern).optional(),
}).refine((value) => value.alert !== undefined || Object.keys(value.labels ?? {}).length > 0, {
  message: 'needs alert, or at least one of labels: else it would fire for every alert',
});

const metric = keys({
  target,
  at: syntax(checkLocation),
  if: syntax(checkExpression).optional(),
  engine: engine.optional(),
  above: quantity(rate, 1e-6, 1e9),
  for: forAWhile.default(0),
  window: quantity(duration, secondMs, 10 * minuteMs).default(10 * secondMs),
});

const log = keys({
  file: path,
  match: syntax(checkPattern),
  host: host.optional(),
  count: count(1, 1_000_000).default(1),
  within: quantity(duration, secondMs, hourMs).default(minuteMs),
});

const processBounds = exactlyOne(resources);
const processUsage = keys({
  target,
  cpu: quantity(percent, 0.1, 100_000).optional(),
  rss: quantity(size, 1, 2 ** 50).optional(),
  threads: count(1, 10_000_000).optional(),
  descriptors: count(1, 100_000_000).optional(),
  for: forAWhile.default(30 * secondMs),
}).refine(processBounds.check, processBounds.options);

const triggers = exactlyOne(triggerKinds);
const when = keys({
  prometheus: prometheus.optional(),
  alertmanager: alertmanager.optional(),
  metric: metric.optional(),
  log: log.optional(),
  process: processUsage.optional(),
  manual: orEmpty(keys({})).optional(),
}).refine(triggers.check, { ...triggers.options, message: `${triggers.options.message} as its trigger` });

const captures = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(expression).max(32, 'has more than 32 entries'),
);

const snapshot = keys({
  at: location,
  if: expression.optional(),
  capture: captures.default([]),
  hits: count(1, defaultLimits.maxHits).optional(),
  every: quantity(duration, 1, 24 * hourMs).default(secondMs),
  'every-process': z.boolean().default(false),
  engine: engine.optional(),
  depth: count(0, 20).optional(),
  stack: quantity(size, 0, defaultLimits.maxStackBytes).optional(),
  bytes: quantity(size, 1, defaultLimits.maxHitBytes).optional(),
});

const now = keys({
  processes: count(1, 20).default(3),
  engine: engine.optional(),
  stack: quantity(size, 0, defaultLimits.maxStackBytes).optional(),
  bytes: quantity(size, 1, 64 * 1024 * 1024).optional(),
});

const stepKinds = exactlyOne(['snapshot', 'now']);
const step = keys({ snapshot: snapshot.optional(), now: orEmpty(now).optional() }).refine(
  stepKinds.check,
  stepKinds.options,
);

const limits = keys({
  cooldown: quantity(duration, secondMs, 30 * 24 * hourMs).default(10 * minuteMs),
  'per-day': count(1, 1000).default(5),
  hits: count(1, defaultLimits.maxHits).default(10),
  stacks: count(1, 100).default(3),
  expire: quantity(duration, 10 * secondMs, defaultLimits.maxExpiryMs).default(15 * minuteMs),
  'suspend-after': count(1, 100).default(5),
});

const allowName = /^(?:annotations\.)?[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const allowed = z.array(text(128)).min(1, 'is empty').max(200, 'has more than 200 entries');
const allow = z.record(
  z.string().regex(allowName, 'must be the name of a label, or annotations.NAME'),
  allowed,
);

const notify = z
  .array(
    keys({
      url: syntax(checkUrl),
      'token-file': path.optional(),
      'secret-file': path.optional(),
      'include-values': z.boolean().default(false),
    }),
  )
  .max(10, 'has more than 10 entries');

const rule = keys({
  name: text(63).regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    'must be a word of letters, digits and . _ -, which begins with a letter or a digit',
  ),
  note: z.string().max(maxTextLength, `has more than ${maxTextLength} characters`).default(''),
  enabled: z.boolean().default(true),
  when,
  where: syntax((value) => (value === 'self' ? undefined : checkTarget(value)), {
    max: maxNameLength,
    templates: true,
  }),
  allow: allow.default({}),
  what: z.array(step).min(1, 'is empty').max(10, 'has more than 10 steps'),
  'stop-on-failure': z.boolean().default(false),
  limits: orEmpty(limits),
  'dry-run': z.boolean().default(false),
  notify: notify.default([]),
});

export interface SchemaIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** The key itself is wrong, not its value. */
  readonly atKey: boolean;
  /** Index of the first wrong character of the text at the path. */
  readonly position?: number;
}

export type SchemaResult =
  { readonly raw: RawRule; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

/** One entry of `rules`. */
export function parseRawRule(value: unknown): SchemaResult {
  const result = rule.safeParse(value, { error: wording });
  if (result.success) return { raw: result.data };
  return { issues: result.error.issues.flatMap(issuesOf) };
}

function issuesOf(issue: z.core.$ZodIssue): SchemaIssue[] {
  const at = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n');
    return issue.keys.map((key, i) => ({ path: [...at, key], message: messages[i] ?? '', atKey: true }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path: at, message: issue.issues[0]?.message ?? issue.message, atKey: true }];
  }
  const position: unknown = issue.code === 'custom' ? issue.params?.['position'] : undefined;
  return [
    { path: at, message: issue.message, atKey: false, ...(typeof position === 'number' ? { position } : {}) },
  ];
}

const expectations: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys with values',
  record: 'keys with values',
};

/** What no schema says itself. */
function wording(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'is missing';
    if (issue.input === null) return 'has no value';
    const wanted = expectations[issue.expected] ?? issue.expected;
    const quotes = issue.expected === 'string' && typeof issue.input !== 'object' ? ': put it in quotes' : '';
    return `must be ${wanted}, not ${nounOf(issue.input)}${quotes}`;
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const near = didYouMean(nearMatches(String(issue.input), values));
    if (issue.input === undefined) return 'is missing';
    return `must be one of ${values.join(', ')}${near === undefined ? '' : `: ${near}`}`;
  }
  return undefined;
}

function nounOf(value: unknown): string {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return Number.isFinite(value) ? 'a number' : String(value);
  if (typeof value === 'boolean') return 'true or false';
  return Array.isArray(value) ? 'a list' : 'keys with values';
}
