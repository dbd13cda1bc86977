/** Picks the one row that a reference names, or says what there is instead. */
import { StillframeError } from '../../format/error.js';

export function oneOf<Row extends { readonly id: string }>(
  rows: readonly Row[],
  about: {
    readonly noun: string;
    readonly reference: string;
    readonly nearest: () => readonly string[];
    /** The command that lists them. */
    readonly list: string;
  },
): Row {
  const exact = rows.find((row) => row.id === about.reference);
  const [only, ...others] = exact === undefined ? rows : [exact];
  if (about.reference === '' || only === undefined) {
    const nothing = about.reference === 'last' ? `there is no ${about.noun} yet` : undefined;
    throw new StillframeError('not-found', nothing ?? `no ${about.noun} "${about.reference}"`, {
      candidates: about.nearest(),
      hint: `\`${about.list}\` lists them`,
    });
  }
  if (others.length > 0) {
    throw new StillframeError('ambiguous', `"${about.reference}" fits ${rows.length} ${about.noun}s`, {
      candidates: rows.map((row) => row.id),
      hint: 'give more characters of the id',
    });
  }
  return only;
}

/** Bounds that hold every text with that prefix; ids are lower-case ASCII. */
export function prefixRange(prefix: string): [string, string] {
  return [prefix, `${prefix}\u{10ffff}`];
}
