/** Which member of a struct leads on in a list: a pointer to a struct of the same type. */
import type { Recipe } from '../../format/recipe/recipe.js';
import { pointerAt } from '../../format/recipe/recipe.js';
import { asComposite, asPointer, stripType } from '../types/layout.js';
import type { CompositeType, Member, Type } from '../types/type.js';
import { viewOf } from '../types/views.js';
import { isSameTarget } from './class-cast.js';

export interface SelfLink {
  readonly name: string;
  readonly byteOffset: number;
  /** The pointer, over the address of the member. */
  readonly pointer: Recipe;
  /** All members that lead to structs of this type: in a list those before and those behind, which the list has. */
  readonly others: ReadonlySet<number>;
}

/** Names of members that lead on, and of those that lead somewhere else in a list where no other does. */
const leadsOn = /next|nxt|link|succ|chain|sibling|tail/i;
const leadsBack = /prev|parent|outer|up$/i;

/** Undefined where none does, and where several may: trees have no end that a list has. */
export function selfLink(type: Type): SelfLink | undefined {
  const composite = asComposite(type);
  if (composite === undefined || composite.kind === 'union' || composite.name === undefined) return undefined;
  const known = found.get(composite);
  if (known !== undefined) return known.link;
  const link = findLink(composite);
  found.set(composite, { link });
  return link;
}

/** A type is looked at once: many pointers lead to it. */
const found = new WeakMap<CompositeType, { readonly link: SelfLink | undefined }>();

function findLink(composite: CompositeType): SelfLink | undefined {
  const links = composite.members().flatMap((member) => linkOf(member, composite) ?? []);
  const others = new Set(links.map(({ byteOffset }) => byteOffset));
  for (const wanted of [leadsOn, leadsBack]) {
    const [link, another] = links.filter(({ name }) => wanted.test(name));
    if (link !== undefined && another === undefined) return { ...link, others };
  }
  return undefined;
}

function linkOf(member: Member, composite: CompositeType): Omit<SelfLink, 'others'> | undefined {
  const { name, byteOffset, bitSize, base } = member;
  if (name === undefined || bitSize !== undefined || base) return undefined;
  const type = member.type();
  const view = viewOf(type);
  if (view !== undefined) {
    // A smart pointer.
    if (view.kind !== 'pointer' || !isSameTarget(view.target(), composite)) return undefined;
    return { name, byteOffset, pointer: view.pointer };
  }
  const target = asPointer(type)?.target();
  if (target === undefined || stripType(target).kind !== composite.kind) return undefined;
  return isSameTarget(target, composite) ? { name, byteOffset, pointer: pointerAt(0) } : undefined;
}
