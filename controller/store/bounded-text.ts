/** Text and facts that others wrote, cut to bounds before they are kept; what was cut shows it. */
import { incidentLimits } from '../automation/incident-store.js';

export type Entry = string | number | boolean;

export function boundedText(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  // NB: not in the middle of a surrogate pair, or the rest is no text.
  const cut = text.slice(0, maxCharacters - 1).replace(/[\uD800-\uDBFF]$/, '');
  return `${cut}…`;
}

export function boundedEntries(entries: Readonly<Record<string, Entry>>): Record<string, Entry> {
  const { maxEntries, maxKeyCharacters, maxValueCharacters } = incidentLimits;
  const all = Object.entries(entries);
  const kept = all.slice(0, all.length > maxEntries ? maxEntries - 1 : maxEntries);
  const bounded = kept.map(([key, value]): [string, Entry] => [
    boundedText(key, maxKeyCharacters),
    boundedValue(value, maxValueCharacters),
  ]);
  if (kept.length < all.length) bounded.push(['…', `${all.length - kept.length} more`]);
  // NB: a label may be called `__proto__`: it becomes an own property here.
  return Object.fromEntries(bounded);
}

/** JSON has no infinities. */
function boundedValue(value: Entry, maxCharacters: number): Entry {
  if (typeof value === 'string') return boundedText(value, maxCharacters);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

export function entriesFrom(json: string): Record<string, Entry> {
  const entries: unknown = JSON.parse(json);
  if (typeof entries !== 'object' || entries === null) return {};
  return Object.fromEntries(
    Object.entries(entries).filter(
      (entry): entry is [string, Entry] =>
        typeof entry[1] === 'string' || typeof entry[1] === 'number' || typeof entry[1] === 'boolean',
    ),
  );
}
