/** Which of its variants an object is: the part of the type model that needs an object's bytes. */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import { defaultLimits } from '../../format/limits.js';
import type { MemoryReader } from '../../format/memory.js';
import { stripType } from './layout.js';
import type { ObjectView } from './object-view.js';
import {
  binary,
  choose,
  computeRecipe,
  constant,
  type IntegerSize,
  type Recipe,
} from '../../format/recipe/recipe.js';
import type { DiscriminantRange, Member, Type, Variant, VariantPart } from './type.js';

/** The one that an object is; undefined where no object can exist. */
export function activeVariant(
  object: ObjectView,
  part: VariantPart,
  memory: MemoryReader,
): Variant | Absent | undefined {
  const possible = possibleVariants(part);
  if (part.discriminant === undefined) {
    if (possible.length < 2) return possible[0];
    return absent('no-debug-info', 'nothing in the debug information tells which of its variants it is');
  }
  const discriminant = computeRecipe(discriminantOf(part), object, memory);
  if (isAbsent(discriminant)) return discriminant;
  const found =
    possible.find((variant) => variant.discriminants?.some((range) => isWithin(discriminant, range))) ??
    possible.find((variant) => variant.discriminants === undefined);
  return (
    found ?? absent('unreadable', `the object is corrupt: no variant has the discriminant ${discriminant}`)
  );
}

const isWithin = (value: bigint, { from, to }: DiscriminantRange): boolean => from <= value && value <= to;

/** Those that objects can be: where nothing tells variants apart, all but one hold what cannot exist. */
export function possibleVariants(part: VariantPart): readonly Variant[] {
  if (part.discriminant !== undefined) return part.variants;
  const budget = { left: maxTypes };
  return part.variants.filter((variant) =>
    variant.members.every((member) => !isUninhabited(member.type(), budget, 0)),
  );
}

/** Types can hold each other over and over: so many are looked at. */
const maxTypes = 2000;

/** The discriminant, as it stands in the object. Of one of 16 bytes that is beyond 64 bits: a value that no variant has. */
export function discriminantOf(part: VariantPart): Recipe {
  if (part.discriminant === undefined) return constant(0);
  const { byteOffset, byteSize } = part.discriminant;
  if (byteSize !== 16) return { op: 'field', offset: byteOffset, size: byteSize as IntegerSize };
  const low: Recipe = { op: 'field', offset: byteOffset, size: 8 };
  const high: Recipe = { op: 'field', offset: byteOffset + 8, size: 8 };
  const used = part.variants.flatMap((variant) => variant.discriminants ?? []);
  let unused = (1n << 64n) - 1n;
  while (used.some((range) => isWithin(unused, range))) unused--;
  return choose(binary(high, '==', constant(0)), low, constant(unused));
}

/** No object of the type can exist: an enum without variants, and what holds one. */
function isUninhabited(type: Type, budget: { left: number }, nesting: number): boolean {
  if (nesting > defaultLimits.maxNesting || budget.left-- <= 0) return false;
  const holds = (member: Member): boolean => isUninhabited(member.type(), budget, nesting + 1);
  const plain = stripType(type);
  if (plain.kind === 'array') return plain.count !== 0 && isUninhabited(plain.element(), budget, nesting + 1);
  if (plain.kind === 'enum') return plain.enumerators().length === 0;
  if (plain.kind !== 'struct') return false;
  const part = plain.variants?.();
  if (part !== undefined) return part.variants.every((variant) => variant.members.some(holds));
  return plain.members().some(holds);
}
