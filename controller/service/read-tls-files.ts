/** The certificate, key and authority that TLS files hold. */
import { readFileSync } from 'node:fs';
import { badData, withContext } from '../../format/error.js';
import type { TlsFiles } from '../../format/tls-files.js';

export interface TlsContents {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

/** What `use` makes of them. Where OpenSSL takes one of them for none of its own, the error names the files. */
export function useTlsFiles<T>(files: TlsFiles, use: (contents: TlsContents) => T): T {
  const contents = { cert: read(files.cert), key: read(files.key), ca: read(files.ca) };
  try {
    return use(contents);
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
