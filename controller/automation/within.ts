/** Waits that end. */
import { StillframeError } from '../../format/error.js';
import type { Clock } from './clock.js';
import { duration } from './quantity.js';

/** What the work gives, or `expired` after so long; the work itself goes on. */
export async function within<T>(
  work: Promise<T>,
  options: { readonly ms: number; readonly clock: Clock; readonly what: string },
): Promise<T> {
  const { ms, clock, what } = options;
  let timer: Disposable | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.after(ms, () => {
      reject(new StillframeError('expired', `${what} took longer than ${duration.render(ms)}`));
    });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}
