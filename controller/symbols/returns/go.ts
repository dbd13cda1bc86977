/** Where Go returns its results: in registers of its own (cmd/compile/abi-internal.md), which compilers since 1.17 say that they use. */
import { absent, type Absent } from '../../../format/absent.js';
import { defaultLimits } from '../../../format/limits.js';
import { sizeOf, stripType } from '../../types/layout.js';
import type { Type } from '../../types/type.js';
import { dwarfXmm0, locationOfParts, type ValuePart } from './value-parts.js';

/** rax, rbx, rcx, rdi, rsi, r8 to r11. */
const integerRegisters = [0, 3, 2, 5, 4, 8, 9, 10, 11] as const;
const floatRegisters = 15;

interface Used {
  readonly integers: number;
  readonly floats: number;
}

/** Whether the compiler that a producer names returns in registers. */
export function returnsInRegisters(producer: string): boolean {
  return producer.split(';').some((part) => part.trim() === 'regabi');
}

/** One result after another: its location, or why it has none in registers. */
export function goLocations(types: readonly Type[]): (Uint8Array | Absent)[] {
  let used: Used = { integers: 0, floats: 0 };
  return types.map((type) => {
    const parts: ValuePart[] = [];
    const after = assign(type, 0, used, parts, 0);
    const size = sizeOf(type);
    if (after === undefined || size === undefined)
      return absent('unsupported', 'it is returned in the stack');
    used = after;
    return locationOfParts(withGaps(parts, size));
  });
}

function assign(
  type: Type,
  offset: number,
  used: Used,
  parts: ValuePart[],
  nesting: number,
): Used | undefined {
  if (nesting > defaultLimits.maxNesting) return undefined;
  const plain = stripType(type);
  const integer = (size: number): Used | undefined => {
    const register = integerRegisters[used.integers];
    if (register === undefined) return undefined;
    parts.push({ offset, size, register });
    return { ...used, integers: used.integers + 1 };
  };
  switch (plain.kind) {
    case 'pointer':
    case 'enum':
      return integer(plain.byteSize);
    case 'function':
      return integer(8);
    case 'base': {
      if (plain.encoding === 'other') return undefined;
      if (plain.encoding !== 'float' && plain.encoding !== 'complex-float') return integer(plain.byteSize);
      const count = plain.encoding === 'float' ? 1 : 2;
      if (used.floats + count > floatRegisters) return undefined;
      const size = plain.byteSize / count;
      for (let i = 0; i < count; i++)
        parts.push({ offset: offset + i * size, size, register: dwarfXmm0 + used.floats + i });
      return { ...used, floats: used.floats + count };
    }
    case 'array':
      if (plain.count === 0) return used;
      return plain.count === 1 ? assign(plain.element(), offset, used, parts, nesting + 1) : undefined;
    case 'struct':
    case 'class': {
      let now: Used | undefined = used;
      for (const member of plain.members()) {
        if (now === undefined) return undefined;
        now = assign(member.type(), offset + member.byteOffset, now, parts, nesting + 1);
      }
      return now;
    }
    case 'union':
    case 'void':
    case 'unknown':
      return undefined;
  }
}

function withGaps(parts: readonly ValuePart[], size: number): ValuePart[] {
  const whole: ValuePart[] = [];
  let at = 0;
  for (const part of parts) {
    if (part.offset > at) whole.push({ offset: at, size: part.offset - at });
    whole.push(part);
    at = part.offset + part.size;
  }
  if (at < size) whole.push({ offset: at, size: size - at });
  return whole;
}

/** Results as one value: by itself where there is one, else a struct of them. */
export function joined(
  results: readonly { readonly name: string; readonly type: Type; readonly location: Uint8Array }[],
): { readonly type: Type; readonly location: Uint8Array } | undefined {
  const [only] = results;
  if (only === undefined) return undefined;
  if (results.length === 1) return only;
  let byteSize = 0;
  const members = results.map(({ name, type }, i) => {
    const byteOffset = byteSize;
    byteSize += sizeOf(type) ?? 0;
    return { name: memberName(name, i), type: () => type, byteOffset, base: false };
  });
  const pieces = results.map(({ type, location }) => asPieces(location, sizeOf(type) ?? 0));
  return {
    type: {
      kind: 'struct',
      tagless: true,
      name: 'results',
      byteSize,
      incomplete: false,
      members: () => members,
    },
    location: Uint8Array.from(pieces.flatMap((piece) => [...piece])),
  };
}

/** Results without a name are `~r0`, `~r1`, which no expression can spell. */
function memberName(name: string, index: number): string {
  return name === '' || name === '_' || name.startsWith('~') ? `r${index}` : name;
}

const DW_OP_piece = 0x93;

function asPieces(location: Uint8Array, size: number): Uint8Array {
  // A register alone: of as many bytes as the value has.
  return location.length === 1 ? Uint8Array.of(...location, DW_OP_piece, size) : location;
}
