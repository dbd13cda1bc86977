/** Where agents and controllers listen or are dialed: `unix:PATH` or `HOST:PORT`. */
import { StillframeError } from './error.js';

export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Throws `usage`. */
export function parseEndpoint(text: string): Endpoint {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    if (path !== '') return { kind: 'unix', path };
  }
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { kind: 'tcp', host, port };
  throw new StillframeError('usage', `cannot parse address "${text}"`, {
    hint: 'an address is unix:PATH or HOST:PORT',
  });
}

/** As grpc-js wants it. */
export function grpcTarget(address: Endpoint): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** Without TLS, TCP is for this host only; throws `denied`. `action`: "listen on" or "dial". */
export function refuseExposure(action: string, endpoint: Endpoint, hasTls: boolean): void {
  if (endpoint.kind !== 'tcp' || hasTls || isLoopback(endpoint.host)) return;
  const elsewhere = action === 'listen on' ? ', or listen on 127.0.0.1 or a unix socket' : '';
  throw new StillframeError('denied', `cannot ${action} ${endpoint.host} without TLS`, {
    hint: `give --tls-cert, --tls-key and --tls-ca${elsewhere}`,
  });
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the agent of this user listens when nothing else is said. */
export function defaultSocket(environment: Environment, uid: number): string {
  return `${runtimeFolder(environment, uid)}/agent.sock`;
}

/** The same of a controller. The command line does not look for it: it is its own controller unless it is told of one. */
export function defaultControllerSocket(environment: Environment, uid: number): string {
  return `${runtimeFolder(environment, uid)}/controller.sock`;
}

function runtimeFolder(environment: Environment, uid: number): string {
  if (uid === 0) return '/run/stillframe';
  const runtime = environment['XDG_RUNTIME_DIR'];
  return `${runtime === undefined || runtime === '' ? `/run/user/${uid}` : runtime}/stillframe`;
}
