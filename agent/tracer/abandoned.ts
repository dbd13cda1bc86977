/** Work for somebody who may go before it is done. */
import { StillframeError } from '../../format/error.js';

/** Throws when nobody waits any more. */
export function checkAwaited(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new StillframeError('unreachable', 'nobody waits for it any more');
}

/** So long, or until nobody waits any more. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal?.aborted === true) done();
    else signal?.addEventListener('abort', done, { once: true });
  });
}
