/** Ctrl-C, and being asked to end, as a signal that work in progress can be told of. */
import { exitStatus } from './exit-status.js';

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  const onSignal = (): void => {
    // A second Ctrl-C does not wait for anything; points expire.
    if (controller.signal.aborted) process.exit(exitStatus.interrupted);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
