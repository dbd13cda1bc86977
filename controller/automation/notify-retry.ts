/** When a webhook call is tried again, and when it is given up. Pure. */

export interface RetryPolicy {
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  readonly maxTries: number;
  /** Since it was enqueued; each is tried once, however old it is. */
  readonly maxAgeMs: number;
}

/** 1 s, 2 s, 4 s, … up to 15 minutes: twelve tries in about an hour. */
export const defaultRetryPolicy: RetryPolicy = {
  firstDelayMs: 1000,
  maxDelayMs: 15 * 60_000,
  maxTries: 12,
  maxAgeMs: 3600_000,
};

/**
 * How long to wait after a try (the first is 1) before the next: exponential, less up to half of it by chance, so that those who failed
 * together do not come again together. `chance`: 0 to 1. `askedMs`: what the other side asked for (Retry-After), within our bound.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  {
    tries,
    chance,
    askedMs = 0,
  }: { readonly tries: number; readonly chance: number; readonly askedMs?: number },
): number {
  const full = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (tries - 1));
  return Math.max(full * (1 - chance / 2), Math.min(askedMs, policy.maxDelayMs));
}

/** Why there is no further try; undefined when there is one. */
export function whyGivenUp(
  policy: RetryPolicy,
  { tries, ageMs }: { readonly tries: number; readonly ageMs: number },
): string | undefined {
  if (tries >= policy.maxTries) return tries === 1 ? 'after 1 try' : `after ${tries} tries`;
  if (ageMs >= policy.maxAgeMs) return `after ${Math.round(ageMs / 60_000)} minutes`;
  return undefined;
}

/** `Retry-After`: seconds, or a date. Undefined when it is neither. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined || header.length > 64) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  // NB: Date.parse takes much for a date: "-7" is one.
  const time = /^[A-Z][a-z]{2}, /.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(time) ? undefined : Math.max(0, time - nowMs);
}
