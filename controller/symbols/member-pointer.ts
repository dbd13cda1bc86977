/**
 * Pointers to members of C++ (Itanium C++ ABI 2.3). One to data is the offset of the member, and is shown as the member; one to a function is the address of
 * its code, or one more than its place in the vtable, and what is to be added to the address of the object.
 */
import { DW_AT } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { asComposite, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { BaseType, CompositeType, Enumerator, EnumType, Member, Type } from '../types/type.js';
import { once } from './once.js';

const longType: BaseType = { kind: 'base', name: 'long', byteSize: 8, encoding: 'signed' };

export function memberPointer(die: Die, typeBehind: (die: Die, attribute: number) => Type): Type {
  const member = once(() => typeBehind(die, DW_AT.type));
  const owner = once(() => typeBehind(die, DW_AT.containing_type));
  return stripType(member()).kind === 'function'
    ? functionPointer(member, owner)
    : dataPointer(member, owner);
}

function dataPointer(member: () => Type, owner: () => Type): EnumType {
  const name = late(() => `${typeName(member())} ${typeName(owner())}::*`);
  const enumerators = once(() => membersNamed(owner(), typeName(member())));
  return {
    kind: 'enum',
    get name() {
      return name();
    },
    tagless: true,
    byteSize: 8,
    signed: true,
    enumerators,
  };
}

/** Members that it can point to, by their offset; NULL is -1, for 0 is the first member. */
function membersNamed(owner: Type, type: string): Enumerator[] {
  const composite = asComposite(owner);
  const own = typeName(owner);
  const found: Enumerator[] = [{ name: 'NULL', value: -1n }];
  for (const member of composite?.members() ?? []) {
    if (member.name === undefined || member.base || member.bitSize !== undefined) continue;
    // In a union several members have one offset.
    if (typeName(member.type()) === type)
      found.push({ name: `&${own}::${member.name}`, value: BigInt(member.byteOffset) });
  }
  return found;
}

function functionPointer(member: () => Type, owner: () => Type): CompositeType {
  const name = late(() => functionName(member(), owner()));
  const code: Type = { kind: 'pointer', flavor: 'pointer', byteSize: 8, target: member };
  const members: readonly Member[] = [
    { name: '__pfn', type: () => code, byteOffset: 0, base: false },
    { name: '__delta', type: () => longType, byteOffset: 8, base: false },
  ];
  return {
    kind: 'struct',
    get name() {
      return name();
    },
    tagless: true,
    byteSize: 16,
    incomplete: false,
    members: () => members,
  };
}

/** As gdb writes it, the object that it is called on as first parameter: `int (shop::Counter::*)(shop::Counter * const, int)`. */
function functionName(type: Type, owner: Type): string {
  const plain = stripType(type);
  if (plain.kind !== 'function') return typeName(type);
  const named = plain.parameters().map((each) => typeName(each));
  const result = typeName(plain.result());
  return `${result} (${typeName(owner)}::*)(${named.length === 0 ? 'void' : named.join(', ')})`;
}

/** Named when it is asked for, for types are cyclic; a name that leads to itself is cut. */
function late(make: () => string): () => string {
  let isMaking = false;
  let name: string | undefined;
  return () => {
    if (name !== undefined) return name;
    if (isMaking) return '...';
    isMaking = true;
    try {
      name = make();
    } finally {
      isMaking = false;
    }
    return name;
  };
}
