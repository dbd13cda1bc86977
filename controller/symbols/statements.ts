/**
 * The line table of one unit as gdb keeps it: a table for each source file, rows that say nothing new left out, and an
 * end mark (line 0) wherever the code goes on in another file. Breakpoint addresses, prologue ends and the lines of frames come
 * from it, so that they are the very ones that gdb 13 gives.
 */
import { DW_AT } from '../dwarf/constants.js';
import { type LineHeader, lineFile, lineFilePath, parseLineHeader } from '../dwarf/line.js';
import { lineSequences, type SequenceBytes } from '../dwarf/line-sequences.js';
import { type LineRows, ROW, runLineProgram } from '../dwarf/line-program.js';
import { rangesOf } from '../dwarf/range-list.js';
import type { Unit } from '../dwarf/unit.js';
import { RangeTable } from './units.js';

export interface Statement {
  readonly address: number;
  /** 0: the code of this file ends here. */
  readonly line: number;
  readonly column: number;
  readonly isStatement: boolean;
  readonly prologueEnd: boolean;
}

/** A line, the addresses that it covers (as far as the next row of any file), and its file. */
export interface LinePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly start: number;
  readonly end: number;
}

type Tables = ReadonlyMap<string, readonly Statement[]>;

const noTables: Tables = new Map();
/** Ranges of a unit's code, each of which is a sequence; C has one for all of a unit, or two with what is rarely run. */
const minSequences = 8;

export class UnitLines {
  readonly unit: Unit;
  #header: LineHeader | undefined;
  #headerRead = false;
  #paths: (string | undefined)[] | undefined;
  #tables: Tables | undefined;
  #sequenceTable: { readonly found: RangeTable<SequenceBytes> | undefined } | undefined;
  /** Tables of one sequence, by where it begins in the section. */
  readonly #parts = new Map<number, Tables>();

  constructor(unit: Unit) {
    this.unit = unit;
  }

  get header(): LineHeader | undefined {
    if (!this.#headerRead) {
      const offset = this.unit.root.sectionOffset(DW_AT.stmt_list);
      if (offset !== undefined) {
        this.#header = parseLineHeader(this.unit.sections, offset, this.unit.addressSize);
      }
      this.#headerRead = true;
    }
    return this.#header;
  }

  /** The normalised path of the file that DW_AT_decl_file, DW_AT_call_file or a row means by a number. */
  path(index: number): string | undefined {
    const { header } = this;
    if (header === undefined) return undefined;
    this.#paths ??= [];
    const known = this.#paths[index];
    if (known !== undefined) return known;
    const file = lineFile(header, index);
    if (file === undefined) return undefined;
    const path = lineFilePath(header, file, this.unit.compilationDirectory);
    this.#paths[index] = path;
    return path;
  }

  /** Paths of all files of the header, also of those without code. */
  paths(): string[] {
    const { header } = this;
    if (header === undefined) return [];
    const first = header.version >= 5 ? 0 : 1;
    return header.files.map((_, i) => this.path(i + first) ?? '');
  }

  /** Rows of each file, by address. */
  get tables(): Tables {
    if (this.#tables === undefined) {
      const { header } = this;
      this.#tables = header === undefined ? noTables : this.#build(header);
    }
    return this.#tables;
  }

  #build(header: LineHeader, parts?: readonly SequenceBytes[]): Tables {
    return buildTables(runLineProgram(this.unit.sections, header, parts), (index) => this.path(index));
  }

  /** {@link tables}, of which those rows may be left out that belong to other code than what is around an address. */
  tablesAround(pc: number): Tables {
    if (this.#tables !== undefined) return this.#tables;
    const sequences = this.#sequences();
    const { header } = this;
    if (sequences === undefined || header === undefined) return this.tables;
    const sequence = sequences.find(pc);
    if (sequence === undefined) return noTables;
    let tables = this.#parts.get(sequence.from);
    if (tables === undefined) this.#parts.set(sequence.from, (tables = this.#build(header, [sequence])));
    return tables;
  }

  /** Addresses where a statement of a line begins, ascending. */
  statementsOf(path: string, line: number): readonly number[] {
    const found: number[] = [];
    for (const statement of this.#tablesWith(line).get(path) ?? []) {
      if (statement.isStatement && statement.line === line && line !== 0) found.push(statement.address);
    }
    return found;
  }

  #tablesWith(line: number): Tables {
    const { header } = this;
    const sequences = this.#tables === undefined ? this.#sequences() : undefined;
    if (sequences === undefined || header === undefined) return this.tables;
    const parts = [...sequences].filter(({ minLine, maxLine }) => minLine <= line && line <= maxLine);
    // All tables are kept: who needs many of them has them for the next question.
    return parts.length * 4 > sequences.size ? this.tables : this.#build(header, parts);
  }

  /**
   * Undefined where the program is run as a whole: few sequences are no more work together, and where their code overlaps, rows of one
   * end those of another.
   */
  #sequences(): RangeTable<SequenceBytes> | undefined {
    this.#sequenceTable ??= { found: this.#findSequences() };
    return this.#sequenceTable.found;
  }

  #findSequences(): RangeTable<SequenceBytes> | undefined {
    const { header } = this;
    if (header === undefined || rangesOf(this.unit.root).length < minSequences) return undefined;
    const all = lineSequences(this.unit.sections, header);
    if (all === undefined) return undefined;
    const sorted = all.filter(({ start }) => start > 1).toSorted((a, b) => a.start - b.start);
    for (const [i, { start }] of sorted.entries()) {
      const before = sorted[i - 1];
      if (before !== undefined && before.end > start) return undefined;
    }
    return new RangeTable(sorted);
  }

  /** The row in force at an address: of all files the one whose last row before it is nearest. */
  positionAt(pc: number): LinePosition | undefined {
    let best: Statement | undefined;
    let bestFile = '';
    let bestEnd = 0;
    let firstLater = Infinity;
    for (const [file, table] of this.tablesAround(pc)) {
      const next = upperBound(table, pc);
      const first = table[0];
      if (first !== undefined && first.address > pc) firstLater = Math.min(firstLater, first.address);
      const previous = table[next - 1];
      if (
        previous !== undefined &&
        previous.line !== 0 &&
        (best === undefined || previous.address > best.address)
      ) {
        best = preferStatement(table, next - 1);
        bestFile = file;
        if (bestEnd <= best.address) bestEnd = 0;
      }
      const item = table[next];
      if (
        best !== undefined &&
        item !== undefined &&
        item.address > best.address &&
        (bestEnd === 0 || bestEnd > item.address)
      ) {
        bestEnd = item.address;
      }
    }
    if (best === undefined) return undefined;
    const end = bestEnd !== 0 && bestEnd < firstLater ? bestEnd : firstLater;
    return { file: bestFile, line: best.line, column: best.column, start: best.address, end };
  }
}

/** Of rows at one address the last counts, or the one before it that begins a statement. */
function preferStatement(table: readonly Statement[], index: number): Statement {
  const found = table[index];
  if (found === undefined) throw new RangeError('no such row');
  for (let i = index; i >= 0; i--) {
    const row = table[i];
    if (row === undefined || row.address !== found.address || row.line === 0) break;
    if (row.isStatement) return row;
  }
  return found;
}

/** Index of the first row after an address. */
export function upperBound(table: readonly Statement[], pc: number): number {
  let low = 0;
  let high = table.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((table[middle]?.address ?? 0) <= pc) low = middle + 1;
    else high = middle;
  }
  return low;
}

function buildTables(rows: LineRows, pathOf: (index: number) => string | undefined): Tables {
  const tables = new Map<string, Statement[]>();
  // In the order of the program, as gdb reads it: rows at one address keep that order.
  const sequences = rows.sequences.filter((one) => one.start > 1).toSorted((a, b) => a.first - b.first);
  for (const { first, last } of sequences) addSequence(tables, rows, first, last, pathOf);
  for (const table of tables.values()) {
    table.sort((a, b) => a.address - b.address || Number(a.line !== 0) - Number(b.line !== 0));
  }
  return tables;
}

function addSequence(
  tables: Map<string, Statement[]>,
  rows: LineRows,
  first: number,
  last: number,
  pathOf: (index: number) => string | undefined,
): void {
  let lastTable: Statement[] | undefined;
  let lastLine = 0;
  let lastAddress = 0;
  let statementAtAddress = false;
  // The discriminator of an earlier row of the same line marks a second block of it, which does not begin a new row.
  let discriminated = false;
  let previousLine = 1;
  let previousFile = rows.files[first] ?? 0;
  for (let i = first; i <= last; i++) {
    const address = rows.addresses[i] ?? 0;
    const line = rows.lines[i] ?? 0;
    const file = rows.files[i] ?? 0;
    const flags = rows.flags[i] ?? 0;
    const isStatement = (flags & ROW.isStatement) !== 0;
    const ends = (flags & ROW.endSequence) !== 0;
    if (line !== previousLine || file !== previousFile) discriminated = false;
    if ((rows.discriminators[i] ?? 0) !== 0) discriminated = true;
    previousLine = line;
    previousFile = file;
    const path = pathOf(file);
    if (path !== undefined) {
      let table = tables.get(path);
      if (table === undefined) tables.set(path, (table = []));
      const changed = table !== lastTable;
      const ignored =
        !ends && ((changed && lastAddress === address && !isStatement && statementAtAddress) || line === 0);
      if ((changed && !ignored) || ends) finish(lastTable, address);
      if (!ends && !ignored) {
        if (changed || line !== lastLine || !discriminated) {
          table.push({
            address,
            line,
            column: rows.columns[i] ?? 0,
            isStatement,
            prologueEnd: (flags & ROW.prologueEnd) !== 0,
          });
        }
        lastTable = table;
        lastLine = line;
      }
    }
    if (lastAddress !== address) {
      statementAtAddress = false;
      lastAddress = address;
    }
    statementAtAddress ||= isStatement;
  }
}

/** Marks that a file's code ends; rows without an instruction before that go. */
function finish(table: Statement[] | undefined, address: number): void {
  if (table === undefined) return;
  let last = table.at(-1);
  let line = 0;
  while (last !== undefined) {
    line = last.line;
    if (last.address !== address) break;
    table.pop();
    last = table.at(-1);
  }
  // Nothing was open: two ends in a row say no more than one.
  if (line === 0) return;
  table.push({ address, line: 0, column: 0, isStatement: true, prologueEnd: false });
}
