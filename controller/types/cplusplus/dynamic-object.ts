/**
 * The whole object behind a pointer or a reference to a base: its vtable says what it is and where it begins. Only where the class it is has that base
 * just there; everything else is shown as it is declared.
 */
import { isAbsent } from '../../../format/absent.js';
import type { MemoryReader } from '../../../format/memory.js';
import { asComposite } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { decodeInteger } from '../../../format/integer.js';
import { typeName } from '../type-name.js';
import type { CompositeType, Member, Type } from '../type.js';
import { computeRecipe } from '../../../format/recipe/recipe.js';

export interface DynamicType {
  readonly type: Type;
  /** From where the object has its pointer to the vtable to where it begins. */
  readonly offsetToTop: bigint;
}

export type DynamicTypes = (vtable: bigint) => DynamicType | undefined;

/** Nested bases; what foreign debug information says may be cyclic. */
const maxBases = 1_000;

/** The object itself where it is no base of another one, or nothing says so. */
export function dynamicObject(
  object: ObjectView,
  memory: MemoryReader,
  dynamicTypeAt: DynamicTypes | undefined,
): ObjectView {
  return wholeObject(object, memory, dynamicTypeAt) ?? object;
}

/** What an object is that its vtable says; undefined where nothing says what it is. */
export function wholeObject(
  object: ObjectView,
  memory: MemoryReader,
  dynamicTypeAt: DynamicTypes | undefined,
): ObjectView | undefined {
  const { address } = object;
  if (dynamicTypeAt === undefined || address === undefined) return undefined;
  const declared = asComposite(object.type);
  const pointerAt = declared?.origin?.language === 'c++' ? vtablePointer(declared) : undefined;
  if (declared === undefined || pointerAt === undefined) return undefined;
  const place = BigInt.asUintN(64, address + BigInt(pointerAt));
  const read = memory.read(place, 8);
  if (isAbsent(read)) return undefined;
  const dynamic = dynamicTypeAt(decodeInteger(read.bytes, false));
  const whole = dynamic === undefined ? undefined : asComposite(dynamic.type);
  if (dynamic === undefined || whole === undefined || whole.incomplete) return undefined;
  const top = BigInt.asUintN(64, place + dynamic.offsetToTop);
  if (isSame(whole, declared)) return top === address ? object : undefined;
  if (!hasBaseAt({ type: dynamic.type, address: top }, declared, address, memory)) return undefined;
  return { type: qualifiedAs(object.type, dynamic.type), address: top };
}

/** `const Circle` for a `const Shape`. */
function qualifiedAs(declared: Type, type: Type): Type {
  return declared.kind === 'qualified' ? { ...declared, target: () => type } : type;
}

/** Where an object has a pointer to a vtable: itself, or in its first base that has one; undefined where it has none. */
function vtablePointer(type: CompositeType): number | undefined {
  const queue: { readonly type: CompositeType; readonly offset: number }[] = [{ type, offset: 0 }];
  for (let i = 0; i < queue.length && i < maxBases; i++) {
    const at = queue[i];
    if (at === undefined) break;
    for (const member of at.type.members()) {
      if (member.name?.startsWith('_vptr') === true) return at.offset + member.byteOffset;
      const base = member.base ? asComposite(member.type()) : undefined;
      if (base !== undefined) queue.push({ type: base, offset: at.offset + member.byteOffset });
    }
  }
  return undefined;
}

function hasBaseAt(whole: ObjectView, base: CompositeType, address: bigint, memory: MemoryReader): boolean {
  return partsOfClass(whole, base, memory).has(address);
}

/** Where an object has parts that are of a class: the object itself, and bases of it however far up. */
export function partsOfClass(whole: ObjectView, wanted: CompositeType, memory: MemoryReader): Set<bigint> {
  const found = new Set<bigint>();
  const queue: ObjectView[] = [whole];
  for (let i = 0; i < queue.length && i < maxBases; i++) {
    const at = queue[i];
    const type = at === undefined ? undefined : asComposite(at.type);
    if (at?.address === undefined || type === undefined) continue;
    if (isSame(type, wanted)) found.add(at.address);
    for (const member of type.members()) {
      const place = member.base ? baseObject(at, member, memory) : undefined;
      if (place !== undefined) queue.push(place);
    }
  }
  return found;
}

/** Whether objects of a class say what they are: whether it or a base of it has virtual functions. */
export function isPolymorphic(type: Type): boolean {
  const composite = asComposite(type);
  return composite?.origin?.language === 'c++' && vtablePointer(composite) !== undefined;
}

/** A base of an object that is in memory; undefined where it is not known where it lies. */
function baseObject(object: ObjectView, member: Member, memory: MemoryReader): ObjectView | undefined {
  const { virtualBase } = member;
  const offset =
    virtualBase === undefined ? BigInt(member.byteOffset) : computeRecipe(virtualBase.offset, object, memory);
  if (isAbsent(offset) || object.address === undefined) return undefined;
  const type = (virtualBase ?? member).type();
  return { type, address: BigInt.asUintN(64, object.address + offset) };
}

/** Units have copies of one class. */
function isSame(a: CompositeType, b: CompositeType): boolean {
  return a === b || (a.name !== undefined && a.byteSize === b.byteSize && typeName(a) === typeName(b));
}
