/** A ControllerApi whose methods a test gives one by one, served over gRPC on a socket of the test's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Server } from '@grpc/grpc-js';
import { parseEndpoint, type Endpoint } from '../../format/endpoint.js';
import { serveController } from '../../controller/rpc/controller-server.js';
import { listen, makeServer } from '../../controller/rpc/listen.js';
import type { TlsFiles } from '../../controller/rpc/tls.js';
import type { ControllerApi } from '../../controller/service/controller-api.js';
import type { PointDocument, SnapshotSummary } from '../../controller/service/documents.js';

export function fakeController(methods: Partial<ControllerApi>): ControllerApi {
  const missing = (name: string) => () => Promise.reject(new Error(`${name} was not expected`));
  return {
    doctor: missing('doctor'),
    targets: missing('targets'),
    explain: missing('explain'),
    snap: missing('snap'),
    metric: missing('metric'),
    log: missing('log'),
    now: missing('now'),
    core: missing('core'),
    points: missing('points'),
    watchPoints: missing('watchPoints'),
    removePoints: missing('removePoints'),
    resumePoints: missing('resumePoints'),
    snapshots: missing('snapshots'),
    show: missing('show'),
    evaluate: missing('evaluate'),
    exportCore: missing('exportCore'),
    rules: missing('rules'),
    testRule: missing('testRule'),
    fireRule: missing('fireRule'),
    incidents: missing('incidents'),
    incident: missing('incident'),
    exportIncident: missing('exportIncident'),
    ...methods,
  };
}

export interface ServedController extends AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly address: string;
  readonly folder: string;
  /** What the server logged as an error. */
  readonly errors: object[];
  /** Ends the streams as a controller does that is stopped. */
  stop(): void;
  /** Without a word to anybody, as a kill would. */
  kill(): void;
}

export interface ServeOptions {
  /** Another socket in a folder that the caller removes; or HOST:PORT. */
  readonly listen?: string;
  readonly tls?: TlsFiles;
  readonly more?: (server: Server) => void;
}

export async function serveFake(
  methods: Partial<ControllerApi>,
  { listen: address, tls, more }: ServeOptions = {},
): Promise<ServedController> {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-test-'));
  const errors: object[] = [];
  const server = makeServer();
  const log = { debug: () => undefined, error: (facts: object) => void errors.push(facts) };
  const calls = serveController(server, { api: fakeController(methods), log, scratch: folder });
  more?.(server);
  const endpoint = parseEndpoint(address ?? `unix:${join(folder, 'controller.sock')}`);
  const listening = await listen(server, [endpoint], tls);
  const [bound = ''] = listening.addresses;
  return {
    endpoint: parseEndpoint(bound),
    address: bound,
    folder,
    errors,
    stop: () => calls.stop(),
    kill: () => server.forceShutdown(),
    async [Symbol.asyncDispose]() {
      calls.stop();
      server.forceShutdown();
      await listening[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function pointNamed(id: string, rest: Partial<PointDocument> = {}): PointDocument {
  return {
    id,
    state: 'armed',
    why: '0 hits',
    target: 'name:orders',
    location: 'orders.c:70',
    captures: [],
    engine: 'uprobe',
    processes: [{ pid: 7, addresses: ['0x401136'] }],
    hits: 0,
    conditionFalse: 0,
    faults: 0,
    dropped: 0,
    delivered: 0,
    expires: '2025-06-01T00:00:00.000Z',
    kind: 'snapshot',
    ...rest,
  };
}

export function summaryNamed(id: string, rest: Partial<SnapshotSummary> = {}): SnapshotSummary {
  return {
    id,
    point: 'p1',
    pid: 7,
    tid: 8,
    comm: 'orders',
    host: 'web-1',
    buildId: 'ab12',
    time: '2025-05-31T00:00:00.000000001Z',
    engine: 'uprobe',
    location: { function: 'total', file: '/src/orders.c', line: 70, address: '0x401136' },
    size: 4096,
    ...rest,
  };
}
