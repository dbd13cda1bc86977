/** The controller's certificate: agents beyond this host accept nobody without one. */
import { readFileSync } from 'node:fs';
import { ChannelCredentials } from '@grpc/grpc-js';
import { StillframeError, withContext } from '../../format/error.js';

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

export function channelCredentials(files: TlsFiles | undefined): ChannelCredentials {
  if (files === undefined) return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(read(files.ca), read(files.key), read(files.cert));
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw withContext(`cannot read TLS file "${path}"`, error);
  }
}
