/** Fires only by hand, as every rule can: `stillframe rules fire`, or a call of the API. */
import type { Trigger } from '../trigger.js';

export function manualTrigger(): Trigger {
  const text = 'fires by hand only';
  return {
    start: () => ({ [Symbol.dispose]: () => undefined }),
    retire: () => Promise.resolve(),
    describe: () => text,
    probe: () => Promise.resolve({ ok: true, text }),
    errors: 0,
  };
}
