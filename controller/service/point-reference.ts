import { StillframeError } from '../../format/error.js';

/** The id that a reference means: itself or a prefix of it. Throws `not-found` or `ambiguous` with the candidates. */
export function pickPoint(ids: readonly string[], reference: string): string {
  const found = ids.includes(reference) ? [reference] : ids.filter((id) => id.startsWith(reference));
  const [first, ...others] = reference === '' ? [] : found;
  if (first !== undefined && others.length === 0) return first;
  if (first === undefined) {
    throw new StillframeError('not-found', `no point "${reference}"`, {
      candidates: ids.slice(-10),
      hint: '`stillframe points` lists them',
    });
  }
  throw new StillframeError('ambiguous', `"${reference}" fits ${found.length} points`, {
    candidates: found,
    hint: 'give more characters of the id',
  });
}
