/** Reads what users type after options: durations, sizes, counts, engines. Each throws `usage` and says what it wants. */
import { engineNames, type EngineName } from '../../format/capture.js';
import { StillframeError } from '../../format/error.js';

const durationsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** Times and timers stay far from their ends. */
const maxDurationMs = 365 * 86_400_000;
const sizes: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** `500ms`, `2s`, `1.5h`, in milliseconds. */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const unit = durationsMs[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    throw usage(
      `${option}: "${text}" is no duration`,
      'a number and a unit: ms, s, m, h or d, for example 30s',
    );
  }
  const ms = Math.round(Number(match[1]) * unit);
  if (ms > maxDurationMs) throw usage(`${option}: "${text}" is too long`, 'at most 365d');
  return ms;
}

/** `4096`, `16k`, `16KiB`, `1M`, in bytes. */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(text);
  const unit = sizes[match?.[2]?.toLowerCase() ?? ''];
  if (match === null || unit === undefined) {
    throw usage(
      `${option}: "${text}" is no size`,
      'a number of bytes, or one with k, M or G, for example 16k',
    );
  }
  return Number(match[1]) * unit;
}

export function parseCount(option: string, text: string, least = 0): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : -1;
  if (count < least) throw usage(`${option}: "${text}" is no number from ${least}`, undefined);
  return count;
}

/** More than none. */
export function parsePercent(option: string, text: string): number {
  const percent = /^\d{1,6}(\.\d{1,6})?%?$/.test(text) ? Number(text.replace('%', '')) : 0;
  if (percent <= 0) throw usage(`${option}: "${text}" is no percentage`, 'more than 0, for example 2.5');
  return percent;
}

export function parseEngine(text: string | undefined): EngineName | '' {
  if (text === undefined) return '';
  const engine = engineNames.find((name) => name === text);
  if (engine !== undefined) return engine;
  throw new StillframeError('usage', `--engine: there is no engine "${text}"`, { candidates: engineNames });
}

/** How far back, as nanoseconds since the epoch: a duration, or a point in time as RFC 3339. */
export function parseSince(text: string, nowMs: number): bigint {
  const timeMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : nowMs - parseDuration('--since', text);
  if (Number.isNaN(timeMs))
    throw usage(`--since: "${text}" is no time`, 'a duration (2h) or a time (2026-01-31T12:00:00Z)');
  return BigInt(Math.max(0, timeMs)) * 1_000_000n;
}

function usage(message: string, hint: string | undefined): StillframeError {
  return new StillframeError('usage', message, hint === undefined ? {} : { hint });
}
