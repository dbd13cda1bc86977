/** Emits the copying of a stack window into a record, up to the first page that cannot be read. */
import { pageBytes } from './record-layout.js';
import type { Assembler, Register } from './assembler.js';

export interface WindowPlace {
  /** Holds the address of the window; kept. */
  readonly address: Register;
  /** Where in the record (r9) the bytes go. There must be a page of room behind them. */
  readonly dataOffset: number;
  /** Where in the record the length goes, a u32; may come to exceed `bytes`. */
  readonly lengthOffset: number;
  readonly bytes: number;
  /** Emits the read of r2 bytes at r3 into r1; r0 is 0 when all were read. */
  readonly read: () => void;
  /**
   * The same for the whole window, to be tried before going page by page: cheaper where it mostly succeeds. Where stacks are shorter than
   * the window it fails after most of the work is done.
   */
  readonly readWhole?: () => void;
}

/** `fp-16`: free while no expression runs. */
const local = -16;

/**
 * Uses r0..r5 and r8. NB: what is copied so far is kept in the record and looked up again for each page: in a register its bounds would differ on
 * every way out, and the verifier would walk the rest of the program once for each.
 */
export function compileWindow(asm: Assembler, place: WindowPlace): void {
  const { address, dataOffset, lengthOffset, bytes, read, readWhole } = place;
  const done = asm.label('stack done');
  if (readWhole !== undefined) {
    const paged = asm.label('stack by page');
    asm.mov(1, 9).aluImm('add', 1, dataOffset).load(2, BigInt(bytes)).mov(3, address);
    readWhole();
    asm.jumpIfImm('ne', 0, 0, paged).storeImm(4, 9, lengthOffset, bytes).jump(done).bind(paged);
  }
  asm.storeImm(4, 9, lengthOffset, 0);
  for (let i = 0; i < Math.ceil(bytes / pageBytes) + 1; i++) {
    asm
      .loadMemory(4, 8, 9, lengthOffset)
      .jumpIfImm('ge', 8, bytes, done)
      .mov(3, address)
      .alu('add', 3, 8)
      // Up to the end of the page: 4096 - (address & 4095).
      .mov(1, 3)
      .aluImm('and', 1, pageBytes - 1)
      .load(2, BigInt(pageBytes))
      .alu('sub', 2, 1)
      .storeMemory(8, 10, local, 2)
      .mov(1, 9)
      .aluImm('add', 1, dataOffset)
      .alu('add', 1, 8);
    read();
    asm
      .jumpIfImm('ne', 0, 0, done)
      .loadMemory(8, 1, 10, local)
      .loadMemory(4, 8, 9, lengthOffset)
      .alu('add', 8, 1)
      .storeMemory(4, 9, lengthOffset, 8);
  }
  asm.bind(done);
}
