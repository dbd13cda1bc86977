/** A `Fleet` of real agents: dialed again and again, or taken over from the gateway that they dial. */
import { StillframeError } from '../../format/error.js';
import type { AgentStream } from '../rpc/agent-channel.js';
import type { TlsFiles } from '../rpc/tls.js';
import type { Store } from '../store/store.js';
import type {
  AgentStatus,
  Fleet,
  FleetAgent,
  FleetListener,
  FleetLog,
  LogListener,
  LogWatch,
  TargetListener,
  UsageListener,
  UsageWatch,
} from './fleet.js';

export interface FleetOptions {
  /** To be dialed: `unix:PATH` or `HOST:PORT`. */
  readonly agents: readonly string[];
  readonly tls: TlsFiles | undefined;
  readonly store: Store;
  readonly log: FleetLog;
}

export function openFleet(options: FleetOptions): AgentFleet {
  return new AgentFleet(options);
}

export class AgentFleet implements Fleet, AsyncDisposable {
  readonly options: FleetOptions;
  constructor(options: FleetOptions) {
    this.options = options;
  }
  /** Takes the stream over for good; `serveFleetGateway` (controller/rpc/fleet-gateway.ts) calls it for each that comes. */
  accept(_stream: AgentStream): void {
    throw notYet();
  }
  agents(): readonly FleetAgent[] {
    return [];
  }
  statuses(): readonly AgentStatus[] {
    return [];
  }
  listen(_listener: FleetListener): Disposable {
    throw notYet();
  }
  watchTargets(_selector: string, _listener: TargetListener): Disposable {
    throw notYet();
  }
  watchLog(_watch: LogWatch, _listener: LogListener): Disposable {
    throw notYet();
  }
  watchUsage(_watch: UsageWatch, _listener: UsageListener): Disposable {
    throw notYet();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const notYet = (): Error => new StillframeError('internal', 'the fleet is not built yet');
