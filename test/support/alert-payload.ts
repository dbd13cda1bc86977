/** Bodies as Alertmanager 0.25 posts them: version 4, all its keys, in its order. */
import { createHash } from 'node:crypto';

export interface AlertOptions {
  readonly name: string;
  readonly job?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly status?: 'firing' | 'resolved';
  /** Tells one firing of an alert from the next. */
  readonly startsAt: Date;
}

export interface AlertBody {
  readonly version: '4';
  readonly status: 'firing' | 'resolved';
  readonly groupKey: string;
  readonly alerts: readonly { readonly fingerprint: string; readonly startsAt: string }[];
}

/** One group of one alert, as `group_by: [alertname, job]` makes it. */
export function alertBody(options: AlertOptions): AlertBody {
  const { name, job = 'checkout', startsAt, status = 'firing', annotations = {} } = options;
  const labels = { alertname: name, job, severity: 'page', ...options.labels };
  const groupLabels = { alertname: name, job: labels.job };
  const group = `alertname=${JSON.stringify(name)}, job=${JSON.stringify(labels.job)}`;
  const fingerprint = createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 16);
  const endsAt = status === 'firing' ? '0001-01-01T00:00:00Z' : new Date(+startsAt + 5000).toISOString();
  const body = {
    receiver: 'stillframe',
    status,
    alerts: [
      {
        status,
        labels,
        annotations,
        startsAt: startsAt.toISOString(),
        endsAt,
        generatorURL: 'http://127.0.0.1:9090/graph?g0.expr=up&g0.tab=1',
        fingerprint,
      },
    ],
    groupLabels,
    commonLabels: labels,
    commonAnnotations: annotations,
    externalURL: 'http://127.0.0.1:9093',
    version: '4' as const,
    groupKey: `{}:{${group}}`,
    truncatedAlerts: 0,
  };
  return body;
}

export interface Posted {
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

/** Posts a body; an object as JSON. Without a token, without authorization. */
export async function postAlert(
  webhook: string,
  token: string | undefined,
  body: object | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Posted> {
  const begin = performance.now();
  const response = await fetch(webhook, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Alertmanager/0.25.0',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  return { status: response.status, text, ms: performance.now() - begin };
}
