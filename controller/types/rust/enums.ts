/** Enums, and the state machines of async functions, as the variant that they are. */
import { sizeOf, stripType } from '../layout.js';
import type { CompositeType, Member, Type, Variant, VariantPart } from '../type.js';
import { discriminantOf, possibleVariants } from '../variants.js';
import type { Alternative, VariantView } from '../view.js';
import { lastPart, shortPath } from './names.js';

export function enumView(type: CompositeType, part: VariantPart): VariantView | undefined {
  const possible = possibleVariants(part);
  // Nothing tells them apart, or none can exist.
  if (part.discriminant === undefined && possible.length !== 1) return undefined;
  const alternatives = possible.map((variant) => alternativeOf(variant, type));
  return alternatives.includes(undefined)
    ? undefined
    : {
        kind: 'variant',
        discriminant: discriminantOf(part),
        alternatives: alternatives.filter((each) => each !== undefined),
      };
}

function alternativeOf(variant: Variant, type: CompositeType): Alternative | undefined {
  const [member] = variant.members;
  if (member?.name === undefined || variant.members.length > 1) return undefined;
  const isState = /^\d+$/.test(member.name);
  const name = isState ? stateName(member) : member.name;
  const content = isState && ended.has(name) ? undefined : contentOf(member);
  const role = roles.get(shortPath(type.name ?? '') ?? '')?.[name];
  return {
    name,
    ...(variant.discriminants === undefined ? {} : { discriminants: variant.discriminants }),
    ...(content === undefined ? {} : { content }),
    ...(role === undefined ? {} : { role }),
  };
}

type Role = NonNullable<Alternative['role']>;
const roles: ReadonlyMap<string, Readonly<Record<string, Role>>> = new Map([
  ['core::Option', { Some: 'value', None: 'empty' }],
  ['core::Result', { Ok: 'value', Err: 'error' }],
  ['core::Poll', { Ready: 'value', Pending: 'empty' }],
]);

/** rustc numbers the states; their types have names. */
function stateName(member: Member): string {
  const type = stripType(member.type());
  return type.kind === 'struct' && type.name !== undefined ? lastPart(type.name) : (member.name ?? '');
}

/** States in which what was captured is gone: rustc lists it all the same. */
const ended: ReadonlySet<string> = new Set(['Returned', 'Panicked']);

/** What a variant holds: the value itself of `Some(3)`, all fields of others, nothing of one without fields. */
function contentOf(member: Member): Alternative['content'] {
  const type = stripType(member.type());
  if (type.kind !== 'struct') return { type: member.type, offset: member.byteOffset };
  const members = distinct(type.members());
  const [first] = members;
  if (first === undefined) return undefined;
  if (members.length === 1 && first.name === '__0')
    return { type: first.type, offset: member.byteOffset + first.byteOffset };
  if (members.length === type.members().length) return { type: () => type, offset: member.byteOffset };
  const listed: Type = { ...type, members: () => members };
  return { type: () => listed, offset: member.byteOffset };
}

/** NB: a state lists what was captured and lives on in it twice. */
function distinct(members: readonly Member[]): readonly Member[] {
  const seen = new Set<string>();
  return members.filter((member) => {
    const key = `${member.name ?? ''} ${member.byteOffset} ${sizeOf(member.type()) ?? ''}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
