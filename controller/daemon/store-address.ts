/** `--store`: `sqlite:PATH`, a folder of this host; other kinds of store come later. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { StillframeError } from '../../format/error.js';

/** The folder. Throws `usage` and `unsupported`. */
export function storeFolderFrom(address: string): string {
  if (/^postgres(?:ql)?:\/\//.test(address)) {
    throw new StillframeError('unsupported', '--store: PostgreSQL comes with the fleet store', {
      hint: 'this version keeps everything in a folder: sqlite:PATH',
    });
  }
  const path = /^sqlite:(?:\/\/(?=\/))?(.+)$/.exec(address)?.[1];
  if (path !== undefined) return resolve(path);
  throw new StillframeError('usage', `--store: cannot parse "${withoutSecrets(address)}"`, {
    hint: 'a store is sqlite:PATH, where PATH is a folder',
  });
}

const withoutSecrets = (address: string): string => address.replace(/\/\/[^@/]*@/, '//…@');

/** Apart from what the command line keeps as its own controller: two that write down how points stand would contradict each other. */
export function defaultStoreFolder(
  environment: Readonly<Record<string, string | undefined>>,
  uid: number,
): string {
  if (uid === 0) return '/var/lib/stillframe/controller';
  const data = environment['XDG_DATA_HOME'] || join(homedir(), '.local', 'share');
  return join(data, 'stillframe', 'controller');
}
