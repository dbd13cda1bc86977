/**
 * Where Rust returns a value. It promises nothing, so only what is the same by its rules and by those of C is told: scalars, what is more than two
 * registers (in memory), and what fills two registers word by word. Two scalars in eight bytes are in one register or in two.
 */
import { absent, type Absent } from '../../../format/absent.js';
import { asComposite, sizeOf, stripType } from '../../types/layout.js';
import type { Type } from '../../types/type.js';
import { dwarfRax, dwarfRdx, dwarfXmm0, leavesOf, locationAtRax, locationOfParts } from './value-parts.js';

export function rustLocation(type: Type): Uint8Array | Absent {
  const size = sizeOf(type);
  if (size === undefined) return unsupported('its size is not known');
  if (size > 16) return locationAtRax();
  const composite = asComposite(type);
  if (composite?.variants?.() !== undefined) return variantLocation(type, size);
  const leaves = leavesOf(type);
  if (typeof leaves === 'string') return unsupported(leaves);
  if (leaves.some(({ kind }) => kind !== 'integer')) {
    const [only, ...more] = leaves;
    return more.length === 0 && only?.kind === 'float'
      ? locationOfParts([{ offset: 0, size, register: dwarfXmm0 }])
      : unsupported('it has floating numbers or vectors in it');
  }
  if (size > 8) return twoWords(size);
  if (leaves.length === 2) return unsupported('two values in eight bytes are in one register or in two');
  return locationOfParts([{ offset: 0, size, register: dwarfRax }]);
}

/** NB: Option<u32> is two values of four bytes; with an alignment of eight, each value has a word of its own. */
function variantLocation(type: Type, size: number): Uint8Array | Absent {
  const words = wordsOf(type, 0);
  if (words === undefined) return unsupported('it has floating numbers in one of its variants');
  if (!words) return unsupported('which variants it has decides in how many registers it is');
  return size > 8 ? twoWords(size) : locationOfParts([{ offset: 0, size, register: dwarfRax }]);
}

const maxNesting = 16;

/** Whether some scalar within is eight bytes wide; undefined where some is no integer, or that cannot be told. */
function wordsOf(type: Type, nesting: number): boolean | undefined {
  if (nesting > maxNesting) return undefined;
  const plain = stripType(type);
  if (plain.kind === 'pointer') return true;
  if (plain.kind === 'enum') return plain.byteSize === 8;
  if (plain.kind === 'base') {
    return plain.encoding === 'float' || plain.encoding === 'other' || plain.encoding === 'complex-float'
      ? undefined
      : plain.byteSize === 8;
  }
  if (plain.kind === 'array')
    return plain.vector === true ? undefined : wordsOf(plain.element(), nesting + 1);
  const composite = asComposite(plain);
  if (composite === undefined || composite.incomplete) return undefined;
  const members = [
    ...composite.members(),
    ...(composite.variants?.()?.variants.flatMap((variant) => variant.members) ?? []),
  ];
  let found = false;
  for (const member of members) {
    if (sizeOf(member.type()) === 0) continue;
    const inner = wordsOf(member.type(), nesting + 1);
    if (inner === undefined) return undefined;
    found ||= inner;
  }
  return found;
}

function twoWords(size: number): Uint8Array {
  return locationOfParts([
    { offset: 0, size: 8, register: dwarfRax },
    { offset: 8, size: size - 8, register: dwarfRdx },
  ]);
}

function unsupported(why: string): Absent {
  return absent('unsupported', `Rust does not promise where it returns this: ${why}`);
}
