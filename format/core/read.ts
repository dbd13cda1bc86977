/**
 * Reads a core file, whoever wrote it: the kernel, gcore, gdb, or we. What the file does not hold is absent, never zero: a segment with
 * less in the file than in memory has only what is in the file, and a truncated core has what was written before the cut.
 */
import { absent, type Absent } from '../absent.js';
import { hex } from '../address.js';
import type { ByteSource } from '../byte-source.js';
import { ET, PT } from '../elf/constants.js';
import type { ElfFile, ElfNote, ElfSegment } from '../elf/file.js';
import { openElf } from '../elf/open.js';
import { badData } from '../error.js';
import { defaultLimits, type Limits } from '../limits.js';
import { type MemoryBytes, type MemoryReader, type Provenance, weaker } from '../memory.js';
import type { Machine } from '../registers/machine.js';
import { findMachine, machines } from '../registers/machines.js';
import { parseAuxv } from './auxv.js';
import { NT } from './constants.js';
import { parseFileNote, type FileMapping } from './file-note.js';
import { endOfRange, firstEndingAfter } from './pieces.js';
import { parsePrpsinfo, type ProcessInfo } from './prpsinfo.js';
import { parsePrstatus, type ThreadStatus } from './prstatus.js';
import {
  parseStillframeNote,
  formerNoteType,
  stillframeNoteOwner,
  stillframeNoteType,
  type NoteRange,
  type StillframeNote,
} from './stillframe-note.js';

export interface CoreThread extends ThreadStatus {
  /** NT_PRFPREG: 512 bytes of x86-64, 528 of AArch64. */
  readonly fpRegisters?: Uint8Array;
  readonly xstate?: Uint8Array;
  /** Other register sets of Linux, by note type. */
  readonly registerSets: ReadonlyMap<number, Uint8Array>;
}

export interface CoreFile {
  readonly elf: ElfFile;
  /** In the file's order: the first is the one that hit, or that crashed. */
  readonly threads: readonly CoreThread[];
  readonly process: ProcessInfo | undefined;
  readonly auxv: ReadonlyMap<number, bigint>;
  readonly mappings: readonly FileMapping[];
  /** Undefined in cores that others wrote. */
  readonly note: StillframeNote | undefined;
  /** What the core holds; provenance from the note, `stopped` in cores of others. */
  readonly memory: MemoryReader;
}

export function openCore(source: ByteSource, limits: Limits = defaultLimits): CoreFile {
  const elf = openElf(source);
  if (elf.type !== ET.ET_CORE) {
    throw badData(`cannot open "${source.name}" as a core: its ELF type is ${elf.type}, not ET_CORE (4)`, {
      detail: { file: source.name },
      hint: 'give the core file first, and the program with --exe',
    });
  }
  const machine = findMachine(elf.machine);
  if (machine === undefined) {
    const known = machines.map(({ name, number }) => `${name} (${number})`).join(' and ');
    throw badData(
      `cannot open "${source.name}" as a core: its machine is ${elf.machine}, and only ${known} are supported`,
      { detail: { file: source.name } },
    );
  }
  const notes = elf.notes();
  const findNote = (owner: string, type: number): ElfNote | undefined =>
    notes.find((note) => note.owner === owner && note.type === type);
  const psinfo = findNote('CORE', NT.NT_PRPSINFO);
  const auxv = findNote('CORE', NT.NT_AUXV);
  const files = findNote('CORE', NT.NT_FILE);
  const ours =
    findNote(stillframeNoteOwner, stillframeNoteType) ?? findNote(stillframeNoteOwner, formerNoteType);
  const note = ours === undefined ? undefined : parseStillframeNote(ours.description, source.name);
  return {
    elf,
    threads: readThreads(notes, { name: source.name, machine, limits }),
    process: psinfo === undefined ? undefined : parsePrpsinfo(psinfo.description, source.name),
    auxv: auxv === undefined ? new Map() : parseAuxv(auxv.description, source.name),
    mappings: files === undefined ? [] : parseFileNote(files.description, source.name),
    note,
    memory: new CoreMemory(source, elf.segments, note?.ranges),
  };
}

interface ThreadsContext {
  readonly name: string;
  readonly machine: Machine;
  readonly limits: Limits;
}

type ThreadInMaking = { -readonly [K in keyof CoreThread]: CoreThread[K] } & {
  readonly registerSets: Map<number, Uint8Array>;
};

function readThreads(notes: readonly ElfNote[], { name, machine, limits }: ThreadsContext): CoreThread[] {
  const threads: ThreadInMaking[] = [];
  for (const { owner, type, description } of notes) {
    if (owner === 'CORE' && type === NT.NT_PRSTATUS) {
      if (threads.length >= limits.maxThreads)
        throw badData(`cannot read "${name}": more than ${limits.maxThreads} threads`);
      threads.push({ ...parsePrstatus(description, name, machine), registerSets: new Map() });
    }
    // Other notes of a thread follow its NT_PRSTATUS.
    const current = threads.at(-1);
    if (current === undefined) continue;
    if (owner === 'CORE' && type === NT.NT_PRFPREG) current.fpRegisters = description;
    if (owner === 'LINUX' && type === NT.NT_X86_XSTATE) current.xstate = description;
    if (owner === 'LINUX') current.registerSets.set(type, description);
  }
  return threads;
}

interface Stretch {
  readonly start: bigint;
  /** First address that the file does not have. */
  readonly end: bigint;
  readonly offset: number;
}

const endOfStretch = (stretch: Stretch): bigint => stretch.end;

class CoreMemory implements MemoryReader {
  readonly #source: ByteSource;
  readonly #stretches: readonly Stretch[];
  readonly #ranges: readonly NoteRange[] | undefined;

  constructor(source: ByteSource, segments: readonly ElfSegment[], ranges: readonly NoteRange[] | undefined) {
    this.#source = source;
    this.#stretches = segments
      .filter((segment) => segment.type === PT.PT_LOAD)
      .map((segment) => stretchOf(segment, source.size))
      .filter((stretch) => stretch.end > stretch.start)
      .toSorted((a, b) => (a.start < b.start ? -1 : 1));
    this.#ranges = ranges?.toSorted((a, b) => (a.address < b.address ? -1 : 1));
  }

  read(address: bigint, length: number): MemoryBytes | Absent {
    if (length === 0) return { bytes: new Uint8Array(0), provenance: 'stopped' };
    const parts: Uint8Array[] = [];
    let at = address;
    const end = address + BigInt(length);
    while (at < end) {
      const stretch = this.#stretches[firstEndingAfter(this.#stretches, endOfStretch, at)];
      if (stretch === undefined || stretch.start > at) return notCaptured(at, end);
      const stop = stretch.end < end ? stretch.end : end;
      const offset = stretch.offset + Number(at - stretch.start);
      parts.push(this.#source.read(offset, Number(stop - at)));
      at = stop;
    }
    const [only] = parts;
    const bytes = parts.length === 1 && only !== undefined ? only : joined(parts, length);
    return { bytes, provenance: this.#provenance(address, end) };
  }

  #provenance(start: bigint, end: bigint): Provenance {
    if (this.#ranges === undefined) return 'stopped';
    let weakest: Provenance | undefined;
    let at = start;
    // A note that does not cover its own memory tells nothing of it: the weakest claim is made.
    for (let i = firstEndingAfter(this.#ranges, endOfRange, start); at < end; i++) {
      const range = this.#ranges[i];
      if (range === undefined || range.address > at) return 'racy';
      weakest = weakest === undefined ? range.provenance : weaker(weakest, range.provenance);
      at = range.address + BigInt(range.length);
    }
    return weakest ?? 'racy';
  }
}

function stretchOf(segment: ElfSegment, fileSize: number): Stretch {
  const there = Math.max(0, Math.min(segment.fileSize, fileSize - segment.offset));
  const inMemory = segment.memorySize < BigInt(there) ? segment.memorySize : BigInt(there);
  return { start: segment.virtualAddress, end: segment.virtualAddress + inMemory, offset: segment.offset };
}

function notCaptured(address: bigint, end: bigint): Absent {
  const length = Number(end - address);
  return absent('not-captured', `${length} bytes at ${hex(address)} are not in the core`, {
    address,
    length,
  });
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
