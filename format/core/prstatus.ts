/** NT_PRSTATUS: one thread's registers and signal (`struct elf_prstatus` of include/linux/elfcore.h). */
import { ByteCursor, ByteWriter } from '../bytes.js';
import { badData } from '../error.js';
import type { Machine } from '../registers/machine.js';
import { x86_64Machine } from '../registers/x86-64.js';
import {
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
  /** As the machine has them: see {@link Machine.registers}. */
  readonly registers: Uint8Array;
}

/** `sizeof(struct elf_prstatus)`. */
function prstatusBytes(machine: Machine): number {
  return (prstatusRegistersOffset + machine.userRegistersBytes + 4 + 7) & ~7;
}

/** Agents run on x86-64 only. */
export function encodePrstatus(status: ThreadStatus): Uint8Array {
  if (status.registers.length !== x86_64Machine.userRegistersBytes) {
    throw badData(`cannot write NT_PRSTATUS: registers of ${status.registers.length} bytes`);
  }
  const writer = new ByteWriter();
  writer.u32(status.signal).zeros(8).u16(status.signal).align(8);
  writer.zeros(prstatusPidOffset - writer.length);
  writer.u32(status.tid).u32(status.parentPid);
  writer.zeros(prstatusRegistersOffset - writer.length);
  writer.raw(status.registers);
  return writer.zeros(prstatusBytes(x86_64Machine) - writer.length).finish();
}

export function parsePrstatus(description: Uint8Array, name: string, machine: Machine): ThreadStatus {
  const cursor = new ByteCursor(description, `NT_PRSTATUS of "${name}"`);
  const expected = prstatusBytes(machine);
  if (description.length !== expected) {
    throw cursor.error(`${description.length} bytes where one of ${machine.name} has ${expected}`);
  }
  cursor.offset = prstatusSignalOffset;
  const signal = cursor.u16();
  cursor.offset = prstatusPidOffset;
  const tid = cursor.i32();
  cursor.offset = prstatusParentOffset;
  const parentPid = cursor.i32();
  cursor.offset = prstatusRegistersOffset;
  return { tid, parentPid, signal, registers: cursor.take(machine.userRegistersBytes) };
}
