/** Quantities as a rule spells them. Each gives undefined where the text is none, and knows what to say then. */

export interface Quantity {
  /** The value in its unit. */
  parse(text: string): number | undefined;
  /** As it would be written. */
  render(value: number): string;
  /** What the text should have been: `"10x" is no …`. */
  readonly noun: string;
}

const durations = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const sizes: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const perSecond: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** Milliseconds. */
export const duration: Quantity = {
  noun: 'duration: a number and a unit (ms, s, m, h or d), for example 30s',
  parse(text) {
    const match = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(text);
    const unit = match?.[2] as keyof typeof durations | undefined;
    return unit === undefined ? undefined : Math.round(Number(match?.[1]) * durations[unit]);
  },
  render(ms) {
    const units = Object.entries(durations).toReversed();
    const [name, unit] = units.find(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1];
    return `${ms / unit}${name}`;
  },
};

/** Bytes. */
export const size: Quantity = {
  noun: 'size: a number of bytes, or one with k, M, G or T, for example 64k',
  parse(text) {
    const match = /^(\d{1,15})\s?([kmgt]?)(?:i?b)?$/i.exec(text);
    const unit = sizes[match?.[2]?.toLowerCase() ?? ''];
    return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
  },
  render(bytes) {
    for (const name of ['t', 'g', 'm', 'k']) {
      const unit = sizes[name] ?? 1;
      if (bytes >= unit && bytes % unit === 0)
        return `${bytes / unit}${name === 'k' ? 'k' : name.toUpperCase()}`;
    }
    return String(bytes);
  },
};

/** Events a second. */
export const rate: Quantity = {
  noun: 'rate: a number for each s, m or h, for example 3/s',
  parse(text) {
    const match = /^(\d{1,15}(?:\.\d{1,6})?)\s?\/\s?(s|m|h)$/.exec(text);
    const unit = perSecond[match?.[2] ?? ''];
    return match === null || unit === undefined ? undefined : Number(match[1]) / unit;
  },
  render: (value) => `${shortNumber(value)}/s`,
};

/** Percent of one CPU. */
export const percent: Quantity = {
  noun: 'percentage: a number and %, for example 150%',
  parse(text) {
    const match = /^(\d{1,6}(?:\.\d{1,3})?)\s?%$/.exec(text);
    return match === null ? undefined : Number(match[1]);
  },
  render: (value) => `${shortNumber(value)}%`,
};

/** For people, to the second: `9m 42s`. */
export function span(ms: number): string {
  let rest = Math.ceil(ms / 1000) * 1000;
  const parts: string[] = [];
  for (const [name, unit] of Object.entries(durations).toReversed()) {
    if (unit >= 1000 && rest >= unit && parts.length < 2) {
      parts.push(`${Math.floor(rest / unit)}${name}`);
      rest %= unit;
    }
  }
  return parts.length === 0 ? '0s' : parts.join(' ');
}

/** Three digits are enough for people. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}
