/** The thread that reads debug information for a controller: one question after another. */
import { parentPort } from 'node:worker_threads';
import { StillframeError, toStillframeError } from '../../format/error.js';
import {
  plainError,
  type FromSymbolWorker,
  type PlainEvaluation,
  type PlainPlan,
  type SymbolQuestion,
  type ToSymbolWorker,
} from './symbol-messages.js';
import type { PlannedModule } from './symbol-answers.js';
import { SymbolsHere } from './symbols-here.js';
import { logSymbols, openSymbols } from './symbols.js';

/** Debug information that nobody asked about for so long is let go, and its files with it. */
const idleMs = 30_000;
/** What has been read beyond that is let go at once. */
const maxHeldBytes = 1024 ** 3;

const symbols = new SymbolsHere(openSymbols);
let held: Disposable | undefined;
let idle: NodeJS.Timeout | undefined;

function release(): void {
  held?.[Symbol.dispose]();
  held = undefined;
}

function say(message: FromSymbolWorker): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker is not a window
  parentPort?.postMessage(message);
}

async function answer(asked: SymbolQuestion): Promise<unknown> {
  switch (asked.kind) {
    case 'plan':
      return plainPlan(await symbols.plan(asked.question));
    case 'show':
      return await symbols.show(asked.question);
    case 'evaluate':
      return (await symbols.evaluate(asked.question)).map((value): PlainEvaluation =>
        value instanceof StillframeError ? { error: plainError(value) } : { value },
      );
    case 'signature':
      return await symbols.signature(asked.question);
    case 'leaves':
      return await symbols.leaves(asked.question);
  }
}

function plainPlan(planned: PlannedModule | StillframeError): PlainPlan {
  return planned instanceof StillframeError ? { error: plainError(planned) } : { planned };
}

async function handle({ id, asked }: ToSymbolWorker): Promise<void> {
  clearTimeout(idle);
  held ??= symbols.hold();
  try {
    say({ kind: 'answer', id, answer: await answer(asked) });
  } catch (error) {
    say({ kind: 'failure', id, failure: plainError(toStillframeError(error)) });
  }
  if (process.memoryUsage().arrayBuffers > maxHeldBytes) release();
  idle = setTimeout(release, idleMs);
}

logSymbols((message) => say({ kind: 'log', message }));
parentPort?.on('message', (message: ToSymbolWorker) => void handle(message));
