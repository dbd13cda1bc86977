/** Points as they change, for a controller that is not told of changes: it looks once a second. */
import type { WatchHooks } from './controller-api.js';
import type { PointDocument } from './documents.js';

const lookMs = 1000;

/** All that `look` gives, then those that are different, until the signal is aborted. */
export async function watchPoints(
  look: () => Promise<readonly PointDocument[]>,
  { points, signal }: { readonly points: WatchHooks['points']; readonly signal: AbortSignal },
): Promise<void> {
  const seen = new Map<string, string>();
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const changed = (await look()).filter((point) => {
      const text = JSON.stringify(point);
      const isChanged = seen.get(point.id) !== text;
      seen.set(point.id, text);
      return isChanged;
    });
    if (isFirst || changed.length > 0) points(changed);
    await pause(signal);
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, lookMs);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
  });
}
