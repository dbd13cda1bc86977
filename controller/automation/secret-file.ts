/** Secrets stand in files, and are read whenever they are needed: so they can be replaced while the controller runs. */
import { closeSync, openSync, readSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';

const maxSecretBytes = 4096;

/** The text without the white space around it; throws what keeps it from being a secret. The error never holds it. */
export function readSecret(file: string): string {
  const bytes = Buffer.alloc(maxSecretBytes + 1);
  let length: number;
  try {
    const descriptor = openSync(file, 'r');
    try {
      length = readSync(descriptor, bytes);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? String(error);
    const code = errno === 'ENOENT' ? 'not-found' : errno === 'EACCES' ? 'denied' : 'system';
    throw new StillframeError(code, `cannot read the secret in "${file}": ${errno}`, { detail: { file } });
  }
  const text = bytes.toString('latin1', 0, length).trim();
  const fault = length > maxSecretBytes ? `it has more than ${maxSecretBytes} bytes` : faultOf(text);
  if (fault !== undefined) throw new StillframeError('usage', `cannot use the secret in "${file}": ${fault}`);
  return text;
}

function faultOf(text: string): string | undefined {
  if (text === '') return 'it is empty';
  return /^[\x21-\x7e]+$/.test(text) ? undefined : 'it must be one line of ASCII without spaces';
}
