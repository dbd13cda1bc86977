/**
 * An error rate rises, and the snapshot is in the store before anyone asks: a service under load, Debian's Prometheus and Alertmanager, an
 * agent, a controller, the command line. Nothing is mocked here; what is asked of the controller in code is asked over gRPC.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  alertState,
  startAlertmanager,
  startPrometheus,
} from '../../controller/cli/demo-automation/prometheus.js';
import {
  alertName,
  alertRule,
  alerts,
  metricRule,
  ruleName,
  type RuleOptions,
} from '../../controller/cli/demo-automation/rules.js';
import { badPercent, openScene, type Scene } from '../../controller/cli/demo-automation/scene.js';
import type { Stage } from '../../controller/cli/demo-automation/stage.js';
import type { IncidentDocument } from '../../controller/automation/incident.js';
import { closedIncident, countedRule, eventually } from '../support/automation.js';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { breakpointsAt, disturbedThreads } from '../support/code-bytes.js';
import type { SnapshotJson, ValueJson } from '../support/documents.js';
import { openToldStage } from '../support/told-stage.js';

let stage: Stage;
let workplace: Workplace;
let scene: Scene | undefined;

beforeEach(() => {
  stage = openToldStage('test');
  workplace = openWorkplace();
});
afterEach(async () => {
  scene?.[Symbol.dispose]();
  scene = undefined;
  await workplace[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

async function begin(rules: (options: RuleOptions) => string): Promise<Scene> {
  scene = await openScene(stage, rules);
  workplace.environment['STILLFRAME_CONTROLLER'] = scene.controller.address;
  return scene;
}

const document = async (id: string): Promise<IncidentDocument> => {
  const [found] = await workplace.json('incidents', 'show', id);
  return found as IncidentDocument;
};

/** The three ways to the error: who called `fail_order`. */
const callers = new Set(['authorise_payment', 'charge_stored_card', 'checkout_web']);

/** What every incident of the checkout's errors must show, whatever fired it. */
async function expectThreeStacks(incident: IncidentDocument, running: Scene): Promise<void> {
  expect(incident).toMatchObject({ state: 'closed', rule: ruleName, stacks: 3 });
  expect(incident.groups).toHaveLength(3);
  expect(new Set(incident.groups.map(({ stack }) => stack[1]?.split(' ')[0]))).toEqual(callers);
  for (const { stack } of incident.groups) expect(stack[0]).toMatch(/^fail_order failure\.c:\d+$/);
  const ids = incident.groups.flatMap(({ snapshots }) => snapshots);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBe(incident.snapshots);
  expect(ids.length).toBeGreaterThanOrEqual(3);
  expect(ids.length).toBeLessThanOrEqual(30);

  const asked = ['order->coupon->currency->decimals', 'order->total', 'order->coupon->code'];
  const isFirst = (id: string): boolean => incident.groups.some(({ snapshots }) => snapshots[0] === id);
  for (const id of ids) {
    // By the command line for one of each group, which takes its time; the others by the call that it makes.
    const values = isFirst(id)
      ? ((await workplace.json('eval', id, ...asked)) as ValueJson[])
      : await running.controller.api.evaluate({ name: id }, asked, { frame: 0 });
    const [decimals, total, code] = values as ValueJson[];
    expect(decimals?.value).toBe('0');
    expect(Number(total?.value)).toBeLessThan(0);
    expect(code?.text).toBe('SAKURA500');
    const shown = await running.controller.api.show({ name: id }, {});
    expect(shown.pid).toBe(running.service.pid);
    expect(shown.location?.function).toBe('fail_order');
    expect(shown.cost?.stoppedNs).toBe(0);
  }
  // The guilty value stands out without anybody asking: it is the same in all of them.
  for (const { same } of incident.groups) {
    expect(same).toContainEqual({ name: 'order->coupon->currency->decimals', text: '0' });
  }

  const kinds = incident.timeline.map(({ kind }) => kind);
  expect(kinds[0]).toBe('fired');
  expect(kinds.at(-1)).toBe('closed');
  expect(kinds.filter((kind) => kind === 'new-stack')).toHaveLength(3);
  expect(kinds.filter((kind) => kind === 'snapshot')).toHaveLength(ids.length);
  expect(kinds).toContain('armed');
  const bound = incident.timeline.find(({ kind }) => kind === 'bound');
  expect(bound?.text).toContain('3 different stacks came, as many as limits.stacks allows');

  // It went on all the while.
  expect(disturbedThreads(running.service.pid)).toEqual([]);
  const reports = running.load.reports();
  expect(reports.at(-1)?.wrong).toBe(0);
  // On a busy machine the service, or its load, may get no processor for a second.
  const answered = reports.slice(1).map(({ rps }) => rps);
  const spans = answered.slice(2).map((rps, i) => rps + (answered[i] ?? 0) + (answered[i + 1] ?? 0));
  expect(Math.min(...spans), `answers a second: ${answered.join(' ')}`).toBeGreaterThan(0);
}

/** What the error line holds: 1 while something is armed there. */
async function breakpoints(running: Scene): Promise<number> {
  const [last] = (await workplace.json('show', 'last')) as [SnapshotJson];
  return breakpointsAt(running.service.pid, [BigInt(last.location.address)]);
}

test(
  'Prometheus, Alertmanager, a rule: three stacks and the guilty value',
  { timeout: 180_000 },
  async () => {
    const running = await begin(alertRule);
    const { api, webhook, token } = running.controller;
    const alertmanager = await startAlertmanager(stage, { webhook, token, repeat: '2s' });
    const jobs = { [stage.serviceName]: running.service.address };
    const prometheus = await startPrometheus(stage, { jobs, alerts, alertmanager: alertmanager.address });
    await running.load.seconds(3);
    expect(await workplace.json('points')).toEqual([]);
    expect(await workplace.json('incidents')).toEqual([]);

    running.load.mix('yen', badPercent);
    const { id } = await closedIncident(api, ruleName);
    const incident = await document(id);
    expect(incident.trigger).toBe('alertmanager');
    expect(incident.labels).toMatchObject({
      alertname: 'CheckoutErrors',
      job: stage.serviceName,
      severity: 'page',
    });
    await expectThreeStacks(incident, running);

    // Alertmanager tells it again and again: it is the same alert, which was handled.
    const told = await countedRule(api, ruleName);
    await sleep(5000);
    expect((await document(id)).timeline).toEqual(incident.timeline);
    expect(await countedRule(api, ruleName)).toMatchObject({ firings: 1, refused: told.refused });

    // It goes away and comes back: another alert, and the cooldown holds.
    running.load.mix('yen', 0);
    await eventually(
      'the alert is over',
      async () => (await alertState(prometheus.address, alertName)) === 'inactive',
    );
    running.load.mix('yen', badPercent);
    await eventually('it is refused', async () => (await countedRule(api, ruleName)).refused > told.refused);
    const after = await countedRule(api, ruleName);
    expect(after.firings).toBe(1);
    expect(after.why).toMatch(/cools down/);
    expect(await workplace.json('incidents')).toHaveLength(1);
    const points = (await workplace.json('points')) as { readonly state: string }[];
    expect(points.filter(({ state }) => state === 'armed' || state === 'pending')).toEqual([]);

    const archive = join(stage.folder, 'incident.tar.gz');
    const exported = await workplace.run('incidents', 'export', id, '-o', archive);
    expect(exported.status, exported.stderr).toBe(0);
    const listed = await workplace.startProgram('tar', ['-tzf', archive], { ready: /timeline|incident/ });
    await eventually('tar has listed it', () => listed.process.exitCode !== null);
    expect(listed.process.exitCode).toBe(0);
    expect(listed.lines.filter((line) => line.endsWith('.core'))).toHaveLength(incident.snapshots);
  },
);

test('a metric point alone', { timeout: 180_000 }, async () => {
  const running = await begin(metricRule);
  await running.load.seconds(3);
  expect((await countedRule(running.controller.api, ruleName)).firings).toBe(0);
  running.load.mix('yen', badPercent);
  const { id } = await closedIncident(running.controller.api, ruleName);
  const incident = await document(id);
  expect(incident.trigger).toBe('metric');
  await expectThreeStacks(incident, running);

  // The rule goes on counting there, until it is gone.
  expect(await breakpoints(running)).toBe(1);
  writeFileSync(join(stage.folder, 'rules.yaml'), 'rules: []\n');
  await eventually('nothing is armed any more', async () => (await breakpoints(running)) === 0);
});

test('a line of a log file, through rotation', { timeout: 180_000 }, async () => {
  const log = join(stage.folder, 'checkout.log');
  writeFileSync(log, '');
  const running = await begin(
    ({ service, location }) => `rules:
  - name: log-errors
    when:
      log: { file: ${log}, match: 'ERROR order \\d+ failed', count: 5, within: 10s }
    where: service:${service}
    what:
      - snapshot: { at: ${location}, hits: 1 }
    limits: { cooldown: 1s, hits: 1, expire: 30s }
`,
  );
  const { api } = running.controller;
  await running.load.seconds(1);
  running.load.mix('yen', badPercent);
  const first = await closedIncident(api, 'log-errors');
  expect(first.trigger).toBe('log');
  expect(first.snapshots).toBe(1);
  running.load.mix('yen', 0);
  await sleep(2000);
  const { firings } = await countedRule(api, 'log-errors');

  // As logrotate does: the file is moved away, and the service told.
  renameSync(log, `${log}.1`);
  running.service.program.process.kill('SIGHUP');
  running.load.mix('yen', badPercent);
  const second = await closedIncident(api, 'log-errors', { number: firings + 1 });
  expect(second.snapshots).toBe(1);
  expect(second.cause).toContain(log);
});

test('memory and threads of a process', { timeout: 180_000 }, async () => {
  const running = await begin(
    ({ service }) => `rules:
  - name: memory
    when:
      process: { target: service:${service}, rss: 64MiB, for: 2s }
    where: self
    what:
      - snapshot: { at: print_gift_card, hits: 1 }
    limits: { hits: 1 }
  - name: threads
    when:
      process: { target: service:${service}, threads: 30, for: 1s }
    where: self
    what:
      - now: {}
`,
  );
  const { api } = running.controller;
  await running.load.seconds(3);
  for (const name of ['memory', 'threads']) expect((await countedRule(api, name)).firings).toBe(0);

  running.load.mix('gift', 10);
  const memory = await closedIncident(api, 'memory');
  expect(memory).toMatchObject({ trigger: 'process', snapshots: 1 });
  expect(memory.groups[0]?.stack[0]).toMatch(/^print_gift_card side-effects\.c:\d+$/);
  running.load.mix('gift', 0);

  running.load.mix('review', 5);
  const threads = await closedIncident(api, 'threads');
  running.load.mix('review', 0);
  expect(threads.snapshots).toBe(1);
  const [id = ''] = threads.groups.flatMap(({ snapshots }) => snapshots);
  const [snapshot] = (await workplace.json('show', id, '--all-threads')) as [SnapshotJson];
  expect(snapshot.threads.filter(({ comm }) => comm === 'review').length).toBeGreaterThan(20);
});
