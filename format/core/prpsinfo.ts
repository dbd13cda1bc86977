/** NT_PRPSINFO: the process as `ps` would show it (`struct elf_prpsinfo`, the same on all 64-bit machines). */
import { ByteCursor, ByteWriter, decodeUtf8 } from '../bytes.js';
import { prpsinfoBytes } from './constants.js';

export interface ProcessInfo {
  readonly pid: number;
  readonly parentPid: number;
  readonly uid: number;
  readonly gid: number;
  /** At most 15 bytes. */
  readonly comm: string;
  /** At most 79 bytes. */
  readonly args: string;
}

const nameBytes = 16;
const argsBytes = 80;
const uidOffset = 16;

export function encodePrpsinfo(info: ProcessInfo): Uint8Array {
  const writer = new ByteWriter();
  writer
    .u8(0)
    .u8('R'.charCodeAt(0))
    .zeros(uidOffset - 2);
  writer.u32(info.uid).u32(info.gid).u32(info.pid).u32(info.parentPid).zeros(8);
  fixedString(writer, info.comm, nameBytes);
  fixedString(writer, info.args, argsBytes);
  return writer.finish();
}

export function parsePrpsinfo(description: Uint8Array, name: string): ProcessInfo {
  const cursor = new ByteCursor(description, `NT_PRPSINFO of "${name}"`);
  if (description.length !== prpsinfoBytes) {
    throw cursor.error(`${description.length} bytes where one has ${prpsinfoBytes}`);
  }
  cursor.offset = uidOffset;
  const [uid, gid, pid, parentPid] = [cursor.u32(), cursor.u32(), cursor.i32(), cursor.i32()];
  cursor.skip(8);
  const comm = untilNul(cursor.take(nameBytes));
  return { pid, parentPid, uid, gid, comm, args: untilNul(cursor.take(argsBytes)) };
}

function fixedString(writer: ByteWriter, text: string, size: number): void {
  const bytes = new TextEncoder().encode(text).subarray(0, size - 1);
  writer.raw(bytes).zeros(size - bytes.length);
}

function untilNul(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0);
  return decodeUtf8(nul < 0 ? bytes : bytes.subarray(0, nul));
}
