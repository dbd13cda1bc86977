/**
 * Copies of instructions behind the code of a process, where a thread runs what stands at a software breakpoint while the breakpoint stays: the instruction, and a jump behind where it
 * came from. Nobody stands still for that, nobody misses the breakpoint, and a thread whose tracer dies there runs on by itself.
 *
 * The place is what the last page of a text segment holds behind the segment: executable, mapped from the file, and of no use to anybody. What a copy is depends on the address and the
 * instruction alone, so one that a tracer left behind that was killed is used again; it may have a thread in it, and is never changed.
 */
import type { Mapping } from '../../../format/capture.js';
import { PT } from '../../../format/elf/constants.js';
import { openElf } from '../../../format/elf/open.js';
import { toStillframeError } from '../../../format/error.js';
import { displaceInstruction, maxDisplacedBytes } from '../../../format/x86-64/displaced.js';
import type { CodePatcher } from '../../linux/memory-patch.js';
import { findMapping, readMaps } from '../../linux/proc.js';
import { openMappedFile } from '../../targets/mapped-file.js';

const pageBytes = 4096n;
const placeBytes = 24n;
const executable = 1;

/** What is behind a text segment in its last page. */
interface Room {
  /** Of the segment. */
  readonly start: bigint;
  readonly end: bigint;
  /** The first place. */
  readonly from: bigint;
  /** As the file has it, from `from` to the end of the page. */
  readonly pristine: Uint8Array;
}

interface Copy {
  /** Of the instruction that it is a copy of. */
  readonly address: bigint;
  readonly code: Uint8Array;
  /** Of the instruction: where the jump is. */
  readonly length: number;
  /** What was there; undefined where another tracer has left it behind. */
  readonly before: Uint8Array | undefined;
}

export class DisplacedCode {
  readonly #pid: number;
  readonly #patcher: CodePatcher;
  readonly #rooms: Room[] = [];
  /** By the place of the copy. */
  readonly #copies = new Map<bigint, Copy>();

  constructor(pid: number, patcher: CodePatcher) {
    this.#pid = pid;
    this.#patcher = patcher;
  }

  get isEmpty(): boolean {
    return this.#copies.size === 0;
  }

  /** To be called before places are asked for: what was mapped there may have been unmapped, and copies with it. */
  refresh(): void {
    this.#rooms.length = 0;
    for (const [place, { code }] of this.#copies) {
      try {
        if (Buffer.compare(this.#patcher.readAll(place, code.length), code) === 0) continue;
      } catch {
        // Nothing is mapped there.
      }
      this.#copies.delete(place);
    }
  }

  /** Where the instruction at an address, which `bytes` begin with, can be run instead; undefined where there is no such place. */
  place(address: bigint, bytes: Uint8Array): bigint | undefined {
    for (const [place, copy] of this.#copies) if (copy.address === address) return place;
    try {
      const room = this.#roomOf(address);
      return room === undefined ? undefined : this.#placeIn(room, address, bytes);
    } catch (error) {
      // Whatever cannot be read or written: the instruction is run where it is, while others stand still.
      if (toStillframeError(error).code === 'internal') throw error;
      return undefined;
    }
  }

  #placeIn(room: Room, address: bigint, bytes: Uint8Array): bigint | undefined {
    const size = BigInt(room.pristine.length);
    for (let offset = 0n; offset + placeBytes <= size; offset += placeBytes) {
      const place = room.from + offset;
      const displaced = displaceInstruction(bytes, address, place);
      if (displaced === undefined) return undefined;
      if (this.#copies.has(place)) continue;
      const there = this.#patcher.readAll(place, maxDisplacedBytes);
      const pristine = room.pristine.subarray(Number(offset), Number(offset) + maxDisplacedBytes);
      const { code, length } = displaced;
      const isLeft = Buffer.compare(there.subarray(0, code.length), code) === 0;
      // Somebody else has found this place, too.
      if (!isLeft && Buffer.compare(there, pristine) !== 0) continue;
      if (!isLeft) this.#patcher.writeAll(place, code);
      const before = isLeft ? undefined : there.subarray(0, code.length);
      this.#copies.set(place, { address, code, length, before });
      return place;
    }
    return undefined;
  }

  #roomOf(address: bigint): Room | undefined {
    const known = this.#rooms.find(({ start, end }) => address >= start && address < end);
    if (known !== undefined) return known;
    const room = findRoom(this.#pid, address);
    if (room !== undefined) this.#rooms.push(room);
    return room;
  }

  /** Where a thread at `pc` would be had it never left: at the instruction, or behind it. Undefined where it is in no copy. */
  originOf(pc: bigint): { readonly pc: bigint; readonly isBefore: boolean } | undefined {
    for (const [place, { address, length }] of this.#copies) {
      if (pc === place) return { pc: address, isBefore: true };
      if (pc === place + BigInt(length)) return { pc: address + BigInt(length), isBefore: false };
    }
    return undefined;
  }

  /** Makes the memory what it was. No thread may be in a copy. What others have left stays. */
  erase(patcher: CodePatcher = this.#patcher): void {
    for (const [place, { before }] of this.#copies) {
      if (before === undefined) continue;
      try {
        patcher.writeAll(place, before);
      } catch {
        // Unmapped, or the process is gone.
      }
    }
  }

  /** The memory is no more. */
  forget(): void {
    this.#copies.clear();
    this.#rooms.length = 0;
  }
}

/** Throws where the file cannot be opened or is none. */
function findRoom(pid: number, address: bigint): Room | undefined {
  const mappings = readMaps(pid);
  const mapping = findMapping(mappings, address);
  if (mapping === undefined || mapping.inode === 0) return undefined;
  using file = openMappedFile(pid, mapping);
  const elf = openElf(file.source);
  const offset = mapping.fileOffset + Number(address - mapping.start);
  const segment = elf.segments.find(
    ({ type, flags, offset: start, fileSize }) =>
      type === PT.PT_LOAD && (flags & executable) !== 0 && offset >= start && offset < start + fileSize,
  );
  if (segment === undefined || BigInt(segment.fileSize) !== segment.memorySize) return undefined;
  // A thread that leaves the bounds of a restartable sequence has lost it; where a file has none is known from its sections.
  if (elf.sections.length === 0 || elf.sections.some(({ name }) => name === '__rseq_cs')) return undefined;
  const start = address - BigInt(offset - segment.offset);
  const end = start + BigInt(segment.fileSize);
  const pageEnd = (end + pageBytes - 1n) & -pageBytes;
  const from = (end + 7n) & -8n;
  if (from + placeBytes > pageEnd || !isOneFile(mapping, findMapping(mappings, pageEnd - 1n)))
    return undefined;
  const pristine = new Uint8Array(Number(pageEnd - from));
  const fileFrom = segment.offset + Number(from - start);
  // Behind the end of the file there are zeros.
  const inFile = Math.max(0, Math.min(pristine.length, file.source.size - fileFrom));
  if (inFile > 0) pristine.set(file.source.read(fileFrom, inFile));
  return { start, end, from, pristine };
}

/** The end of the segment is mapped from the same place of the same file. */
function isOneFile(one: Mapping, other: Mapping | undefined): boolean {
  if (other === undefined || other.inode !== one.inode || other.device !== one.device) return false;
  const isSamePlace = other.start - one.start === BigInt(other.fileOffset) - BigInt(one.fileOffset);
  return isSamePlace && /^r-xp$/.test(other.permissions);
}
