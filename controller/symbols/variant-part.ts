/** What an object is one of (DWARF5 5.7.10): Rust's enums and state machines, with their discriminants. */
import { ByteCursor } from '../../format/bytes.js';
import { DW_AT, DW_ATE, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import type { DiscriminantRange, Type, Variant, VariantPart } from '../types/type.js';
import { memberLocation, membersOf } from './members.js';

export function variantPartOf(composite: Die, typeOf: (die: Die) => Type): VariantPart | undefined {
  for (const part of composite.children()) {
    if (part.tag !== DW_TAG.variant_part) continue;
    const tag = tagOf(part);
    const variants: Variant[] = [];
    for (const child of part.children()) {
      if (child.tag !== DW_TAG.variant) continue;
      const discriminants = tag === undefined ? undefined : discriminantsOf(child, tag);
      variants.push({
        ...(discriminants === undefined ? {} : { discriminants }),
        members: membersOf(child, typeOf),
      });
    }
    if (tag === undefined) return { variants };
    const { byteOffset, byteSize } = tag;
    return { discriminant: { byteOffset, byteSize }, variants };
  }
  return undefined;
}

interface Tag {
  readonly byteOffset: number;
  readonly byteSize: number;
  readonly signed: boolean;
}

/** Undefined where there is none, or nothing certain can be said of where it lies: then nothing tells the variants apart. */
function tagOf(part: Die): Tag | undefined {
  const member = part.reference(DW_AT.discr);
  if (member === undefined) return undefined;
  const type = member.reference(DW_AT.type);
  const byteSize = type?.size(DW_AT.byte_size);
  const byteOffset = memberLocation(member);
  if (byteSize === undefined || byteOffset === undefined || !tagSizes.has(byteSize)) return undefined;
  const encoding = type?.size(DW_AT.encoding);
  return { byteOffset, byteSize, signed: encoding === DW_ATE.signed || encoding === DW_ATE.signed_char };
}

const tagSizes: ReadonlySet<number> = new Set([1, 2, 4, 8, 16]);

/** NB: LLVM writes a value in the smallest form that it fits in, so -9 of an `i64` is one byte: how to widen it is said by the tag's type. */
function discriminantsOf(variant: Die, tag: Tag): readonly DiscriminantRange[] | undefined {
  const value = variant.value(DW_AT.discr_value);
  if (value?.kind === 'constant') {
    const known = tag.signed ? variant.signed(DW_AT.discr_value) : variant.unsigned(DW_AT.discr_value);
    return one(known ?? value.value, tag);
  }
  if (value?.kind === 'block') return one(littleEndian(value.bytes), tag);
  const list = variant.value(DW_AT.discr_list);
  return list?.kind === 'block' ? listed(list.bytes, tag) : undefined;
}

const DW_DSC_label = 0;

/** DW_AT_discr_list: each entry a label or a range, both ends included. */
function listed(bytes: Uint8Array, tag: Tag): DiscriminantRange[] {
  const cursor = new ByteCursor(bytes, 'DW_AT_discr_list');
  const next = (): bigint => BigInt.asUintN(tag.byteSize * 8, tag.signed ? cursor.sleb() : cursor.uleb());
  const ranges: DiscriminantRange[] = [];
  while (!cursor.atEnd) {
    const isLabel = cursor.u8() === DW_DSC_label;
    const from = next();
    ranges.push({ from, to: isLabel ? from : next() });
  }
  return ranges;
}

function one(value: bigint, tag: Tag): DiscriminantRange[] {
  const known = BigInt.asUintN(tag.byteSize * 8, value);
  return [{ from: known, to: known }];
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes.subarray(0, 16).toReversed()) value = (value << 8n) | BigInt(byte);
  return value;
}
