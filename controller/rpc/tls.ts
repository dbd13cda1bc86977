/** The controller's certificate: whoever is beyond this host, agent or face, shows one of the same authority, or is refused. */
import { readFileSync } from 'node:fs';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { badData, withContext } from '../../format/error.js';
import type { TlsFiles } from '../../format/tls-files.js';

export type { TlsFiles } from '../../format/tls-files.js';

export function channelCredentials(files: TlsFiles | undefined): ChannelCredentials {
  if (files === undefined) return ChannelCredentials.createInsecure();
  const { ca, key, cert } = readTlsFiles(files);
  return used(files, () => ChannelCredentials.createSsl(ca, key, cert));
}

/** A client without a certificate of the authority is refused. */
export function serverCredentials(files: TlsFiles | undefined): ServerCredentials {
  if (files === undefined) return ServerCredentials.createInsecure();
  const { ca, key, cert } = readTlsFiles(files);
  return used(files, () => ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }], true));
}

export function readTlsFiles(files: TlsFiles): {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
} {
  return { cert: read(files.cert), key: read(files.key), ca: read(files.ca) };
}

/** Names the files where OpenSSL takes one of them for none of its own. */
export function used<T>(files: TlsFiles, use: () => T): T {
  try {
    return use();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw badData(`cannot use the TLS files "${files.cert}", "${files.key}" and "${files.ca}": ${text}`, {
      cause: error,
    });
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw withContext(`cannot read TLS file "${path}"`, error);
  }
}
