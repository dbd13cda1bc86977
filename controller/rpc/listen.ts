/** Binds a gRPC server: to unix sockets of mode 0600, or to TCP. Without TLS, TCP is for this host only. */
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { grpcTarget, refuseExposure, type Endpoint } from '../../format/endpoint.js';
import { StillframeError } from '../../format/error.js';
import { maxAnswerBytes } from './controller-server.js';
import { gatewayServerOptions } from './fleet-gateway.js';
import { serverCredentials, type TlsFiles } from './tls.js';

export interface ListeningServer extends AsyncDisposable {
  /** With the ports that were chosen where 0 was asked. */
  readonly addresses: readonly string[];
}

const shutdownMs = 2000;

export function makeServer(): Server {
  return new Server({
    ...gatewayServerOptions,
    'grpc.max_send_message_length': maxAnswerBytes + 1024 * 1024,
    'grpc.max_concurrent_streams': 128,
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 20_000,
  });
}

/** Throws `denied`, `usage`, `system`; then nothing is bound. TLS is for TCP: a unix socket is guarded by its mode. */
export async function listen(
  server: Server,
  endpoints: readonly Endpoint[],
  tls: TlsFiles | undefined,
): Promise<ListeningServer> {
  for (const endpoint of endpoints) refuseExposure('listen on', endpoint, tls !== undefined);
  const addresses: string[] = [];
  const sockets: string[] = [];
  const close = async (): Promise<void> => {
    const force = setTimeout(() => server.forceShutdown(), shutdownMs);
    await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    clearTimeout(force);
    for (const path of sockets) rmSync(path, { force: true });
  };
  try {
    for (const endpoint of endpoints) {
      if (endpoint.kind === 'unix') {
        await bindSocket(server, endpoint.path);
        sockets.push(endpoint.path);
        addresses.push(`unix:${endpoint.path}`);
      } else {
        const port = await bind(server, grpcTarget(endpoint), serverCredentials(tls));
        addresses.push(grpcTarget({ ...endpoint, port }));
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses, [Symbol.asyncDispose]: close };
}

async function bindSocket(server: Server, path: string): Promise<void> {
  await clearSocket(path);
  const previousMask = process.umask(0o177);
  try {
    await bind(server, `unix:${path}`, ServerCredentials.createInsecure());
  } finally {
    process.umask(previousMask);
  }
  chmodSync(path, 0o600);
}

function bind(server: Server, target: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(target, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new StillframeError('system', `cannot listen on ${target}: ${error.message}`));
    });
  });
}

/** Makes room for the socket; one that nobody listens on any more is removed, one in use is not. */
async function clearSocket(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) {
    throw new StillframeError('usage', `cannot listen on "${path}": a file that is no socket lies there`);
  }
  if (await isListenedOn(path)) {
    throw new StillframeError('usage', `cannot listen on "${path}": another program listens there`, {
      hint: 'stop it, or give another --listen',
    });
  }
  rmSync(path, { force: true });
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
