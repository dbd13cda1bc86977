/**
 * From an alert to an armed point: Alertmanager's payload is posted to a controller, its rule resolves the label to a process, plans, and
 * the agent arms a uprobe. Measured from before the request is sent until the controller says "armed" (which it does when the kernel has
 * the probe); the process is new to the controller at the first alert only, as in an incident. Its peer in the same run is what a
 * team without Stillframe can write: a webhook that starts `bpftrace` on the same line.
 * usage: node dist/bench/alert-to-armed.js [--json]
 */
import { spawn } from 'node:child_process';
import { readlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { errorLocation, startService } from '../controller/cli/demo-automation/checkout.js';
import { startAgent, startController, type Controller } from '../controller/cli/demo-automation/scene.js';
import { openStage } from '../controller/cli/demo-automation/stage.js';
import { alertBody, postAlert } from '../test/support/alert-payload.js';
import { median } from './machine.js';
import { report } from './measure.js';

const alerts = 40;
const peers = 5;

/** A rule for each alert, so that no bound of one stands in the way of the next. */
const rules = `rules:\n${Array.from(
  { length: alerts },
  (_, i) => `  - name: bench-${i}
    when: { alertmanager: { alert: Bench${i} } }
    where: 'service:{{ labels.job }}'
    allow: { job: [checkout] }
    what:
      - snapshot: { at: ${errorLocation()} }
    limits: { expire: 10m }
`,
).join('')}`;

/** Resolves at the first point of the rule that is armed; removes it. */
async function alertOnce({ api, webhook, token }: Controller, i: number): Promise<number> {
  const over = new AbortController();
  let armed: { readonly id: string; readonly atMs: number } | undefined;
  const body = alertBody({ name: `Bench${i}`, startsAt: new Date() });
  const watching = api.watchPoints(undefined, {
    signal: over.signal,
    points(points) {
      const point = points.find(({ state, owner }) => state === 'armed' && owner === `rule:bench-${i}`);
      if (point === undefined) return;
      armed ??= { id: point.id, atMs: performance.now() };
      over.abort();
    },
  });
  const timer = setTimeout(() => over.abort(), 20_000);
  const begin = performance.now();
  const { status, text } = await postAlert(webhook, token, body);
  if (status >= 300) throw new Error(`the webhook answered ${status}: ${text}`);
  await watching;
  clearTimeout(timer);
  if (armed === undefined) throw new Error(`alert ${i} armed nothing`);
  await api.removePoints([armed.id]);
  return armed.atMs - begin;
}

/** The same by a webhook of a few lines that starts bpftrace; until it has attached. */
async function peerOnce(program: string, pid: number): Promise<number> {
  const script = `uprobe:${program}:fail_order { printf("hit\\n"); } BEGIN { printf("attached\\n"); }`;
  let child: ReturnType<typeof spawn> | undefined;
  const server = createServer((request, response) => {
    request.resume();
    response.end();
    child = spawn('bpftrace', ['-p', String(pid), '-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout?.once('data', () => server.emit('attached'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const attached = new Promise<void>((resolve) => server.once('attached', resolve));
  const begin = performance.now();
  await postAlert(`http://127.0.0.1:${port}/`, undefined, alertBody({ name: 'Peer', startsAt: new Date() }));
  await attached;
  const ms = performance.now() - begin;
  const ended = new Promise((resolve) => child?.once('exit', resolve));
  child?.kill('SIGINT');
  await ended;
  server.close();
  server.closeAllConnections();
  return ms;
}

const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ??
  Number.NaN;

await using stage = openStage('bench', 'checkout');
const service = await startService(stage);
await startAgent(stage);
const file = join(stage.folder, 'rules.yaml');
writeFileSync(file, rules);
using controller = await startController(stage, { rules: file });
while (
  !(await controller.api.targets('service:checkout').then(
    () => true,
    () => false,
  ))
) {
  await new Promise((resolve) => setTimeout(resolve, 100));
}
const first = await alertOnce(controller, 0);
const ours: number[] = [];
for (let i = 1; i < alerts; i++) ours.push(await alertOnce(controller, i));
const theirs: number[] = [];
for (let i = 0; i < peers; i++)
  theirs.push(await peerOnce(readlinkSync(`/proc/${service.pid}/exe`), service.pid));
report('alert-to-armed', {
  'ms from the alert to an armed point': {
    'the first of a controller, which has not read the program yet': first,
    p50: percentile(ours, 0.5),
    p99: percentile(ours, 0.99),
    'webhook that starts bpftrace, p50': median(theirs),
  },
  ratios: { 'stillframe p50 / bpftrace p50': percentile(ours, 0.5) / median(theirs) },
});
