/** What both ways of the demo share: the service under load, an agent, a controller with a rules file, and watching them. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import pc from 'picocolors';
import { parseEndpoint } from '../../../format/endpoint.js';
import { StillframeError } from '../../../format/error.js';
import type { IncidentDocument } from '../../automation/incident.js';
import { ControllerClient } from '../../rpc/controller-client.js';
import { commandLine, figures, median } from '../narration.js';
import {
  errorLocation,
  type Load,
  type LoadSecond,
  type Service,
  startLoad,
  startService,
} from './checkout.js';
import { ruleName, type RuleOptions } from './rules.js';
import type { Stage, Started } from './stage.js';

/** This file runs from dist/controller/cli/demo-automation. */
export const program: string = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  '..',
  '..',
  'bin',
  'stillframe.js',
);
const pollMs = 200;

export interface Controller extends Disposable {
  readonly started: Started;
  readonly api: ControllerClient;
  /** For --controller. */
  readonly address: string;
  /** What Alertmanager delivers to, and what it shows there. */
  readonly webhook: string;
  readonly token: string;
  /** Runs a command against it, shown as a user would type it, with its output. */
  show(args: readonly string[]): void;
}

export interface Scene extends Disposable {
  readonly stage: Stage;
  readonly service: Service;
  readonly load: Load;
  readonly controller: Controller;
}

/** Where the stage's agent listens. */
export const agentAddress = (stage: Stage): string => `unix:${join(stage.folder, 'agent.sock')}`;

/** Starts an agent, or another one after it was killed: socket and spool are the stage's. */
export function startAgent(stage: Stage): Promise<Started> {
  const spool = join(stage.folder, 'spool');
  const args = [program, 'agent', '--listen', agentAddress(stage), '--spool', spool];
  return stage.start(process.execPath, args, { ready: /^stillframe agent ready/ });
}

/** Starts a controller of the stage's agent, or another one after it was killed: socket, store and token are the stage's. */
export async function startController(
  stage: Stage,
  { rules, http = '127.0.0.1:0' }: { readonly rules: string; readonly http?: string },
): Promise<Controller> {
  const socket = `unix:${join(stage.folder, 'controller.sock')}`;
  const tokenFile = join(stage.folder, 'webhook-token');
  if (!existsSync(tokenFile)) writeFileSync(tokenFile, randomBytes(16).toString('hex'), { mode: 0o600 });
  const token = readFileSync(tokenFile, 'utf8');
  const args = ['controller', '--listen', socket, '--http', http, '--agent', agentAddress(stage)];
  args.push('--store', `sqlite:${join(stage.folder, 'store')}`);
  args.push('--rules', rules, '--webhook-token', tokenFile);
  const started = await stage.start(process.execPath, [program, ...args], {
    ready: /^stillframe controller ready.*(http:\/\/127\.0\.0\.1:\d+)/,
  });
  const api = new ControllerClient({ endpoint: parseEndpoint(socket), tls: undefined });
  const environment = { ...stage.environment, STILLFRAME_CONTROLLER: socket };
  return {
    started,
    api,
    address: socket,
    token,
    webhook: `${started.ready[1]}/api/v1/alerts`,
    show(shown) {
      commandLine(shown);
      const run = spawnSync(process.execPath, [program, ...shown], { env: environment, stdio: 'inherit' });
      if (run.status === 0) return;
      throw new StillframeError('internal', `the command ended with status ${run.status ?? run.signal}`);
    },
    [Symbol.dispose]: () => api[Symbol.dispose](),
  };
}

export async function openScene(stage: Stage, rulesOf: (options: RuleOptions) => string): Promise<Scene> {
  const service = await startService(stage);
  const load = await startLoad(stage, service, requestsPerSecond);
  const rules = join(stage.folder, 'rules.yaml');
  writeFileSync(rules, rulesOf({ service: stage.serviceName, location: errorLocation() }));
  await startAgent(stage);
  const controller = await startController(stage, { rules });
  const broken = (await controller.api.rules()).find(({ state }) => state !== 'active');
  if (broken !== undefined)
    throw new StillframeError('bad-data', `rule ${broken.name} does not run: ${broken.why}`);
  return { stage, service, load, controller, [Symbol.dispose]: () => controller[Symbol.dispose]() };
}

export const requestsPerSecond = 1500;
/** What the load sends of the request that shows the bug. */
export const badPercent = 5;

export interface FollowOptions {
  readonly timeoutMs: number;
  /** About once a second before it opens. */
  readonly onWait: () => Promise<void>;
  readonly onOpen: () => void;
}

/** Prints what happens in an incident as it happens, until it is closed. */
export async function followIncident(
  scene: Scene,
  { timeoutMs, onWait, onOpen }: FollowOptions,
): Promise<IncidentDocument> {
  const beginMs = Date.now();
  let told = 0;
  for (let polls = 0; Date.now() - beginMs < timeoutMs; polls++) {
    const [open] = await scene.controller.api.incidents({ rule: ruleName });
    if (open === undefined) {
      if (polls % Math.round(1000 / pollMs) === 0) await onWait();
    } else {
      const incident = await scene.controller.api.incident(open.id);
      if (told === 0) onOpen();
      for (const { time, kind, text } of incident.timeline.slice(told)) {
        // The whole timeline is shown afterwards.
        if (kind === 'point') continue;
        const seconds = ((Date.parse(time) - Date.parse(incident.started)) / 1000).toFixed(2);
        process.stdout.write(
          `   ${pc.dim(`+${seconds} s`.padStart(9))}  ${pc.bold(kind.padEnd(9))}  ${text}\n`,
        );
      }
      told = incident.timeline.length;
      if (incident.state === 'closed') return incident;
    }
    await sleep(pollMs);
  }
  throw new StillframeError('expired', `no incident was closed within ${timeoutMs / 1000} s`);
}

/** The load's own figures, side by side. */
export function renderPhases(phases: Readonly<Record<string, readonly LoadSecond[]>>): string {
  const rows = Object.entries(phases).map(([name, seconds]) => {
    const rps = seconds.map((second) => second.rps);
    const p99 = median(seconds.map(({ p99Us }) => p99Us));
    const longest = Math.max(...seconds.map(({ maxUs }) => maxUs)) / 1000;
    const spread = `${Math.min(...rps)} to ${Math.max(...rps)}`;
    return [name, `${seconds.length}`, spread, `${p99} us`, `${longest.toFixed(1)} ms`];
  });
  return figures([['', 'seconds', 'answers a second', 'p99 latency', 'longest'], ...rows], 19);
}
