/** `.eh_frame_hdr` (LSB Core 10.6.2): where `.eh_frame` is, and a sorted table from function to FDE. */
import { ByteCursor } from '../../format/bytes.js';
import {
  DW_EH_PE_omit,
  fixedPointerBytes,
  readEncodedPointer,
  type PointerBases,
} from './call-frame-pointer.js';

export interface FrameHeader {
  /** Link address of `.eh_frame`; undefined when the header does not say. */
  readonly ehFrame: bigint | undefined;
  /** FDEs in the table; 0 when there is no table that can be searched. */
  readonly count: number;
  /** The last row that begins at or before an address. */
  find(address: bigint): { readonly start: bigint; readonly fde: bigint } | undefined;
}

/** `bytes` may reach further than the header. Throws `bad-data`. */
export function parseFrameHeader(
  bytes: Uint8Array,
  address: bigint,
  options: { readonly name: string; readonly bases: Omit<PointerBases, 'section' | 'data'> },
): FrameHeader {
  const bases: PointerBases = { ...options.bases, section: address, data: address };
  const cursor = new ByteCursor(bytes, options.name);
  const version = cursor.u8();
  if (version !== 1) throw cursor.error(`unknown .eh_frame_hdr version ${version}`, 0);
  const pointerEncoding = cursor.u8();
  const countEncoding = cursor.u8();
  const tableEncoding = cursor.u8();
  const ehFrame = readEncodedPointer(cursor, pointerEncoding, bases);
  const count = readEncodedPointer(cursor, countEncoding, bases);
  const size = fixedPointerBytes(tableEncoding);
  if (count === undefined || tableEncoding === DW_EH_PE_omit || size === undefined)
    return { ehFrame, count: 0, find: () => undefined };
  const table = cursor.offset;
  if (count * BigInt(size * 2) > BigInt(cursor.remaining))
    throw cursor.error(`table of ${count} rows, ${cursor.remaining} bytes left`);
  const rows = Number(count);
  const row = (index: number): { start: bigint; fde: bigint } => {
    cursor.offset = table + index * size * 2;
    const start = readEncodedPointer(cursor, tableEncoding, bases);
    const fde = readEncodedPointer(cursor, tableEncoding, bases);
    return { start: start ?? 0n, fde: fde ?? 0n };
  };
  const find = (wanted: bigint): { start: bigint; fde: bigint } | undefined => {
    let low = 0;
    let high = rows;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (row(middle).start <= wanted) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : row(low - 1);
  };
  return { ehFrame, count: rows, find };
}
