/** Mutual TLS: both sides show a certificate of the same authority; anything less is refused. */
import { readFileSync } from 'node:fs';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { withContext } from '../../format/error.js';
import type { TlsFiles } from '../../format/tls-files.js';

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw withContext(`cannot read TLS file "${path}"`, error);
  }
}

export function serverCredentials(files: TlsFiles | undefined): ServerCredentials {
  if (files === undefined) return ServerCredentials.createInsecure();
  const pair = { private_key: read(files.key), cert_chain: read(files.cert) };
  return ServerCredentials.createSsl(read(files.ca), [pair], true);
}

export function channelCredentials(files: TlsFiles | undefined): ChannelCredentials {
  if (files === undefined) return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(read(files.ca), read(files.key), read(files.cert));
}
