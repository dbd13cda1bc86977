/** Facts of a binary, as binutils print them. */
import { execFileSync } from 'node:child_process';

export function buildIdOf(path: string): string {
  const text = execFileSync('readelf', ['-n', path], { encoding: 'utf8' });
  return /Build ID: ([0-9a-f]+)/.exec(text)?.[1] ?? '';
}

export function symbolAddress(path: string, name: string): bigint {
  const text = execFileSync('nm', [path], { encoding: 'utf8' });
  const line = text.split('\n').find((candidate) => candidate.endsWith(` ${name}`));
  if (line === undefined) throw new Error(`${path} has no symbol ${name}`);
  return BigInt(`0x${line.split(' ')[0] ?? ''}`);
}
