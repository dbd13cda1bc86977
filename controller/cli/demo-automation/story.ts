/**
 * `stillframe demo --automation`: an error rate rises, and the snapshot is in the store before anyone asks. A service with a bug under load;
 * Prometheus and Alertmanager, or a metric point of our own alone; an agent; a controller with one rule. All is real, and all is
 * removed at the end, also after a failure or Ctrl-C.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StillframeError } from '../../../format/error.js';
import type { IncidentDocument } from '../../automation/incident.js';
import { heading } from '../narration.js';
import { alertState, queryPrometheus, startAlertmanager, startPrometheus } from './prometheus.js';
import { alertName, alertRule, alerts, errorRatio, metricRule } from './rules.js';
import {
  badPercent,
  followIncident,
  openScene,
  renderPhases,
  requestsPerSecond,
  type Scene,
} from './scene.js';
import { openStage, type Stage } from './stage.js';

const secondsPerPhase = 3;
const incidentTimeoutMs = 60_000;

/** Runs the demo; resolves to the exit status. */
export async function runAutomationDemo(options: { readonly withoutPrometheus: boolean }): Promise<number> {
  const stage = openStage('demo', 'checkout-demo');
  const interrupted = (): void => {
    void stage[Symbol.asyncDispose]().then(() => process.exit(130));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    await (options.withoutPrometheus ? tellMetric(stage) : tellAlert(stage));
    return 0;
  } finally {
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
    await stage[Symbol.asyncDispose]();
  }
}

async function tellAlert(stage: Stage): Promise<void> {
  heading('What is set up', [
    `A checkout service in C, built by gcc -O2 -g, answering ${requestsPerSecond} orders a second. It counts its errors for Prometheus,`,
    'and knows nothing of Stillframe. Prometheus scrapes it each second; its alert fires when more than 1% of the orders fail for',
    '3 seconds; Alertmanager tells it to the webhook of a Stillframe controller. An agent runs beside the service. No point is set.',
  ]);
  using scene = await openScene(stage, alertRule);
  const { service, controller } = scene;
  const { webhook, token } = controller;
  const alertmanager = await startAlertmanager(stage, { webhook, token, repeat: '5s' });
  const prometheus = await startPrometheus(stage, {
    jobs: { [stage.serviceName]: service.address },
    alerts,
    alertmanager: alertmanager.address,
  });
  say(`service: process ${service.pid}, http://${service.address}/metrics`);
  say(`Prometheus: http://${prometheus.address}   Alertmanager: http://${alertmanager.address}`);
  say(`Alertmanager's webhook: ${webhook}, with a bearer token`);
  introduceRule(scene);

  const before = await scene.load.seconds(secondsPerPhase);
  heading('The error rate rises', [
    `From now on ${badPercent}% of the orders are of a kind that nobody had tried: in yen, with a coupon. Nobody does anything else.`,
  ]);
  scene.load.mix('yen', badPercent);
  const begin = scene.load.reports().length;
  const incident = await followIncident(scene, {
    timeoutMs: incidentTimeoutMs,
    onOpen: () => {
      say("The alert fires, Alertmanager's webhook arrives, the rule sets a point. Seconds from then on:");
    },
    onWait: async () => {
      const ratio = (await queryPrometheus(prometheus.address, errorRatio)) ?? 0;
      const state = await alertState(prometheus.address, alertName);
      say(
        `Prometheus: ${(ratio * 100).toFixed(1).padStart(4)}% of the orders fail, alert ${alertName} is ${state}`,
      );
    },
  });
  const during = scene.load.reports().slice(begin);
  tellIncident(scene, incident);

  heading('The alert goes on; the rule does not', [
    'Alertmanager repeats itself every 5 seconds: that is the same alert, and it is handled once. If it resolved and fired anew, the rule',
    'would still be cooling down, and after five firings in a day it would rest until tomorrow.',
  ]);
  await sleep(6000);
  controller.show(['rules', 'ls']);
  await tellService(scene, before, during, incident);
}

async function tellMetric(stage: Stage): Promise<void> {
  heading('What is set up', [
    `A checkout service in C, built by gcc -O2 -g, answering ${requestsPerSecond} orders a second. Suppose that it counted nothing: no Prometheus,`,
    'no Alertmanager here. A Stillframe controller counts for itself how often a line of the service is passed, in the kernel.',
  ]);
  using scene = await openScene(stage, metricRule);
  say(`service: process ${scene.service.pid}`);
  introduceRule(scene);

  const before = await scene.load.seconds(secondsPerPhase);
  scene.controller.show(['points']);
  heading('The error rate rises', [
    `From now on ${badPercent}% of the orders are of a kind that nobody had tried: in yen, with a coupon. Nobody does anything else.`,
  ]);
  scene.load.mix('yen', badPercent);
  const begin = scene.load.reports().length;
  const incident = await followIncident(scene, {
    timeoutMs: incidentTimeoutMs,
    onOpen: () => {
      say('The rate is above the bound, the rule sets a point. Seconds from then on:');
    },
    onWait: async () => {
      const [rule] = await scene.controller.api.rules();
      say(rule?.why.split(';')[0] ?? '');
    },
  });
  const during = scene.load.reports().slice(begin);
  tellIncident(scene, incident);
  await tellService(scene, before, during, incident);
}

function introduceRule({ stage, controller }: Scene): void {
  const file = join(stage.folder, 'rules.yaml');
  heading('One rule: when, where, what, how much', [`The controller read it from ${file}:`]);
  process.stdout.write(`\n${readFileSync(file, 'utf8').replaceAll(/^/gm, '   ').trimEnd()}\n`);
  controller.show(['rules', 'ls']);
}

function tellIncident({ controller }: Scene, incident: IncidentDocument): void {
  heading('The incident, as anyone can read it later', [
    'What fired, where it was armed, and what came, grouped by stack: each group is a way that leads to the error.',
    'Values that are the same in all of a group stand apart from those that differ.',
  ]);
  controller.show(['incidents', 'show', incident.id]);
  process.stdout.write('\n');
  say(
    `${incident.snapshots} snapshots, ${incident.groups.length} ways to the error. On all of them, whoever ordered whatever:`,
  );
  for (const { name, text } of commonValues(incident)) say(`  ${name} = ${text}`);
  const [snapshot] = incident.groups.flatMap(({ snapshots }) => snapshots);
  if (snapshot === undefined) throw new StillframeError('internal', 'the incident has no snapshot');
  heading('Ask one of its snapshots what the rule did not ask for', [
    'The coupon is worth 500 yen, and takes off 50000: pricing.c multiplies by 100 in every currency, but a yen has no hundredths',
    '(decimals = 0). So the total is negative, and three parts of the service refuse it, each in its own way.',
  ]);
  controller.show([
    'eval',
    snapshot,
    'order->coupon->code',
    'order->coupon->amount',
    'order->subtotal',
    'order->discount',
    'order->customer->name',
  ]);
}

/** Values that are the same wherever they were seen, and are about what was ordered with: the suspects. */
function commonValues({
  groups,
}: IncidentDocument): readonly { readonly name: string; readonly text: string }[] {
  const [first, ...others] = groups;
  return (first?.same ?? []).filter(
    ({ name, text }) =>
      /^order->(?:coupon|currency|discount)/.test(name) &&
      others.every(({ same }) => same.some((each) => each.name === name && each.text === text)),
  );
}

async function tellService(
  { load, controller, service }: Scene,
  before: Awaited<ReturnType<Scene['load']['seconds']>>,
  during: typeof before,
  incident: IncidentDocument,
): Promise<void> {
  heading('And the service?', [
    'Its figures as its callers saw them: before; from the first bad order until the incident was closed; after.',
  ]);
  const after = await load.seconds(secondsPerPhase);
  process.stdout.write(`${renderPhases({ before, 'while it was looked into': during, after })}\n`);
  const stoppedNs = await stoppedIn(controller.api, incident);
  const wrong = after.at(-1)?.wrong ?? 0;
  say(
    `answers other than due: ${wrong}; process ${service.pid} still runs; threads stopped: ${stoppedNs} ns in all`,
  );
}

/** What all snapshots of the incident say that they cost in standstill. */
async function stoppedIn(api: Scene['controller']['api'], { groups }: IncidentDocument): Promise<number> {
  let sum = 0;
  for (const id of groups.flatMap(({ snapshots }) => snapshots)) {
    sum += (await api.show({ name: id }, {})).cost?.stoppedNs ?? 0;
  }
  return sum;
}

function say(line: string): void {
  process.stdout.write(`   ${line}\n`);
}
