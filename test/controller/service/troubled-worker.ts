/** A thread for debug information that does what its question says: a signature of `exit`, `throw`, `hang`, `memory`, or of anything else. */
import { parentPort } from 'node:worker_threads';
import type { FromSymbolWorker, ToSymbolWorker } from '../../../controller/service/symbol-messages.js';

const kept: number[][] = [];

parentPort?.on('message', ({ id, asked }: ToSymbolWorker) => {
  const what = asked.kind === 'signature' ? asked.question : '';
  if (what === 'exit') process.exit(3);
  if (what === 'throw') throw new Error('a bug of the reader');
  if (what === 'hang') for (;;);
  if (what === 'memory') for (;;) kept.push(Array.from({ length: 10_000 }, (_, i) => i + kept.length));
  const answer = { key: what, frames: [] };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker is not a window
  parentPort?.postMessage({ kind: 'answer', id, answer } satisfies FromSymbolWorker);
});
