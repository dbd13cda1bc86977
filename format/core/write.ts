/**
 * Writes a snapshot: a sparse ELF core. One NT_PRSTATUS a thread, the hitting one first; NT_PRPSINFO, NT_AUXV, NT_FILE; a PT_LOAD for
 * each stretch of captured memory; the note of our own. It writes nothing that was not captured: what a core lacks a debugger
 * reports, and zeros would be a lie. Ruled by the gABI's chapters 4 and 5 and the kernel's fs/binfmt_elf.c.
 */
import { ByteWriter } from '../bytes.js';
import type { Capture, CapturedRange, CapturedThread, Mapping, ProcessFacts } from '../capture.js';
import {
  EM,
  ET,
  EV_CURRENT,
  ELFCLASS64,
  ELFDATA2LSB,
  PF,
  PT,
  ehdrBytes,
  phdrBytes,
  PN_XNUM,
} from '../elf/constants.js';
import { StillframeError } from '../error.js';
import { NT } from './constants.js';
import { encodeFileNote, pristineMappings } from './file-note.js';
import { cutPieces } from './pieces.js';
import { encodePrpsinfo } from './prpsinfo.js';
import { encodePrstatus } from './prstatus.js';
import {
  encodeStillframeNote,
  stillframeNoteOwner,
  stillframeNoteType,
  type NoteRange,
  type StillframeNote,
} from './stillframe-note.js';

/** What the capture and the process do not say of themselves. */
export interface SnapshotHeading {
  readonly snapshot: string;
  readonly point: string;
  readonly host: string;
  readonly buildId: string;
  readonly modulePath: string;
  readonly location?: NonNullable<StillframeNote['location']>;
  readonly request: StillframeNote['request'];
}

export interface SnapshotContent {
  readonly heading: SnapshotHeading;
  readonly facts: ProcessFacts;
  readonly capture: Capture;
}

/** The note that goes with the content; the session needs it too, to say what it spools. */
export function describeSnapshot(content: SnapshotContent): StillframeNote {
  const pieces = cutPieces([...content.capture.ranges, ...content.facts.ranges]);
  return noteOf(content, pieces);
}

/** The file, in chunks to be written one after another; memory is not copied. */
export function writeCore(content: SnapshotContent): Uint8Array[] {
  const { capture, facts } = content;
  const pieces = cutPieces([...capture.ranges, ...facts.ranges]);
  const stretches = joinAdjacent(pieces);
  const segments = stretches.map((stretch) => measure(stretch, facts.mappings));
  const { head } = layoutCore(content, { note: noteOf(content, pieces), segments, alignment: 1 });
  return [head, ...stretches.flat().map((piece) => piece.bytes)];
}

export interface CoreSegment {
  readonly address: bigint;
  readonly size: number;
  /** As /proc/PID/maps has them. */
  readonly permissions: string;
}

/** The beginning of a file whose memory is written by somebody else, and where in the file each segment goes. Their offsets are multiples of `alignment`. */
export function layoutCore(
  content: SnapshotContent,
  {
    note,
    segments,
    alignment,
  }: {
    readonly note: StillframeNote;
    readonly segments: readonly CoreSegment[];
    readonly alignment: number;
  },
): { readonly head: Uint8Array; readonly offsets: readonly number[]; readonly size: number } {
  if (segments.length + 1 >= PN_XNUM) {
    throw new StillframeError('limit', `cannot write a core of ${segments.length} segments`);
  }
  const notes = encodeNotes(content, note);
  const notesOffset = ehdrBytes + phdrBytes * (segments.length + 1);
  const head = new ByteWriter();
  writeHeader(head, segments.length + 1);
  writeProgramHeader(head, {
    type: PT.PT_NOTE,
    flags: PF.PF_R,
    offset: notesOffset,
    address: 0n,
    size: notes.length,
  });
  const offsets: number[] = [];
  let offset = Math.ceil((notesOffset + notes.length) / alignment) * alignment;
  for (const { address, size, permissions } of segments) {
    const flags = flagsOf(permissions);
    writeProgramHeader(head, { type: PT.PT_LOAD, flags, offset, address, size });
    offsets.push(offset);
    offset += size;
  }
  head.raw(notes).align(alignment);
  return { head: head.finish(), offsets, size: offset };
}

/** The note of a core whose memory is not in the capture. */
export function describeCore(content: SnapshotContent, ranges: readonly NoteRange[]): StillframeNote {
  return { ...noteOf(content, []), ranges };
}

function noteOf(
  { heading, facts, capture }: SnapshotContent,
  pieces: readonly CapturedRange[],
): StillframeNote {
  return {
    version: 1,
    ...heading,
    engine: capture.engine,
    timeNs: capture.timeNs,
    pid: capture.pid,
    tid: capture.tid,
    comm: capture.threads.find((thread) => thread.tid === capture.tid)?.comm ?? facts.comm,
    ranges: pieces.map(({ address, bytes, provenance, delayUs, path }) => ({
      address,
      length: bytes.length,
      provenance,
      path,
      ...(delayUs === undefined ? {} : { delayUs }),
    })),
    missing: capture.missing,
    threads: capture.threads.map(({ tid, comm, state, provenance, unknownRegisters, absent }) => ({
      tid,
      comm,
      state,
      provenance,
      unknownRegisters,
      ...(absent === undefined ? {} : { absent }),
    })),
    modules: facts.modules,
    cost: capture.cost,
    ...(capture.written === undefined ? {} : { written: capture.written }),
    ...(capture.durationNs === undefined ? {} : { durationNs: capture.durationNs }),
  };
}

function encodeNotes({ facts, capture }: SnapshotContent, note: StillframeNote): Uint8Array {
  const writer = new ByteWriter();
  const add = (owner: string, type: number, description: Uint8Array): void => {
    const name = new TextEncoder().encode(`${owner}\0`);
    writer.u32(name.length).u32(description.length).u32(type);
    writer.raw(name).align(4).raw(description).align(4);
  };
  const addThread = (thread: CapturedThread & { registers: Uint8Array }): void => {
    const { tid, registers } = thread;
    add('CORE', NT.NT_PRSTATUS, encodePrstatus({ tid, parentPid: facts.parentPid, signal: 0, registers }));
    if (thread.fpRegisters !== undefined) add('CORE', NT.NT_PRFPREG, thread.fpRegisters);
    if (thread.xstate !== undefined) add('LINUX', NT.NT_X86_XSTATE, thread.xstate);
  };
  // Debuggers expect the process's notes right after the first thread's status (fs/binfmt_elf.c writes them so).
  const [first, ...others] = threadsToWrite(capture);
  if (first !== undefined) addThread(first);
  add('CORE', NT.NT_PRPSINFO, encodePrpsinfo(facts));
  add('CORE', NT.NT_AUXV, facts.auxv);
  add('CORE', NT.NT_FILE, encodeFileNote(pristineMappings(facts.mappings)));
  for (const thread of others) addThread(thread);
  add(stillframeNoteOwner, stillframeNoteType, encodeStillframeNote(note));
  return writer.finish();
}

function threadsToWrite(capture: Capture): (CapturedThread & { registers: Uint8Array })[] {
  const having = capture.threads.filter(
    (thread): thread is CapturedThread & { registers: Uint8Array } => thread.registers !== undefined,
  );
  return having.toSorted((a, b) => Number(b.tid === capture.tid) - Number(a.tid === capture.tid));
}

/** Pieces that touch share a segment. */
function joinAdjacent(pieces: readonly CapturedRange[]): CapturedRange[][] {
  const stretches: CapturedRange[][] = [];
  let end: bigint | undefined;
  for (const piece of pieces) {
    if (piece.address === end) stretches.at(-1)?.push(piece);
    else stretches.push([piece]);
    end = piece.address + BigInt(piece.bytes.length);
  }
  return stretches;
}

function measure(stretch: readonly CapturedRange[], mappings: readonly Mapping[]): CoreSegment {
  const address = stretch[0]?.address ?? 0n;
  const size = stretch.reduce((sum, piece) => sum + piece.bytes.length, 0);
  const permissions =
    mappings.find(({ start, end }) => address >= start && address < end)?.permissions ?? 'rw-p';
  return { address, size, permissions };
}

function flagsOf(permissions: string): number {
  const write = permissions[1] === 'w' ? PF.PF_W : 0;
  const execute = permissions[2] === 'x' ? PF.PF_X : 0;
  return PF.PF_R | write | execute;
}

function writeHeader(writer: ByteWriter, segments: number): void {
  writer.raw(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, 0)).zeros(8);
  writer.u16(ET.ET_CORE).u16(EM.EM_X86_64).u32(EV_CURRENT);
  writer.u64(0n).u64(BigInt(ehdrBytes)).u64(0n);
  writer.u32(0).u16(ehdrBytes).u16(phdrBytes).u16(segments).u16(0).u16(0).u16(0);
}

interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

function writeProgramHeader(writer: ByteWriter, header: ProgramHeader): void {
  const { type, flags, offset, address, size } = header;
  writer.u32(type).u32(flags).u64(BigInt(offset)).u64(address).u64(0n);
  writer
    .u64(BigInt(size))
    .u64(type === PT.PT_NOTE ? 0n : BigInt(size))
    .u64(type === PT.PT_NOTE ? 4n : 1n);
}
