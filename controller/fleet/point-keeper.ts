/**
 * Points as durable desired state: what the store says is armed on every agent and in every process that fits, until it is used up, has
 * expired or is removed.
 */
import { StillframeError } from '../../format/error.js';
import type { PointDocument } from '../service/documents.js';
import type { OpenSymbols } from '../snapshot/module.js';
import type { Store } from '../store/store.js';
import type { Fleet, FleetLog } from './fleet.js';
import type { PointListener, Points, PointSpec } from './points.js';

export interface PointKeeperOptions {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly openSymbols: OpenSymbols;
  readonly log: FleetLog;
}

/** Takes up all active points of the store when it is made; disposing it leaves them armed. To be disposed before its fleet. */
export class PointKeeper implements Points, AsyncDisposable {
  readonly options: PointKeeperOptions;
  constructor(options: PointKeeperOptions) {
    this.options = options;
  }
  set(_spec: PointSpec, _options?: { readonly strict?: boolean }): Promise<PointDocument> {
    return Promise.reject(notYet());
  }
  list(): readonly PointDocument[] {
    return [];
  }
  /** Asks the agents that are connected for their counters, so that `list` gives them as they are now. */
  refresh(): Promise<void> {
    return Promise.reject(notYet());
  }
  remove(_id: string, _why: string): Promise<PointDocument> {
    return Promise.reject(notYet());
  }
  listen(_listener: PointListener): Disposable {
    throw notYet();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const notYet = (): Error => new StillframeError('internal', 'the point keeper is not built yet');
