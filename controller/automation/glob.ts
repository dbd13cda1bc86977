/** Patterns in which `*` stands for any characters. NB: by hand, for a regular expression of several `.*` takes long on the wrong value. */

/** What the stars of the pattern stand for in the value, one behind the other; undefined where it does not fit. */
export function starsOf(pattern: string, value: string): string | undefined {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return first === value ? '' : undefined;
  const end = value.length - last.length;
  if (end < first.length || !value.startsWith(first) || !value.endsWith(last)) return undefined;
  let at = first.length;
  let stars = '';
  for (const piece of others) {
    const found = value.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return undefined;
    stars += value.slice(at, found);
    at = found + piece.length;
  }
  return stars + value.slice(at, end);
}

export const fitsGlob = (pattern: string, value: string): boolean => starsOf(pattern, value) !== undefined;
