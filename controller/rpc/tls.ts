/** The controller's certificate: whoever is beyond this host, agent or face, shows one of the same authority, or is refused. */
import { createSecureContext } from 'node:tls';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import type { TlsFiles } from '../../format/tls-files.js';
import { useTlsFiles } from '../service/read-tls-files.js';

export type { TlsFiles } from '../../format/tls-files.js';

export function channelCredentials(files: TlsFiles | undefined): ChannelCredentials {
  if (files === undefined) return ChannelCredentials.createInsecure();
  return useTlsFiles(files, ({ ca, key, cert }) => ChannelCredentials.createSsl(ca, key, cert));
}

/** A client without a certificate of the authority is refused. */
export function serverCredentials(files: TlsFiles | undefined): ServerCredentials {
  if (files === undefined) return ServerCredentials.createInsecure();
  return useTlsFiles(files, ({ ca, key, cert }) => {
    // grpc-js would look at them when it binds, and say nothing of the files.
    createSecureContext({ ca, key, cert });
    return ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }], true);
  });
}
