/** Debian's Prometheus and Alertmanager, each with a folder and a port of its own on loopback, and quick enough to be watched. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StillframeError } from '../../../format/error.js';
import type { Stage, Started } from './stage.js';

export interface AlertmanagerOptions {
  /** Where it delivers, and what it shows as a bearer there. */
  readonly webhook: string;
  readonly token: string;
  /** It tells again what goes on so often. */
  readonly repeat: string;
}

export interface PrometheusOptions {
  /** `job` of what it scrapes: HOST:PORT. */
  readonly jobs: Readonly<Record<string, string>>;
  /** Alerting rules: a document of its `rule_files`. */
  readonly alerts: string;
  /** HOST:PORT. */
  readonly alertmanager: string;
}

/** A running server: its address is HOST:PORT. */
export interface Server {
  readonly program: Started;
  readonly address: string;
}

export async function startAlertmanager(stage: Stage, options: AlertmanagerOptions): Promise<Server> {
  const folder = join(stage.folder, 'alertmanager');
  mkdirSync(folder, { recursive: true });
  const token = join(folder, 'token');
  writeFileSync(token, options.token, { mode: 0o600 });
  const file = join(folder, 'alertmanager.yml');
  writeFileSync(file, alertmanagerFile(options, token));
  return listening(stage, 'prometheus-alertmanager', [
    `--config.file=${file}`,
    `--storage.path=${join(folder, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
    '--cluster.listen-address=',
  ]);
}

export function alertmanagerFile(options: AlertmanagerOptions, tokenFile: string): string {
  return `route:
  receiver: stillframe
  group_by: [alertname, job]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: ${options.repeat}
receivers:
  - name: stillframe
    webhook_configs:
      - url: ${options.webhook}
        send_resolved: true
        http_config:
          authorization:
            type: Bearer
            credentials_file: ${tokenFile}
`;
}

export async function startPrometheus(stage: Stage, options: PrometheusOptions): Promise<Server> {
  const folder = join(stage.folder, 'prometheus');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'alerts.yml'), options.alerts);
  const file = join(folder, 'prometheus.yml');
  writeFileSync(file, prometheusFile(options));
  return listening(stage, 'prometheus', [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
  ]);
}

function prometheusFile({ jobs, alertmanager }: PrometheusOptions): string {
  const scrapes = Object.entries(jobs).map(
    ([job, address]) => `  - job_name: ${job}\n    static_configs: [{ targets: ['${address}'] }]\n`,
  );
  return `global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [alerts.yml]
alerting:
  alertmanagers:
    - static_configs: [{ targets: ['${alertmanager}'] }]
scrape_configs:
${scrapes.join('')}`;
}

async function listening(stage: Stage, name: string, args: readonly string[]): Promise<Server> {
  try {
    const program = await stage.start(name, args, {
      ready: /msg="Listening on" address=(127\.0\.0\.1:[1-9]\d*)/,
    });
    return { program, address: program.ready[1] ?? '' };
  } catch (error) {
    throw new StillframeError('not-found', `cannot start ${name}`, {
      cause: error,
      hint: `install it (Debian: apt-get install ${name}), or run \`npm run demo:automation\` as root, which does`,
    });
  }
}

/** The first value of an instant query; undefined when it has none. */
export async function queryPrometheus(address: string, query: string): Promise<number | undefined> {
  const url = `http://${address}/api/v1/query?query=${encodeURIComponent(query)}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
  const body = (await response.json()) as { data?: { result?: { value?: [number, string] }[] } };
  const text = body.data?.result?.[0]?.value?.[1];
  return text === undefined ? undefined : Number(text);
}

/** `inactive`, `pending` or `firing`, of the alert of that name. */
export async function alertState(address: string, name: string): Promise<string> {
  const response = await fetch(`http://${address}/api/v1/alerts`, { signal: AbortSignal.timeout(5000) });
  const body = (await response.json()) as {
    data?: { alerts?: { labels: { alertname: string }; state: string }[] };
  };
  return body.data?.alerts?.find((alert) => alert.labels.alertname === name)?.state ?? 'inactive';
}
