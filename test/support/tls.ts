/** Certificates of two authorities that do not know each other, made by openssl for one test. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsFiles } from '../../format/tls-files.js';

export interface Certificates {
  readonly server: TlsFiles;
  readonly client: TlsFiles;
  /** Signed by another authority, which it trusts itself. */
  readonly stranger: TlsFiles;
  /** Signed by another authority, and trusting ours. */
  readonly impostor: TlsFiles;
}

export function makeCertificates(parent: string): Certificates {
  const folder = join(parent, 'tls');
  mkdirSync(folder, { recursive: true });
  const run = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const name of ['ca', 'other-ca']) {
    run(
      'req',
      '-x509',
      ...key,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
  }
  writeFileSync(join(folder, 'san'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const sign = (name: string, authority: string): void => {
    run('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    run('x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`,
      '-CAcreateserial', '-days', '2', '-extfile', 'san', '-out', `${name}.pem`); // prettier-ignore
  };
  sign('server', 'ca');
  sign('client', 'ca');
  sign('stranger', 'other-ca');
  const files = (name: string, authority: string): TlsFiles => ({
    cert: join(folder, `${name}.pem`),
    key: join(folder, `${name}.key`),
    ca: join(folder, `${authority}.pem`),
  });
  return {
    server: files('server', 'ca'),
    client: files('client', 'ca'),
    stranger: files('stranger', 'other-ca'),
    impostor: files('stranger', 'ca'),
  };
}
