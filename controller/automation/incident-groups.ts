/** The snapshots of an incident by the stack they were taken with, and what their values have in common. */
import { byRank, compareLeaves, type ComparedLeaf } from '../snapshot/compare-leaves.js';
import type { Leaves } from '../snapshot/leaves.js';
import type { SnapshotRecord } from '../store/store.js';
import type { StackGroup } from './incident.js';
import { isUnreadable, type IncidentSnapshots } from './incident-snapshots.js';
import type { StackSignature } from './incident-store.js';

export const groupLimits = {
  /** Snapshots that are compared: of a group, and of all groups together. */
  maxCompared: 50,
  maxComparedInAll: 500,
  /** Values that are told: of those that are the same, and of those that differ. */
  maxLeaves: 100,
  /** Of values of all groups together: a document must fit into a message. */
  maxCharactersInAll: 1_000_000,
} as const;

export interface StackGroups {
  /** Most frequent first. */
  readonly groups: readonly StackGroup[];
  /** How many different ones; what cannot be read is none. */
  readonly stacks: number;
}

/** `snapshots`: oldest first. */
export async function groupByStack(
  reader: IncidentSnapshots,
  snapshots: readonly SnapshotRecord[],
): Promise<StackGroups> {
  using _held = reader.hold();
  const members = await membersByStack(reader, snapshots);
  let budget: number = groupLimits.maxComparedInAll;
  const compared: ComparedGroup[] = [];
  for (const member of members) {
    const wanted = Math.min(member.snapshots.length, groupLimits.maxCompared, budget);
    budget -= wanted;
    compared.push(await compareGroup(reader, member, wanted));
  }
  const values = valuesByName(compared);
  const room = { characters: groupLimits.maxCharactersInAll };
  return {
    groups: compared.map((group) => groupOf(group, values, room)),
    stacks: members.filter(({ signature }) => !isUnreadable(signature)).length,
  };
}

/** How many different stacks; what cannot be read is none. */
export async function countStacks(
  reader: IncidentSnapshots,
  snapshots: readonly SnapshotRecord[],
): Promise<number> {
  const keys = new Set<string>();
  for (const snapshot of snapshots) {
    const signature = await reader.signature(snapshot);
    if (!isUnreadable(signature)) keys.add(signature.key);
  }
  return keys.size;
}

interface Members {
  readonly signature: StackSignature;
  readonly snapshots: SnapshotRecord[];
}

interface ComparedGroup extends Members {
  readonly leaves: readonly ComparedLeaf[];
  /** Of the first of its snapshots. */
  readonly compared: number;
  readonly unread: readonly string[];
}

async function membersByStack(
  reader: IncidentSnapshots,
  snapshots: readonly SnapshotRecord[],
): Promise<Members[]> {
  const groups = new Map<string, Members>();
  for (const snapshot of snapshots) {
    const signature = await reader.signature(snapshot);
    const group = groups.get(signature.key);
    if (group === undefined) groups.set(signature.key, { signature, snapshots: [snapshot] });
    else group.snapshots.push(snapshot);
  }
  // NB: the sort is stable: groups of one size stand by their oldest snapshot. What cannot be read is no stack, and stands last.
  return [...groups.values()].toSorted(
    (a, b) =>
      Number(isUnreadable(a.signature)) - Number(isUnreadable(b.signature)) ||
      b.snapshots.length - a.snapshots.length,
  );
}

async function compareGroup(
  reader: IncidentSnapshots,
  members: Members,
  wanted: number,
): Promise<ComparedGroup> {
  if (isUnreadable(members.signature)) return { ...members, leaves: [], compared: 0, unread: [] };
  const columns: Leaves[] = [];
  const unread: string[] = [];
  for (const snapshot of members.snapshots.slice(0, wanted)) {
    const read = await reader.leaves(snapshot);
    if ('error' in read) unread.push(`${snapshot.id} cannot be read: ${read.error}`);
    columns.push('error' in read ? unreadLeaves : read.value);
  }
  return { ...members, leaves: compareLeaves(columns), compared: columns.length, unread };
}

const unreadLeaves: Leaves = { byName: new Map(), missing: '<the snapshot cannot be read>' };
const maxUnreadTold = 3;

function groupOf(
  group: ComparedGroup,
  all: ReadonlyMap<string, ReadonlySet<string>>,
  room: Room,
): StackGroup {
  // Equal in this group, and not, or not always, that in another one.
  const isTelling = ({ same, name }: ComparedLeaf): boolean => same && (all.get(name)?.size ?? 0) > 1;
  const ranked = group.leaves
    .map((leaf) => ({ ...leaf, rank: [isTelling(leaf) ? 0 : 1, ...leaf.rank] }))
    .toSorted(byRank);
  const same = ranked
    .filter((leaf) => leaf.same)
    .map(({ name, texts: [text = ''] }) => ({ name, text, characters: name.length + text.length }));
  const different = ranked
    .filter((leaf) => !leaf.same)
    .map(({ name, texts }) => ({
      name,
      texts,
      characters: texts.reduce((sum, text) => sum + text.length, name.length),
    }));
  const [toldSame, toldDifferent] = [fitting(same, room), fitting(different, room)];
  const note = noteOf(group, same.length - toldSame.length, different.length - toldDifferent.length);
  return {
    stack: group.signature.frames,
    snapshots: group.snapshots.map(({ id }) => id),
    same: toldSame.map(({ name, text }) => ({ name, text })),
    different: toldDifferent.map(({ name, texts }) => ({ name, texts })),
    ...(note === '' ? {} : { note }),
  };
}

interface Room {
  characters: number;
}

/** From the top, as many as may be told. */
function fitting<T extends { readonly characters: number }>(leaves: readonly T[], room: Room): T[] {
  const told: T[] = [];
  for (const leaf of leaves.slice(0, groupLimits.maxLeaves)) {
    if (leaf.characters > room.characters) break;
    room.characters -= leaf.characters;
    told.push(leaf);
  }
  return told;
}

/** All values that are known of a leaf, over all groups. */
function valuesByName(groups: readonly ComparedGroup[]): ReadonlyMap<string, ReadonlySet<string>> {
  const all = new Map<string, Set<string>>();
  for (const { name, values } of groups.flatMap(({ leaves }) => leaves)) {
    const known = all.get(name) ?? new Set();
    for (const value of values) known.add(value);
    all.set(name, known);
  }
  return all;
}

function noteOf(group: ComparedGroup, moreSame: number, moreDifferent: number): string {
  const parts = group.unread.slice(0, maxUnreadTold);
  const untold = group.unread.length - parts.length;
  if (untold > 0) parts.push(`${untold} more cannot be read`);
  const { length } = group.snapshots;
  if (group.compared < length && !isUnreadable(group.signature)) {
    parts.push(`the oldest ${group.compared} of ${length} snapshots are compared`);
  }
  if (moreSame > 0) parts.push(`${moreSame} more values are the same`);
  if (moreDifferent > 0) parts.push(`${moreDifferent} more values differ`);
  return parts.join('; ');
}
