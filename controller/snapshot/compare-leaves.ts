/**
 * What is the same and what differs between snapshots, leaf by leaf, the most telling first. A value that is not known in one of them
 * is never the same. Pure.
 */
import type { Leaf, Leaves } from './leaves.js';

export interface ComparedLeaf {
  readonly name: string;
  /** One for each snapshot, in their order. */
  readonly texts: readonly string[];
  /** Known in all, and equal in all. */
  readonly same: boolean;
  /** The values that are known, each once. */
  readonly values: ReadonlySet<string>;
  /** Low comes first. */
  readonly rank: Rank;
}

type Rank = readonly number[];

/** Each snapshot may have leaves that no other has. */
const maxNames = 1000;

/** `columns`: the leaves of each snapshot. Ordered: those that are the same and those that differ are each to be read from the top. */
export function compareLeaves(columns: readonly Leaves[]): ComparedLeaf[] {
  const names = new Set(columns.flatMap(({ byName }) => [...byName.keys()]));
  const holders = columns.map(({ byName }) =>
    [...byName.values()].filter(({ kind }) => kind === 'null' || kind === 'absent'),
  );
  const compared: ComparedLeaf[] = [];
  for (const name of names) {
    const cells = columns.map(({ byName }) => byName.get(name));
    const first = cells.find((cell) => cell !== undefined);
    if (first === undefined) continue;
    if (compared.length >= maxNames) break;
    const texts = cells.map(
      (cell, i) => cell?.text ?? whyMissing(name, holders[i] ?? [], columns[i]?.missing ?? ''),
    );
    const known = cells.flatMap((cell) => (cell?.comparable === undefined ? [] : [cell.comparable]));
    const values = new Set(known);
    const same = known.length === columns.length && values.size === 1;
    // What a pointer leads to is compared in its own leaves: that it leads somewhere in all of them says nothing.
    if (same && first.kind === 'set') continue;
    const rank = same ? [first.kind === 'address' ? 1 : 0] : rankOf(cells, values);
    const { asked, depth } = first;
    compared.push({ name, texts, same, values, rank: [...rank, asked ? 0 : 1, depth, compared.length] });
  }
  return compared.toSorted(byRank);
}

export function byRank(a: { readonly rank: Rank }, b: { readonly rank: Rank }): number {
  for (const [i, value] of a.rank.entries()) {
    const difference = value - (b.rank[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Of what differs: first what has few different values, for that tells kinds of hits apart; a number that is another one in each snapshot
 * (an id, a time) tells less, an address next to nothing, and what no two snapshots know tells nothing.
 */
function rankOf(cells: readonly (Leaf | undefined)[], values: ReadonlySet<string>): Rank {
  const present = cells.filter((cell) => cell !== undefined);
  const nothingKnown = values.size === 0;
  // Only there where a pointer leads somewhere: the pointer itself tells that already.
  const derived = values.size < 2 && present.length < cells.length;
  const unknown = values.size < 2 && !derived;
  const isAddress = present.every(({ kind }) => kind === 'address');
  const always = values.size === cells.length && cells.length > 2;
  return [nothingKnown ? 4 : derived ? 3 : unknown ? 2 : isAddress ? 1 : 0, always ? 1 : 0, values.size];
}

/** A leaf that a snapshot has not: what it would be reached through is NULL there, or is not known. */
function whyMissing(name: string, holders: readonly Leaf[], otherwise: string): string {
  const through = holders
    .filter((holder) => leadsTo(holder.name, name))
    .toSorted((a, b) => b.name.length - a.name.length)[0];
  if (through !== undefined) {
    return through.kind === 'null' ? `<none: ${through.name} is NULL>` : through.text;
  }
  return otherwise;
}

function leadsTo(holder: string, name: string): boolean {
  if (name === `*${holder}` || name.startsWith(`(*${holder})`)) return true;
  if (!name.startsWith(holder)) return false;
  const next = name.slice(holder.length);
  return next.startsWith('->') || next.startsWith('.') || next.startsWith('[');
}
