/** The controller over a fleet: what a daemon serves. */
import { StillframeError } from '../../format/error.js';
import type { Fleet } from '../fleet/fleet.js';
import type { PointKeeper } from '../fleet/point-keeper.js';
import type { OpenSymbols } from '../snapshot/module.js';
import type { Store } from '../store/store.js';
import type { ControllerApi } from './controller-api.js';

/** What a rule engine answers. */
export type AutomationApi = Pick<
  ControllerApi,
  'rules' | 'testRule' | 'fireRule' | 'incidents' | 'incident' | 'exportIncident'
>;

export interface FleetControllerOptions {
  readonly fleet: Fleet;
  readonly points: PointKeeper;
  readonly store: Store;
  readonly openSymbols: OpenSymbols;
  /** Undefined: each of its methods is refused as `unsupported`. */
  readonly automation?: AutomationApi;
}

const notYet = (): Promise<never> =>
  Promise.reject(new StillframeError('internal', 'the fleet controller is not built yet'));

export class FleetController implements ControllerApi {
  readonly options: FleetControllerOptions;
  constructor(options: FleetControllerOptions) {
    this.options = options;
  }
  doctor: ControllerApi['doctor'] = notYet;
  targets: ControllerApi['targets'] = notYet;
  explain: ControllerApi['explain'] = notYet;
  snap: ControllerApi['snap'] = notYet;
  now: ControllerApi['now'] = notYet;
  points: ControllerApi['points'] = notYet;
  watchPoints: ControllerApi['watchPoints'] = notYet;
  removePoints: ControllerApi['removePoints'] = notYet;
  snapshots: ControllerApi['snapshots'] = notYet;
  show: ControllerApi['show'] = notYet;
  evaluate: ControllerApi['evaluate'] = notYet;
  exportCore: ControllerApi['exportCore'] = notYet;
  rules: ControllerApi['rules'] = notYet;
  testRule: ControllerApi['testRule'] = notYet;
  fireRule: ControllerApi['fireRule'] = notYet;
  incidents: ControllerApi['incidents'] = notYet;
  incident: ControllerApi['incident'] = notYet;
  exportIncident: ControllerApi['exportIncident'] = notYet;
}
