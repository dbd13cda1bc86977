/** NT_PRSTATUS: one thread's registers and signal (`struct elf_prstatus` of include/linux/elfcore.h, x86-64). */
import { ByteCursor, ByteWriter } from '../bytes.js';
import { badData } from '../error.js';
import { userRegistersBytes } from '../registers/x86-64.js';
import {
  prstatusBytes,
  prstatusParentOffset,
  prstatusPidOffset,
  prstatusRegistersOffset,
  prstatusSignalOffset,
} from './constants.js';

export interface ThreadStatus {
  readonly tid: number;
  readonly parentPid: number;
  /** The signal that ended the process, 0 where none did. */
  readonly signal: number;
  /** A `user_regs_struct`. */
  readonly registers: Uint8Array;
}

export function encodePrstatus(status: ThreadStatus): Uint8Array {
  if (status.registers.length !== userRegistersBytes) {
    throw badData(`cannot write NT_PRSTATUS: registers of ${status.registers.length} bytes`);
  }
  const writer = new ByteWriter();
  writer.u32(status.signal).zeros(8).u16(status.signal).align(8);
  writer.zeros(prstatusPidOffset - writer.length);
  writer.u32(status.tid).u32(status.parentPid);
  writer.zeros(prstatusRegistersOffset - writer.length);
  writer.raw(status.registers);
  return writer.zeros(prstatusBytes - writer.length).finish();
}

export function parsePrstatus(description: Uint8Array, name: string): ThreadStatus {
  const cursor = new ByteCursor(description, `NT_PRSTATUS of "${name}"`);
  if (description.length !== prstatusBytes) {
    throw cursor.error(`${description.length} bytes where an x86-64 one has ${prstatusBytes}`);
  }
  cursor.offset = prstatusSignalOffset;
  const signal = cursor.u16();
  cursor.offset = prstatusPidOffset;
  const tid = cursor.i32();
  cursor.offset = prstatusParentOffset;
  const parentPid = cursor.i32();
  cursor.offset = prstatusRegistersOffset;
  return { tid, parentPid, signal, registers: cursor.take(userRegistersBytes) };
}
