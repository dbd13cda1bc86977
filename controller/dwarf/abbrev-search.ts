/** What no unit of a file has, by the bytes of `.debug_abbrev` alone: where an attribute is not mentioned, no table need be read to know. */
import { ByteWriter } from '../../format/bytes.js';
import { crossingForms } from './abbrev.js';
import { DW_AT } from './constants.js';
import type { DebugSections } from './sections.js';

/** False: no DIE of the file has DW_AT_abstract_origin or DW_AT_specification of a form that may lead into another unit. */
export function mayReferToOthers(sections: DebugSections): boolean {
  let known = crossing.get(sections);
  if (known === undefined) {
    known = [DW_AT.abstract_origin, DW_AT.specification].some((attribute) =>
      crossingForms.some((form) => mentions(sections, [attribute, form])),
    );
    crossing.set(sections, known);
  }
  return known;
}

const crossing = new WeakMap<DebugSections, boolean>();

/** False: no unit says before version 5 that its DIEs are in a `.dwo` file; since then the kind of a unit says so. */
export function mayHaveOldSkeletons(sections: DebugSections): boolean {
  let known = oldSkeletons.get(sections);
  if (known === undefined) oldSkeletons.set(sections, (known = mentions(sections, [DW_AT.GNU_dwo_name])));
  return known;
}

const oldSkeletons = new WeakMap<DebugSections, boolean>();

function mentions(sections: DebugSections, numbers: readonly number[]): boolean {
  const writer = new ByteWriter();
  for (const number of numbers) writer.uleb(BigInt(number));
  for (const _ of sections.search('debug_abbrev', writer.finish())) return true;
  return false;
}
