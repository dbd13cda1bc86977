/**
 * The controller as a service: store, fleet, points, rules, gRPC and HTTP put together, and taken down again in the reverse order. What
 * must outlive it is in the store and at the agents: points stay armed while it is away.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from '@grpc/grpc-js';
import { grpcTarget, type Endpoint } from '../../format/endpoint.js';
import { openFleet } from '../fleet/agent-fleet.js';
import { PointKeeper } from '../fleet/point-keeper.js';
import { ControllerMetrics } from '../http/metrics.js';
import { startHttpServer, type HttpPlugin } from '../http/server.js';
import { serveController } from '../rpc/controller-server.js';
import { serveFleetGateway } from '../rpc/fleet-gateway.js';
import { serveHealth } from '../rpc/health.js';
import { listen, makeServer, type ListeningServer } from '../rpc/listen.js';
import { serveReflection } from '../rpc/reflection.js';
import type { TlsFiles } from '../rpc/tls.js';
import type { ControllerApi } from '../service/controller-api.js';
import { openEmbeddedStore } from '../service/embedded-store.js';
import { FleetController } from '../service/fleet-controller.js';
import { SymbolThread } from '../service/symbol-thread.js';
import { listRules, startAutomation } from './automation.js';
import { Closers } from './closers.js';
import { lockStore } from './store-lock.js';

export interface DaemonOptions {
  readonly listen: readonly Endpoint[];
  /** Undefined: no HTTP. */
  readonly http: Endpoint | undefined;
  readonly storeFolder: string;
  /** To be dialed; others may dial in. */
  readonly agents: readonly Endpoint[];
  readonly rules: string | undefined;
  /** The file of the Bearer token that webhooks show; undefined: none is let in. */
  readonly webhookToken: string | undefined;
  readonly tls: TlsFiles | undefined;
  readonly log: DaemonLog;
}

/** What pino offers. */
export interface DaemonLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface Daemon extends AsyncDisposable {
  /** Where it listens for gRPC. */
  readonly addresses: readonly string[];
  readonly http: string | undefined;
}

const services = ['stillframe.v1.Controller', 'stillframe.v1.FleetGateway'];

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { log } = options;
  const closers = new Closers((step, error) => log.error({ step, error }, 'cannot close'));
  try {
    return await start(options, closers);
  } catch (error) {
    await closers[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(options: DaemonOptions, closers: Closers): Promise<Daemon> {
  const { storeFolder, tls, log } = options;
  const lock = lockStore(storeFolder);
  closers.add('lock', () => lock[Symbol.dispose]());
  const scratch = makeScratch(storeFolder, closers);
  const store = openEmbeddedStore(storeFolder);
  closers.add('store', () => store[Symbol.dispose]());
  const fleet = openFleet({ agents: options.agents.map(addressOf), tls, store, log });
  closers.add('fleet', () => fleet[Symbol.asyncDispose]());
  const symbols = new SymbolThread({ log: (message) => log.warn({}, message) });
  closers.add('symbols', () => symbols[Symbol.asyncDispose]());
  const points = new PointKeeper({ store, fleet, symbols, log });
  closers.add('points', () => points[Symbol.asyncDispose]());
  const parts = { fleet, points, store, symbols };
  const looking = new FleetController(parts);
  const { rules, webhookToken } = options;
  const automation = startAutomation({ ...parts, looking, rules, webhookToken, log, closers });
  const api = new FleetController({ ...parts, automation: automation.api });

  const serving = { refusal: 'the controller is starting' as string | undefined };
  const server = makeServer();
  serveFleetGateway(server, fleet);
  const grpc = await serveGrpc(server, { options, api, scratch, closers });
  const http = await serveHttp(options, closers, {
    plugins: automation.plugins,
    refusal: () => serving.refusal,
    metrics: {
      agents: () => fleet.statuses(),
      points: () => points.list(),
      refreshPoints: () => points.refresh(),
      rules: () => listRules(automation.api),
      openIncidents: () => store.incidents.listOpen().length,
      listenToPoints: (listener) => points.listen(listener),
    },
  });
  closers.add('serving', () => {
    serving.refusal = 'the controller is stopping';
    grpc.setServing(false);
  });
  serving.refusal = undefined;
  grpc.setServing(true);
  return {
    addresses: grpc.listening.addresses,
    http,
    [Symbol.asyncDispose]: () => closers[Symbol.asyncDispose](),
  };
}

interface GrpcParts {
  readonly options: DaemonOptions;
  readonly api: ControllerApi;
  readonly scratch: string;
  readonly closers: Closers;
}

async function serveGrpc(
  server: Server,
  { options: { listen: endpoints, tls, log }, api, scratch, closers }: GrpcParts,
): Promise<{ readonly listening: ListeningServer; setServing(serving: boolean): void }> {
  const calls = serveController(server, { api, log, scratch });
  const health = serveHealth(server, services);
  serveReflection(server, services);
  const listening = await listen(server, endpoints, tls);
  closers.add('gRPC', async () => {
    calls.stop();
    await listening[Symbol.asyncDispose]();
  });
  return { listening, setServing: (serving) => health.set(serving) };
}

interface HttpParts {
  readonly plugins: readonly HttpPlugin[];
  readonly refusal: () => string | undefined;
  readonly metrics: ConstructorParameters<typeof ControllerMetrics>[0];
}

async function serveHttp(
  { http: endpoint, tls, log }: DaemonOptions,
  closers: Closers,
  parts: HttpParts,
): Promise<string | undefined> {
  if (endpoint === undefined) {
    if (parts.plugins.length > 0) log.info({}, 'no --http: rules that wait for a webhook will not hear any');
    return undefined;
  }
  const metrics = new ControllerMetrics(parts.metrics);
  closers.add('metrics', () => metrics[Symbol.dispose]());
  const { plugins, refusal } = parts;
  const server = await startHttpServer({ endpoint, tls, metrics, plugins, refusal, log });
  closers.add('HTTP', () => server[Symbol.asyncDispose]());
  return server.address;
}

/** Empty: what a killed daemon left of exports is nobody's. */
function makeScratch(storeFolder: string, closers: Closers): string {
  const folder = join(storeFolder, 'scratch');
  const clear = (): void => rmSync(folder, { recursive: true, force: true });
  clear();
  mkdirSync(folder, { mode: 0o700 });
  closers.add('scratch', clear);
  return folder;
}

const addressOf = (endpoint: Endpoint): string =>
  endpoint.kind === 'unix' ? `unix:${endpoint.path}` : grpcTarget(endpoint);
