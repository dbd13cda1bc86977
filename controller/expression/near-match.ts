/** Names that are nearly the one that was asked for. */

const maxNames = 200_000;
const maxCandidates = 5;

/** Best first; only names so near that a slip of the finger explains them. */
export function nearMatches(wanted: string, names: Iterable<string>): string[] {
  // In a name of one or two letters any other would be near: only its case may differ.
  const allowed = wanted.length < 3 ? 0.5 : Math.floor(wanted.length / 3);
  const found = new Map<string, number>();
  let seen = 0;
  for (const name of names) {
    if (++seen > maxNames) break;
    if (Math.abs(name.length - wanted.length) > allowed || name === wanted || found.has(name)) continue;
    const distance = name.toLowerCase() === wanted.toLowerCase() ? 0.5 : editDistance(wanted, name, allowed);
    if (distance <= allowed) found.set(name, distance);
  }
  const order = [...found].toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
  return order.slice(0, maxCandidates).map(([name]) => name);
}

/** `did you mean "order"?`; undefined without candidates. */
export function didYouMean(candidates: readonly string[]): string | undefined {
  const quoted = candidates.slice(0, 3).map((name) => `"${name}"`);
  const last = quoted.pop();
  if (last === undefined) return undefined;
  return `did you mean ${quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`}?`;
}

/** Insertions, deletions, substitutions, and swaps of neighbours (the likeliest slip); gives up above `most`. */
function editDistance(a: string, b: string, most: number): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (previous[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 0.9);
      }
      row.push(cost);
      least = Math.min(least, cost);
    }
    if (least > most) return Infinity;
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? Infinity;
}
