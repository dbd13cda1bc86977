/** What every way to wait for a hit has in common: bounds of a request, how long a point lives, and what to say when nothing came. */
import { StillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import type { SnapOptions } from './controller-api.js';

/** How long a point outlives a wait whose command was killed. */
const graceMs = 30_000;

/** Throws `usage`. */
export function checkSnapOptions(options: SnapOptions): void {
  if (!Number.isInteger(options.hits) || options.hits < 1 || options.hits > defaultLimits.maxHits) {
    throw new StillframeError(
      'usage',
      `--hits must be from 1 to ${defaultLimits.maxHits}, not ${options.hits}`,
    );
  }
  if (options.expireMs === 0) throw new StillframeError('usage', '--expire must be longer than nothing');
  if (options.expireMs !== undefined && options.expireMs > defaultLimits.maxExpiryMs) {
    throw new StillframeError('usage', '--expire must be at most 30 days');
  }
}

export function expiryOf(options: SnapOptions, nowMs: number): number {
  const { expireMs, detach, waitMs } = options;
  return nowMs + (expireMs ?? (detach ? defaultLimits.defaultExpiryMs : waitMs + graceMs));
}

/** Why a wait ended without a snapshot. */
export function noHit(about: {
  readonly id: string;
  /** How the point ended; empty when it did not. */
  readonly end: string;
  readonly why: string;
  readonly interrupted: boolean;
  readonly waitMs: number;
}): StillframeError {
  const { end, why, interrupted, waitMs } = about;
  const point = `point ${about.id}`;
  if (end === 'target-gone') {
    return new StillframeError('target-gone', `${point} ended before it fired: ${why}`);
  }
  if (end === 'failed') return new StillframeError('internal', `${point} failed: ${why}`);
  if (end === 'expired') return new StillframeError('expired', `${point} did not fire: ${why}`);
  if (interrupted) {
    return new StillframeError('expired', `${point} was interrupted before it fired: ${why}`);
  }
  const seconds = Number((waitMs / 1000).toFixed(3));
  return new StillframeError('expired', `${point} did not fire within ${seconds} s: ${why}`, {
    hint: 'wait longer with --wait, or leave it armed with --detach',
  });
}
