/** What no unit of a file has, by the bytes of `.debug_abbrev` alone: where an attribute is not mentioned, no table need be read to know. */
import { ByteWriter } from '../../format/bytes.js';
import { crossingForms } from './abbrev.js';
import { DW_AT } from './constants.js';
import type { DebugSections } from './sections.js';
import type { Unit } from './unit.js';

/** False: no DIE of the unit has DW_AT_abstract_origin or DW_AT_specification of a form that may lead into another unit. */
export function mayReferToOthers({ info, header }: Unit): boolean {
  const { sections } = info;
  let places = crossing.get(sections);
  if (places === undefined) {
    const pairs = [DW_AT.abstract_origin, DW_AT.specification].flatMap((attribute) =>
      crossingForms.map((form) => [attribute, form]),
    );
    places = pairs
      .flatMap((pair) => [...sections.search('debug_abbrev', bytesOf(pair))])
      .toSorted((a, b) => a - b);
    crossing.set(sections, places);
  }
  if (places.length === 0) return false;
  const start = header.abbreviationsOffset;
  const next = nextTable(info, start);
  return places.some((at) => at >= start && at < next);
}

/** Where each table begins, ascending: one ends where the next begins. */
function nextTable(info: Unit['info'], start: number): number {
  let tables = starts.get(info);
  if (tables === undefined) {
    tables = [...new Set(info.units.map(({ header }) => header.abbreviationsOffset))].toSorted(
      (a, b) => a - b,
    );
    starts.set(info, tables);
  }
  let low = 0;
  let high = tables.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tables[middle] ?? 0) <= start) low = middle + 1;
    else high = middle;
  }
  return tables[low] ?? Infinity;
}

const crossing = new WeakMap<DebugSections, readonly number[]>();
const starts = new WeakMap<Unit['info'], readonly number[]>();

/** False: no unit says before version 5 that its DIEs are in a `.dwo` file; since then the kind of a unit says so. */
export function mayHaveOldSkeletons(sections: DebugSections): boolean {
  let known = oldSkeletons.get(sections);
  if (known === undefined) {
    known = false;
    for (const _ of sections.search('debug_abbrev', bytesOf([DW_AT.GNU_dwo_name]))) {
      known = true;
      break;
    }
    oldSkeletons.set(sections, known);
  }
  return known;
}

const oldSkeletons = new WeakMap<DebugSections, boolean>();

function bytesOf(numbers: readonly number[]): Uint8Array {
  const writer = new ByteWriter();
  for (const number of numbers) writer.uleb(BigInt(number));
  return writer.finish();
}
