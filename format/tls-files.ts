/** The files of mutual TLS: a certificate, its key, and the authority that signed the other side. */
import { StillframeError } from './error.js';

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** All three or none; throws `usage` for some. */
export function tlsFilesFrom(options: {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}): TlsFiles | undefined {
  const { tlsCert: cert, tlsKey: key, tlsCa: ca } = options;
  if (cert !== undefined && key !== undefined && ca !== undefined) return { cert, key, ca };
  if (cert === undefined && key === undefined && ca === undefined) return undefined;
  throw new StillframeError('usage', '--tls-cert, --tls-key and --tls-ca go together', {
    hint: 'TLS is mutual: a certificate, its key, and the authority that signed the other side',
  });
}
