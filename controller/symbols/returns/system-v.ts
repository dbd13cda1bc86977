/** Where C and C++ return a value on x86-64: System V ABI 3.2.3. */
import { absent, type Absent } from '../../../format/absent.js';
import { asComposite, sizeOf } from '../../types/layout.js';
import type { Type } from '../../types/type.js';
import {
  dwarfRax,
  dwarfRdx,
  dwarfXmm0,
  leavesOf,
  type Leaf,
  locationAtRax,
  locationOfParts,
  type ValuePart,
} from './value-parts.js';

/** `isClass`: of a language whose classes can insist on being in memory. */
export function systemVLocation(type: Type, isClass: boolean): Uint8Array | Absent {
  const size = sizeOf(type);
  if (size === undefined) return absent('unsupported', 'the size of what it returns is not known');
  const composite = asComposite(type);
  if (composite?.passedBy === 'reference') return locationAtRax();
  if (size > 16) return isInMemory(type) ? locationAtRax() : unsupported('it is wider than two registers');
  if (isClass && composite !== undefined && composite.passedBy === undefined) {
    return unsupported('the compiler does not say whether objects of its class are returned in registers');
  }
  const leaves = leavesOf(type);
  if (typeof leaves === 'string') return unsupported(leaves);
  if (leaves.some(({ unaligned }) => unaligned)) return locationAtRax();
  if (leaves.some(({ kind }) => kind === 'x87')) return unsupported('it is in a register of the x87');
  if (leaves.some(({ kind }) => kind === 'vector')) {
    return leaves.length === 1
      ? locationOfParts([{ offset: 0, size, register: dwarfXmm0 }])
      : unsupported('it has a vector in it');
  }
  return locationOfParts(partsOf(leaves, size));
}

/** Vectors are in wide registers, and so are numbers of 32 bytes; complex numbers of the x87 are in two of its. */
function isInMemory(type: Type): boolean {
  const leaves = leavesOf(type);
  const composite = asComposite(type);
  if (composite === undefined) return false;
  return typeof leaves === 'string' || !leaves.some(({ kind, size }) => kind === 'vector' && size > 16);
}

/** Each eight bytes are in an integer register if any of their scalars is an integer. */
function partsOf(leaves: readonly Leaf[], size: number): ValuePart[] {
  const integers = [dwarfRax, dwarfRdx];
  const vectors = [dwarfXmm0, dwarfXmm0 + 1];
  const parts: ValuePart[] = [];
  for (let offset = 0; offset < size; offset += 8) {
    const inside = leaves.filter((leaf) => leaf.offset < offset + 8 && leaf.offset + leaf.size > offset);
    const bytes = Math.min(8, size - offset);
    const registers = inside.some(({ kind }) => kind === 'integer') ? integers : vectors;
    const register = inside.length === 0 ? undefined : registers.shift();
    parts.push({ offset, size: bytes, ...(register === undefined ? {} : { register }) });
  }
  return parts;
}

function unsupported(why: string): Absent {
  return absent('unsupported', `where it is returned is not known: ${why}`);
}
