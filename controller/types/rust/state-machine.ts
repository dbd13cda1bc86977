/**
 * The state machines that rustc makes of async functions, blocks and closures: an enum of `Unresumed`, `Returned`, `Panicked`, `Suspend0`, `Suspend1` and so on,
 * whose variants rustc numbers. Each lists what lives on in it, and after that all that was captured, be it gone or not.
 */
import { stripType } from '../layout.js';
import type { CompositeType, Member, VariantPart } from '../type.js';
import { lastPart } from './names.js';
import { releaseOf } from './release.js';

export interface State {
  readonly name: string;
  readonly type: CompositeType;
  /** Undefined in a state in which nothing is left. */
  readonly members: readonly Member[] | undefined;
}

export function isStateMachine(part: VariantPart): boolean {
  return (
    part.variants.length > 0 && part.variants.every(({ members }) => /^\d+$/.test(members[0]?.name ?? ''))
  );
}

/** A variant of a state machine; undefined where it is not as rustc writes it. */
export function stateOf(member: Member, part: VariantPart): State | undefined {
  const type = stateType(member);
  const name = type?.name === undefined ? undefined : lastPart(type.name);
  if (type === undefined || name === undefined) return undefined;
  if (name === 'Returned' || name === 'Panicked') return { name, type, members: undefined };
  const captured = part.variants
    .map(({ members: [first] }) => (first === undefined ? undefined : stateType(first)))
    .find((each) => each?.name !== undefined && lastPart(each.name) === 'Unresumed');
  if (name === 'Unresumed' || captured === undefined) return { name, type, members: type.members() };
  return { name, type, members: living(type, captured.members()) };
}

function stateType(member: Member): CompositeType | undefined {
  const type = stripType(member.type());
  return type.kind === 'struct' ? type : undefined;
}

/** NB: since then, what is captured is one of the locals of a state that it lives on in; its own place may have become that of another. */
const firstWithMovedCaptures = 95;

function living(state: CompositeType, captured: readonly Member[]): readonly Member[] {
  const members = state.members();
  const locals = members.slice(0, members.length - captured.length);
  const listed = members.slice(locals.length);
  const isAsKnown =
    captured.length <= members.length && captured.every((each, i) => each.name === listed[i]?.name);
  if (!isAsKnown) return members;
  const isMoved =
    (releaseOf(state) ?? 0) >= firstWithMovedCaptures ||
    listed.some((each) => locals.some((local) => isSame(local, each)));
  return isMoved ? locals : members;
}

function isSame(one: Member, other: Member): boolean {
  return one.name === other.name && one.byteOffset === other.byteOffset;
}
