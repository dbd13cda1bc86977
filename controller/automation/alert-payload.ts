/** The body of Alertmanager's webhook, version "4", as it really is. Keys that are not looked at may be anything. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { badData } from '../../format/error.js';

export interface AlertPayload {
  readonly groupKey: string;
  readonly alerts: readonly Alert[];
  /** Alerts of the group that Alertmanager left out, for its `max_alerts`. */
  readonly truncated: number;
}

export interface Alert {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** As it was sent. */
  readonly startsAt: string;
  readonly generatorUrl: string;
  /** The same whenever this alert of this group is sent again, firing or resolved. */
  readonly key: string;
}

const maxAlerts = 1000;
const maxPairs = 64;
/** A longer value can stand in no template: what is cut off is for people only. */
const maxValueLength = 1024;

const pairs = z.record(z.string().max(256), z.string());
const alertSchema = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: pairs,
  annotations: pairs.optional(),
  startsAt: z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'is no time'),
  generatorURL: z.string().optional(),
  fingerprint: z.string().max(256).optional(),
});
const payloadSchema = z.object({
  version: z.literal('4'),
  groupKey: z.string(),
  status: z.enum(['firing', 'resolved']),
  alerts: z.array(alertSchema).max(maxAlerts),
  truncatedAlerts: z.int().min(0).optional(),
});

/** Throws `bad-data`. */
export function parseAlertPayload(body: unknown): AlertPayload {
  const result = payloadSchema.safeParse(body, { error: wording });
  if (!result.success) {
    const [issue] = result.error.issues;
    const path = (issue?.path ?? [])
      .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
      .join('')
      .replace(/^\./, '');
    throw badData(`cannot read the alerts: ${path === '' ? '' : `${path} `}${issue?.message ?? ''}`, {
      hint: 'what is wanted is the body of an Alertmanager webhook, version "4"',
    });
  }
  const { groupKey, alerts, truncatedAlerts } = result.data;
  return {
    groupKey,
    truncated: truncatedAlerts ?? 0,
    alerts: alerts.map((alert) => ({
      status: alert.status,
      labels: bounded(alert.labels),
      annotations: bounded(alert.annotations ?? {}),
      startsAt: alert.startsAt,
      generatorUrl: cut(alert.generatorURL ?? ''),
      key: keyOf(groupKey, alert),
    })),
  };
}

function wording(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return 'is missing';
  if (issue.code === 'invalid_type') return `must be ${nouns[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value')
    return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
  if (issue.code === 'too_big')
    return `has more than ${String(issue.maximum)} ${issue.origin === 'array' ? 'entries' : 'characters'}`;
  if (issue.code === 'invalid_key') return 'is too long a name';
  return undefined;
}

const nouns: Readonly<Record<string, string>> = {
  string: 'text',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  int: 'a whole number',
};

function keyOf(groupKey: string, alert: z.output<typeof alertSchema>): string {
  const labels = Object.entries(alert.labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const fingerprint =
    alert.fingerprint === undefined || alert.fingerprint === '' ? labels : alert.fingerprint;
  return createHash('sha256')
    .update(JSON.stringify([groupKey, fingerprint, alert.startsAt]))
    .digest('hex');
}

function bounded(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values)
      .slice(0, maxPairs)
      .map(([name, value]) => [name, cut(value)]),
  );
}

const cut = (text: string): string =>
  text.length > maxValueLength ? `${text.slice(0, maxValueLength)}…` : text;
