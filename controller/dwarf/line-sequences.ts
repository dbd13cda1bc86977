/**
 * Which stretches of a line number program are about which code. A C++ unit has one for each function of its own section, thousands of them,
 * and who asks about an address wants the rows of one: to pass over the others costs a fraction of what making rows does.
 */
import { DW_LNE, DW_LNS } from './constants.js';
import type { LineHeader } from './line.js';
import { type DebugSections, type PcRange, readAddress, toPc } from './sections.js';

/** A sequence as {@link runLineProgram} gives it, by the bytes of its opcodes; begins with the registers as they are at first. */
export interface SequenceBytes extends PcRange {
  readonly from: number;
  readonly to: number;
  /** Of all its rows, whatever their file. */
  readonly minLine: number;
  readonly maxLine: number;
}

/**
 * The sound sequences, in the order of the program. Undefined where a program cannot be taken apart: it defines files on the way, or is of
 * a machine that issues several operations at once. Throws `bad-data` as running it would.
 */
export function lineSequences(sections: DebugSections, header: LineHeader): SequenceBytes[] | undefined {
  if (header.maximumOperations !== 1 || header.lineRange === 0) return undefined;
  return new Skimmer(sections, header).run();
}

class Skimmer {
  readonly #header: LineHeader;
  readonly #cursor: ReturnType<DebugSections['at']>;
  readonly #bytes: Uint8Array;
  readonly #found: SequenceBytes[] = [];
  #at: number;

  #from: number;
  #address = 0;
  #line = 1;
  /** Of the first row and of the last; -1 before there is one. */
  #start = -1;
  #last = -1;
  #ascending = true;
  #minLine = Infinity;
  #maxLine = -Infinity;

  constructor(sections: DebugSections, header: LineHeader) {
    this.#header = header;
    this.#cursor = sections.at('debug_line', header.program);
    this.#bytes = this.#cursor.bytes;
    this.#at = header.program;
    this.#from = header.program;
  }

  run(): SequenceBytes[] | undefined {
    const { end, opcodeBase, lineBase, lineRange, minimumInstructionLength } = this.#header;
    const bytes = this.#bytes;
    while (this.#at < end) {
      const opcode = bytes[this.#at++] ?? 0;
      if (opcode >= opcodeBase) {
        const adjusted = opcode - opcodeBase;
        this.#address += minimumInstructionLength * Math.floor(adjusted / lineRange);
        this.#line += lineBase + (adjusted % lineRange);
        this.#row();
      } else if (opcode === 0) {
        if (!this.#extended()) return undefined;
      } else {
        this.#standard(opcode);
      }
    }
    if (this.#at > end) throw this.#cursor.error('line program reaches past its unit', end);
    return this.#found;
  }

  #row(): void {
    if (this.#start < 0) this.#start = this.#address;
    else if (this.#address < this.#last) this.#ascending = false;
    this.#last = this.#address;
    if (this.#line < this.#minLine) this.#minLine = this.#line;
    if (this.#line > this.#maxLine) this.#maxLine = this.#line;
  }

  #endSequence(next: number): void {
    this.#row();
    const [start, end] = [this.#start, this.#address];
    if (this.#ascending && start < end && end !== Infinity) {
      const [minLine, maxLine] = [this.#minLine, this.#maxLine];
      this.#found.push({ start, end, from: this.#from, to: next, minLine, maxLine });
    }
    this.#from = next;
    this.#address = 0;
    this.#line = 1;
    this.#start = -1;
    this.#last = -1;
    this.#ascending = true;
    this.#minLine = Infinity;
    this.#maxLine = -Infinity;
  }

  #standard(opcode: number): void {
    const { opcodeBase, lineRange, minimumInstructionLength, operandCounts } = this.#header;
    switch (opcode) {
      case DW_LNS.copy:
        this.#row();
        return;
      case DW_LNS.advance_pc:
        this.#address += minimumInstructionLength * this.#unsigned();
        return;
      case DW_LNS.advance_line:
        this.#line += this.#signed();
        return;
      case DW_LNS.const_add_pc:
        this.#address += minimumInstructionLength * Math.floor((255 - opcodeBase) / lineRange);
        return;
      case DW_LNS.fixed_advance_pc:
        this.#address += this.#bytesAt(2).u16();
        return;
      case DW_LNS.negate_stmt:
      case DW_LNS.set_basic_block:
      case DW_LNS.set_prologue_end:
      case DW_LNS.set_epilogue_begin:
        return;
      case DW_LNS.set_file:
      case DW_LNS.set_column:
      case DW_LNS.set_isa:
        this.#skipLeb();
        return;
      default:
        for (let i = operandCounts[opcode] ?? 0; i > 0; i--) this.#skipLeb();
    }
  }

  /** False for an opcode that changes the header. */
  #extended(): boolean {
    const length = this.#unsigned();
    const next = this.#at + length;
    if (length === 0) return true;
    if (next > this.#header.end) throw this.#cursor.error(`extended opcode of ${length} bytes`, this.#at);
    switch (this.#bytes[this.#at] ?? 0) {
      case DW_LNE.end_sequence:
        this.#endSequence(next);
        break;
      case DW_LNE.set_address: {
        const cursor = this.#bytesAt(1);
        cursor.skip(1);
        this.#address = toPc(readAddress(cursor, length - 1));
        break;
      }
      case DW_LNE.define_file:
        return false;
      default:
    }
    this.#at = next;
    return true;
  }

  /** The cursor at the next bytes, which are passed over: what is rare need not be fast. */
  #bytesAt(length: number): ReturnType<DebugSections['at']> {
    this.#cursor.offset = this.#at;
    this.#at += length;
    return this.#cursor;
  }

  #unsigned(): number {
    const byte = this.#bytes[this.#at] ?? 0x80;
    if (byte < 0x80) {
      this.#at++;
      return byte;
    }
    const cursor = this.#bytesAt(0);
    const value = cursor.ulebNumber();
    this.#at = cursor.offset;
    return value;
  }

  #signed(): number {
    const byte = this.#bytes[this.#at] ?? 0x80;
    if (byte < 0x80) {
      this.#at++;
      return byte < 0x40 ? byte : byte - 0x80;
    }
    const cursor = this.#bytesAt(0);
    const value = Number(cursor.sleb());
    this.#at = cursor.offset;
    return value;
  }

  #skipLeb(): void {
    const { end } = this.#header;
    while (this.#at < end && (this.#bytes[this.#at] ?? 0) >= 0x80) this.#at++;
    this.#at++;
  }
}
