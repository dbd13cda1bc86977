/** Rules, incidents and what tells webhooks of them, put together: what the daemon gives them, and what it needs of them. */
import { StillframeError, toStillframeError } from '../../format/error.js';
import { Automation } from '../automation/automation.js';
import { IncidentView } from '../automation/incident-view.js';
import { Notifier } from '../automation/notify.js';
import { readSecret } from '../automation/secret-file.js';
import { renderSnapshot } from '../cli/render-snapshot.js';
import type { AgentFleet } from '../fleet/agent-fleet.js';
import type { PointKeeper } from '../fleet/point-keeper.js';
import type { HttpPlugin } from '../http/server.js';
import { alertRoutes } from '../http/alert-routes.js';
import type { ControllerApi } from '../service/controller-api.js';
import type { AutomationApi } from '../service/fleet-controller.js';
import type { openEmbeddedStore } from '../service/embedded-store.js';
import type { Closers } from './closers.js';
import type { DaemonLog } from './daemon.js';
import type { SymbolAnswers } from '../service/symbol-answers.js';

export interface AutomationParts {
  readonly fleet: AgentFleet;
  readonly points: PointKeeper;
  readonly store: ReturnType<typeof openEmbeddedStore>;
  readonly symbols: SymbolAnswers;
  /** What steps of rules ask for. */
  readonly looking: Pick<ControllerApi, 'targets' | 'explain' | 'now'>;
  /** A rules file, or a folder of them; undefined for none. */
  readonly rules: string | undefined;
  /** The file of the Bearer token that webhooks show; undefined: none is let in. */
  readonly webhookToken: string | undefined;
  readonly log: DaemonLog;
  readonly closers: Closers;
}

export interface RunningAutomation {
  readonly api: AutomationApi;
  /** Routes of webhooks. */
  readonly plugins: readonly HttpPlugin[];
}

/** Incidents of before are there also without rules. */
export function startAutomation(parts: AutomationParts): RunningAutomation {
  const { store, points, symbols, closers } = parts;
  const view = new IncidentView({
    store,
    incidents: store.incidents,
    points,
    symbols,
    renderSnapshot: (document) => renderSnapshot(document),
  });
  const incidents = {
    incidents: view.incidents.bind(view),
    incident: view.incident.bind(view),
    exportIncident: view.exportIncident.bind(view),
  };
  // A token that cannot be read is told now, and not to the first alert.
  if (parts.webhookToken !== undefined) readSecret(parts.webhookToken);
  if (parts.rules === undefined) return { api: { ...withoutRules, ...incidents }, plugins: [] };
  const automation = startRules(parts, parts.rules, view);
  closers.add('rules', () => automation[Symbol.asyncDispose]());
  const rules = {
    rules: automation.rules.bind(automation),
    testRule: automation.testRule.bind(automation),
    fireRule: automation.fireRule.bind(automation),
  };
  const plugins = [alertRoutes({ automation, tokenFile: parts.webhookToken, log: parts.log })];
  return { api: { ...rules, ...incidents }, plugins };
}

function startRules(
  { store, points, fleet, looking, log, closers }: AutomationParts,
  rulesPath: string,
  view: IncidentView,
): Automation {
  const { incidents, notifications: queue } = store;
  const failed = (error: StillframeError): void =>
    log.error({ error: error.message }, 'cannot tell webhooks');
  const notifier = new Notifier({ queue, incidents, view, failed });
  notifier.start();
  closers.add('notifier', () => notifier[Symbol.asyncDispose]());
  return Automation.start({
    rulesPath,
    points,
    watches: fleet,
    incidents,
    store: store.rules,
    snapshots: store,
    api: looking,
    stackOf: (snapshot) => view.stackOf(snapshot),
    notify: (incident, news, targets) => notifier.enqueue(incident, news, targets),
    log,
  });
}

const noRules = (): Promise<never> =>
  Promise.reject(
    new StillframeError('unsupported', 'this controller runs no rules', {
      hint: 'start it with --rules FILE',
    }),
  );

const withoutRules: Pick<AutomationApi, 'rules' | 'testRule' | 'fireRule'> = {
  rules: noRules,
  testRule: noRules,
  fireRule: noRules,
};

/** Of rules, for metrics: none where there are none. */
export async function listRules(api: AutomationApi): ReturnType<AutomationApi['rules']> {
  try {
    return await api.rules();
  } catch (error) {
    if (toStillframeError(error).code === 'unsupported') return [];
    throw error;
  }
}
