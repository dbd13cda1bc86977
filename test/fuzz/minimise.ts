/** Findings told from one another, and made smaller. */
import { findingOf, type FuzzTarget } from './fuzz-target.js';

/** What tells one finding from another: its message without numbers, and where it was thrown. */
export function signatureOf(error: Error): string {
  const first = (error.stack ?? '').split('\n').find((line) => /^\s+at /.test(line));
  const at = /([^/\s(]+:\d+:\d+)\)?$/.exec(first ?? '')?.[1] ?? '';
  return `${error.name}: ${error.message.replace(/\d+/g, 'N').slice(0, 120)} at ${at}`;
}

/** A shorter input with the same finding: pieces are left out as long as it stays. */
export function minimised(target: FuzzTarget, input: Uint8Array, signature: string): Uint8Array {
  let best = input;
  let left = 2000;
  for (let size = Math.ceil(best.length / 2); size >= 1 && left > 0; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length && left > 0; left--) {
      const shorter = new Uint8Array(Buffer.concat([best.subarray(0, at), best.subarray(at + size)]));
      const error = findingOf(target, shorter);
      if (error !== undefined && signatureOf(error) === signature) best = shorter;
      else at += size;
    }
  }
  return best;
}
