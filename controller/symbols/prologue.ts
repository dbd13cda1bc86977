/**
 * Where a function's prologue ends, as gdb 13 chooses it on x86-64 (symtab.c `skip_prologue_sal`, amd64-tdep.c `amd64_skip_prologue`),
 * in this order:
 * - Code of gcc 4.5 or later in a unit that has location lists: variables can be found from the first instruction on, nothing is skipped.
 * - A row marked DW_LNS_set_prologue_end (clang) ends it.
 * - Other code of clang: the second row of the function, or a later one where rows go back in the source.
 * - Other code of gcc: after `push %rbp; mov %rsp,%rbp`, and then to the beginning of the next row; without these nothing is skipped.
 */
import { EM } from '../../format/elf/constants.js';
import { DW_FORM, DW_TAG, DW_AT } from '../dwarf/constants.js';
import type { Unit } from '../dwarf/unit.js';
import { innermostBlock } from './block.js';
import type { ConcreteFunction, ModuleContext } from './module-context.js';
import { endOfFramePrologue, endOfVectorPrologue } from './prologue-code.js';
import { type LinePosition, type UnitLines, upperBound } from './statements.js';

const DW_LANG_Mips_Assembler = 0x8001;

/** The first address after the prologue: never before the entry. */
export function prologueEnd(context: ModuleContext, found: ConcreteFunction): number {
  const { entry, die, ranges } = found;
  const { unit } = die;
  const lines = context.lines(unit);
  const atEntry = lines.positionAt(entry);
  if (atEntry !== undefined && (hasValidLocations(unit) || unit.language === DW_LANG_Mips_Assembler)) {
    return entry;
  }
  const last = Math.max(...ranges.map((range) => range.end));
  const firstEnd = ranges[0]?.end ?? last;
  if (atEntry !== undefined) {
    const marked = markedEnd(lines, atEntry.file, entry, firstEnd);
    if (marked !== undefined) return Math.max(entry, marked);
  }
  let pc = skipByCode(context, found, lines, firstEnd);
  const position = lines.positionAt(pc);
  // In the middle of a row: on to the next one, if that is still the function's.
  if (position !== undefined && position.start !== pc && entry <= position.end && position.end < last) {
    pc = position.end;
  }
  return Math.max(entry, pc);
}

/** Whether locations hold from the first instruction of a function on; gdb's COMPUNIT_LOCATIONS_VALID. */
export function hasValidLocations(unit: Unit): boolean {
  return isModernGcc(unit.producer) && hasLocationLists(unit);
}

/** gcc 4.5 or later: `GNU C17 12.2.0 -O2 ...`. */
function isModernGcc(producer: string): boolean {
  const match = /^GNU (?!AS )\S*\s(\d+)\.(\d+)/.exec(producer);
  if (match === null) return false;
  const [, major, minor] = match;
  return Number(major) > 4 || (Number(major) === 4 && Number(minor) >= 5);
}

/**
 * Whether a variable of the unit has a location list. Abbreviations tell: gcc writes a unit's own, and none that is not used.
 */
function hasLocationLists(unit: Unit): boolean {
  for (const { tag, attributes, forms } of unit.abbreviations) {
    if (tag !== DW_TAG.variable && tag !== DW_TAG.formal_parameter) continue;
    const form = forms[attributes.indexOf(DW_AT.location)];
    if (form === DW_FORM.sec_offset || form === DW_FORM.loclistx) return true;
    if (unit.version < 4 && (form === DW_FORM.data4 || form === DW_FORM.data8)) return true;
  }
  return false;
}

/** NB: by the beginning of the producer, as gdb; the clang of Debian calls itself `Debian clang` and is none to it. */
function isClang(producer: string): boolean {
  return producer.startsWith('clang ') || producer.startsWith(' F90 Flang ');
}

function markedEnd(lines: UnitLines, file: string, start: number, end: number): number | undefined {
  const table = lines.tablesAround(start).get(file) ?? [];
  for (let i = upperBound(table, start - 1); i < table.length; i++) {
    const row = table[i];
    if (row === undefined || row.address > end) return undefined;
    if (row.prologueEnd) return row.address;
  }
  return undefined;
}

function skipByCode(
  context: ModuleContext,
  found: ConcreteFunction,
  lines: UnitLines,
  firstEnd: number,
): number {
  const { entry, die } = found;
  // gdb goes by rows on AArch64 (aarch64-tdep.c `aarch64_skip_prologue`), whoever compiled.
  if (isClang(die.unit.producer) || context.elf.machine === EM.EM_AARCH64) {
    const bySecondRow = secondRow(context, found, lines, firstEnd);
    if (bySecondRow !== undefined) return Math.max(entry, bySecondRow);
  }
  if (context.elf.machine !== EM.EM_X86_64) return entry;
  const code = (address: number, length: number): Uint8Array | undefined =>
    context.elf.bytesAt(BigInt(address), length);
  const pc = endOfFramePrologue(code, entry);
  if (pc === entry || !isModernGcc(die.unit.producer)) return pc;
  const first = lines.positionAt(entry);
  if (first === undefined || first.start !== entry || pc >= first.end) return pc;
  const next = lines.positionAt(first.end);
  if (next === undefined || next.line !== first.line) return pc;
  return endOfVectorPrologue(code, next.start) ? next.end : pc;
}

/** gdb's `skip_prologue_using_sal`. Undefined where one row covers the whole function. */
function secondRow(
  context: ModuleContext,
  found: ConcreteFunction,
  lines: UnitLines,
  end: number,
): number | undefined {
  const { entry } = found;
  let at: LinePosition | undefined = lines.positionAt(entry);
  if (at === undefined) return undefined;
  // Two rows at the first address: a prologue without instructions.
  const table = lines.tablesAround(entry).get(at.file) ?? [];
  const row = table.findIndex((one) => one.address === at?.start && one.line !== 0);
  const following = table[row + 1];
  if (following !== undefined && following.line !== 0 && following.address === entry) return entry;
  if (at.end >= end) return undefined;
  const { root } = context.blocks(found);
  // Rows whose lines go back belong to the prologue, as the scheduler mixes it with what follows. Each step goes forward.
  while (at.end < end) {
    const next: LinePosition | undefined = lines.positionAt(at.end);
    if (next === undefined || next.line >= at.line || next.file !== at.file || next.end <= at.end) break;
    let block = innermostBlock(root, at.end);
    while (block.kind === 'lexical' && block.parent !== undefined) block = block.parent;
    if (block.kind === 'inlined') break;
    at = next;
  }
  return at.end < end ? at.end : at.start;
}
