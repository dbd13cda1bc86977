/** The seam to rules and incidents: what the daemon gives them, and what it needs of them. */
import { StillframeError } from '../../format/error.js';
import type { AgentFleet } from '../fleet/agent-fleet.js';
import type { PointKeeper } from '../fleet/point-keeper.js';
import type { HttpPlugin } from '../http/server.js';
import type { AutomationApi } from '../service/fleet-controller.js';
import type { Store } from '../store/store.js';
import type { DaemonLog } from './daemon.js';

export interface AutomationParts {
  readonly fleet: AgentFleet;
  readonly points: PointKeeper;
  readonly store: Store;
  /** A rules file, or a folder of them; undefined for none. */
  readonly rules: string | undefined;
  readonly log: DaemonLog;
}

export interface Automation extends AsyncDisposable {
  readonly api: AutomationApi;
  /** Routes of webhooks. */
  readonly plugins: readonly HttpPlugin[];
  openIncidents(): number;
}

/** Undefined where nothing is automated. */
export function startAutomation({ rules }: AutomationParts): Automation | undefined {
  if (rules === undefined) return undefined;
  throw new StillframeError('unsupported', '--rules: this version runs no rules');
}
