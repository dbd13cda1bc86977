/** `.debug_addr` (DWARF5 7.27): addresses by index, from a unit's DW_AT_addr_base. */
import { type DebugSections, readAddress } from './sections.js';

export function indexedAddress(
  sections: DebugSections,
  base: number,
  index: number,
  addressSize: number,
): bigint {
  return readAddress(sections.at('debug_addr', base + index * addressSize), addressSize);
}
