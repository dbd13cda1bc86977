/** Where an agent listens or dials: `unix:PATH` or `HOST:PORT`. */
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

/** Where the agent of this user listens when nothing else is said. */
export function defaultSocket(
  environment: Readonly<Record<string, string | undefined>>,
  uid: number,
): string {
  if (uid === 0) return '/run/stillframe/agent.sock';
  const runtime = environment['XDG_RUNTIME_DIR'];
  return `${runtime === undefined || runtime === '' ? `/run/user/${uid}` : runtime}/stillframe/agent.sock`;
}
