/** Enums, and the state machines of async functions, as the variant that they are. */
import { stripType } from '../layout.js';
import type { CompositeType, Member, Type, Variant, VariantPart } from '../type.js';
import { discriminantOf, possibleVariants } from '../variants.js';
import type { Alternative, VariantView } from '../view.js';
import { shortPath } from './names.js';
import { isStateMachine, stateOf } from './state-machine.js';

export function enumView(type: CompositeType, part: VariantPart): VariantView | undefined {
  const possible = possibleVariants(part);
  // Nothing tells them apart, or none can exist.
  if (part.discriminant === undefined && possible.length !== 1) return undefined;
  const make = isStateMachine(part) ? stateAlternative : plainAlternative;
  const alternatives: Alternative[] = [];
  for (const variant of possible) {
    const [member] = variant.members;
    if (member === undefined || variant.members.length > 1) return undefined;
    const made = make(member, part, type);
    if (made === undefined) return undefined;
    alternatives.push({ ...made, ...discriminantsOf(variant) });
  }
  return { kind: 'variant', discriminant: discriminantOf(part), alternatives };
}

function discriminantsOf({ discriminants }: Variant): Pick<Alternative, 'discriminants'> {
  return discriminants === undefined ? {} : { discriminants };
}

type Role = NonNullable<Alternative['role']>;
const roles: ReadonlyMap<string, Readonly<Record<string, Role>>> = new Map([
  ['core::Option', { Some: 'value', None: 'empty' }],
  ['core::Result', { Ok: 'value', Err: 'error' }],
  ['core::Poll', { Ready: 'value', Pending: 'empty' }],
]);

function plainAlternative(member: Member, _: VariantPart, type: CompositeType): Alternative | undefined {
  const { name } = member;
  if (name === undefined) return undefined;
  const content = contentOf(member);
  const role = roles.get(shortPath(type.name ?? '') ?? '')?.[name];
  return {
    name,
    ...(content === undefined ? {} : { content }),
    ...(role === undefined ? {} : { role }),
  };
}

/** What a variant holds: the value itself of `Some(3)`, all fields of others, nothing of one without fields. */
function contentOf(member: Member): Alternative['content'] {
  const type = stripType(member.type());
  if (type.kind !== 'struct') return { type: member.type, offset: member.byteOffset };
  const members = type.members();
  const [first] = members;
  if (first === undefined) return undefined;
  if (members.length === 1 && first.name === '__0')
    return { type: first.type, offset: member.byteOffset + first.byteOffset };
  return { type: () => type, offset: member.byteOffset };
}

function stateAlternative(member: Member, part: VariantPart): Alternative | undefined {
  const state = stateOf(member, part);
  if (state === undefined) return undefined;
  const { name, members } = state;
  if (members === undefined || members.length === 0) return { name };
  const type: Type = { ...state.type, members: () => members };
  return { name, content: { type: () => type, offset: member.byteOffset } };
}
