/** Running a line number program (DWARF5 6.2.5): from opcodes to rows. Rows lie in columns, for there are hundreds of thousands. */
import type { ByteCursor } from '../../format/bytes.js';
import { DW_LNE, DW_LNS } from './constants.js';
import { type LineHeader, readOldFile } from './line.js';
import { type DebugSections, type PcRange, readAddress, toPc } from './sections.js';

export const ROW = {
  isStatement: 1,
  basicBlock: 2,
  endSequence: 4,
  prologueEnd: 8,
  epilogueBegin: 16,
} as const;

/** Rows in the order of the program, each column as long as the others. */
export interface LineRows {
  readonly addresses: readonly number[];
  readonly files: readonly number[];
  readonly lines: readonly number[];
  readonly columns: readonly number[];
  readonly discriminators: readonly number[];
  /** Bits of {@link ROW}. */
  readonly flags: readonly number[];
  /** Contiguous code; within one, addresses do not fall. Sorted by address. */
  readonly sequences: readonly LineSequence[];
}

export interface LineSequence extends PcRange {
  /** Index of the first row, and of the row that ends the sequence (DW_LNE_end_sequence). */
  readonly first: number;
  readonly last: number;
}

/**
 * Runs the program. Every opcode takes at least a byte and makes at most a row, so the section bounds it. A sequence that
 * goes backwards is malformed and left out; so is one at an address that no file has (code that the linker threw away).
 * With `parts` only the sequences that lie in those bytes of the section are made.
 */
export function runLineProgram(
  sections: DebugSections,
  header: LineHeader,
  parts: readonly ProgramPart[] = [{ from: header.program, to: header.end }],
): LineRows {
  const machine = new LineMachine(sections, header);
  for (const part of parts) machine.run(part);
  return machine.finish();
}

interface ProgramPart {
  readonly from: number;
  readonly to: number;
}

class LineMachine {
  readonly #header: LineHeader;
  readonly #cursor: ByteCursor;
  readonly #addresses: number[] = [];
  readonly #files: number[] = [];
  readonly #lines: number[] = [];
  readonly #columns: number[] = [];
  readonly #discriminators: number[] = [];
  readonly #flags: number[] = [];
  readonly #sequences: LineSequence[] = [];
  #first = 0;
  #ascending = true;

  // The registers of the state machine.
  #address = 0;
  #operation = 0;
  #file = 1;
  #line = 1;
  #column = 0;
  #discriminator = 0;
  #flag = 0;
  readonly #initialFlag: number;

  constructor(sections: DebugSections, header: LineHeader) {
    this.#header = header;
    this.#cursor = sections.at('debug_line', header.program);
    this.#initialFlag = header.defaultIsStatement ? ROW.isStatement : 0;
    this.#reset();
  }

  #reset(): void {
    this.#address = 0;
    this.#operation = 0;
    this.#file = 1;
    this.#line = 1;
    this.#column = 0;
    this.#discriminator = 0;
    this.#flag = this.#initialFlag;
    this.#first = this.#addresses.length;
    this.#ascending = true;
  }

  #emit(): void {
    const previous = this.#addresses.length - 1;
    if (previous >= this.#first && (this.#addresses[previous] ?? 0) > this.#address) this.#ascending = false;
    this.#addresses.push(this.#address);
    this.#files.push(this.#file);
    this.#lines.push(this.#line);
    this.#columns.push(this.#column);
    this.#discriminators.push(this.#discriminator);
    this.#flags.push(this.#flag);
    this.#discriminator = 0;
    this.#flag &= ROW.isStatement;
  }

  #advance(operations: number): void {
    const { minimumInstructionLength, maximumOperations } = this.#header;
    if (maximumOperations === 1) {
      this.#address += minimumInstructionLength * operations;
    } else {
      const total = this.#operation + operations;
      this.#address += minimumInstructionLength * Math.floor(total / maximumOperations);
      this.#operation = total % maximumOperations;
    }
  }

  #endSequence(): void {
    this.#flag |= ROW.endSequence;
    this.#emit();
    const first = this.#first;
    const last = this.#addresses.length - 1;
    const start = this.#addresses[first] ?? 0;
    const end = this.#address;
    if (this.#ascending && start < end && end !== Infinity) {
      this.#sequences.push({ start, end, first, last });
    }
    this.#reset();
  }

  run({ from, to: end }: ProgramPart): void {
    const { opcodeBase, lineBase, lineRange } = this.#header;
    const cursor = this.#cursor;
    cursor.offset = from;
    while (cursor.offset < end) {
      const at = cursor.offset;
      const opcode = cursor.u8();
      if (opcode >= opcodeBase) {
        if (lineRange === 0) throw cursor.error('special opcode with a line_range of 0', at);
        const adjusted = opcode - opcodeBase;
        this.#advance(Math.floor(adjusted / lineRange));
        this.#line += lineBase + (adjusted % lineRange);
        this.#emit();
      } else if (opcode === 0) {
        this.#extended();
      } else {
        this.#standard(opcode);
      }
      if (cursor.offset > end) throw cursor.error('line program reaches past its unit', at);
    }
  }

  #standard(opcode: number): void {
    const cursor = this.#cursor;
    const { opcodeBase, lineRange, operandCounts } = this.#header;
    switch (opcode) {
      case DW_LNS.copy:
        this.#emit();
        return;
      case DW_LNS.advance_pc:
        this.#advance(cursor.ulebNumber());
        return;
      case DW_LNS.advance_line:
        this.#line += Number(cursor.sleb());
        return;
      case DW_LNS.set_file:
        this.#file = cursor.ulebNumber();
        return;
      case DW_LNS.set_column:
        this.#column = cursor.ulebNumber();
        return;
      case DW_LNS.negate_stmt:
        this.#flag ^= ROW.isStatement;
        return;
      case DW_LNS.set_basic_block:
        this.#flag |= ROW.basicBlock;
        return;
      case DW_LNS.const_add_pc:
        if (lineRange === 0) throw cursor.error('DW_LNS_const_add_pc with a line_range of 0');
        this.#advance(Math.floor((255 - opcodeBase) / lineRange));
        return;
      case DW_LNS.fixed_advance_pc:
        this.#address += cursor.u16();
        this.#operation = 0;
        return;
      case DW_LNS.set_prologue_end:
        this.#flag |= ROW.prologueEnd;
        return;
      case DW_LNS.set_epilogue_begin:
        this.#flag |= ROW.epilogueBegin;
        return;
      case DW_LNS.set_isa:
        cursor.uleb();
        return;
      default:
        // An opcode of a later version: the header says how many operands to pass over.
        for (let i = operandCounts[opcode] ?? 0; i > 0; i--) cursor.uleb();
    }
  }

  #extended(): void {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const length = cursor.ulebNumber();
    const next = cursor.offset + length;
    if (length === 0) return;
    if (next > this.#header.end) throw cursor.error(`extended opcode of ${length} bytes`, at);
    switch (cursor.u8()) {
      case DW_LNE.end_sequence:
        this.#endSequence();
        break;
      case DW_LNE.set_address:
        this.#address = toPc(readAddress(cursor, length - 1));
        this.#operation = 0;
        break;
      case DW_LNE.define_file:
        this.#header.files.push(readOldFile(cursor, cursor.cstring()));
        break;
      case DW_LNE.set_discriminator:
        this.#discriminator = cursor.ulebNumber();
        break;
      default:
    }
    cursor.offset = next;
  }

  finish(): LineRows {
    return {
      addresses: this.#addresses,
      files: this.#files,
      lines: this.#lines,
      columns: this.#columns,
      discriminators: this.#discriminators,
      flags: this.#flags,
      sequences: this.#sequences.toSorted((a, b) => a.start - b.start),
    };
  }
}
