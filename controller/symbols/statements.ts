/**
 * The line table of one unit as gdb keeps it: a table for each source file, rows that say nothing new left out, and an
 * end mark (line 0) wherever the code goes on in another file. Breakpoint addresses, prologue ends and the lines of frames come
 * from it, so that they are the very ones that gdb 13 gives.
 */
import { DW_AT } from '../dwarf/constants.js';
import { type LineHeader, lineFile, lineFilePath, parseLineHeader } from '../dwarf/line.js';
import { type LineRows, ROW, runLineProgram } from '../dwarf/line-program.js';
import type { Unit } from '../dwarf/unit.js';

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

export class UnitLines {
  readonly unit: Unit;
  #header: LineHeader | undefined;
  #headerRead = false;
  #paths: (string | undefined)[] | undefined;
  #tables: ReadonlyMap<string, readonly Statement[]> | undefined;

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
  get tables(): ReadonlyMap<string, readonly Statement[]> {
    if (this.#tables === undefined) {
      const { header } = this;
      this.#tables =
        header === undefined
          ? new Map()
          : buildTables(runLineProgram(this.unit.sections, header), (index) => this.path(index));
    }
    return this.#tables;
  }

  /** The row in force at an address: of all files the one whose last row before it is nearest. */
  positionAt(pc: number): LinePosition | undefined {
    let best: Statement | undefined;
    let bestFile = '';
    let bestEnd = 0;
    let firstLater = Infinity;
    for (const [file, table] of this.tables) {
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

function buildTables(
  rows: LineRows,
  pathOf: (index: number) => string | undefined,
): ReadonlyMap<string, readonly Statement[]> {
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
