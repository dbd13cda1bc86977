/**
 * Finds the row of call frame information that covers an address of a module: through `.eh_frame_hdr` where there is one, through an
 * index of all FDEs else; `.debug_frame` first, then `.eh_frame`. What is malformed makes rows absent, never wrong.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { hex, type LinkAddress } from '../../format/address.js';
import { EM, PF, PT } from '../../format/elf/constants.js';
import type { ElfFile, ElfSegment } from '../../format/elf/file.js';
import { StillframeError } from '../../format/error.js';
import { openGoFunctions } from './go-functions.js';
import { toPc } from './sections.js';
import type { CallFrameRow, CallFrameTable, RegisterRule } from './call-frame.js';
import {
  parseCommonEntry,
  parseEntryHeader,
  parseFrameEntry,
  type CommonEntry,
  type FrameEntry,
  type FrameSection,
} from './call-frame-entry.js';
import { parseFrameHeader, type FrameHeader } from './call-frame-header.js';
import { runCallFrameProgram } from './call-frame-program.js';
import type { PointerBases } from './call-frame-pointer.js';

const maxEntries = 16_000_000;

/** `debug`: the separate file of the module's debug information, which may have a `.debug_frame`. */
export function openCallFrames(elf: ElfFile, debug?: ElfFile): CallFrameTable {
  let finders: readonly Finder[] | undefined;
  return {
    findRow(address: LinkAddress): CallFrameRow | Absent {
      finders ??= openFinders(elf, debug);
      let problem: string | undefined;
      for (const finder of finders) {
        const row = finder.findRow(address);
        if (row !== undefined && !isAbsent(row)) return row;
        problem ??= row?.detail;
      }
      const detail = problem ?? `no call frame information of "${elf.source.name}" covers ${hex(address)}`;
      return absent('unwind-failed', detail, { address });
    },
  };
}

/** Gives a row; undefined when nothing covers the address; absent when what would cover it may be malformed. */
interface Finder {
  findRow(address: bigint): CallFrameRow | Absent | undefined;
}

/** Where both kinds speak of an address gdb believes `.debug_frame`, and so do we. */
function openFinders(elf: ElfFile, debug: ElfFile | undefined): Finder[] {
  const opened = [
    () => (debug === undefined ? undefined : openDebugFrame(debug, elf)),
    () => withoutKept(openDebugFrame(elf, elf), elf),
    () => openEhFrame(elf),
    () => openGoFrames(elf),
  ];
  return opened.flatMap((open) => {
    try {
      const finder = open();
      return finder === undefined ? [] : [finder];
    } catch (thrown) {
      const failed = toAbsent(thrown);
      return [{ findRow: () => failed }];
    }
  });
}

/** `module`: what is mapped; of a separate file the segments are there, but not always their flags. */
function openDebugFrame(elf: ElfFile, module: ElfFile): Finder | undefined {
  const bytes = elf.sectionBytes('.debug_frame') ?? elf.sectionBytes('.zdebug_frame');
  if (bytes === undefined || bytes.length === 0) return undefined;
  const bases: PointerBases = { section: 0n };
  const name = `.debug_frame of "${elf.source.name}"`;
  return new SectionFinder(
    { kind: 'debug_frame', bytes, name, bases, machine: elf.machine },
    module,
    undefined,
  );
}

const rsp = 7;
const returnAddress = 16;
/** What other code keeps over calls: rbx, rbp, r12 to r15; x19 to x29. */
const keptByOthers: ReadonlyMap<number, readonly number[]> = new Map([
  [EM.EM_X86_64, [3, 6, 12, 13, 14, 15]],
  [EM.EM_AARCH64, [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]],
]);

function lostInGo(machine: number): [number, RegisterRule][] {
  return (keptByOthers.get(machine) ?? []).map((register) => [register, { kind: 'undefined' }]);
}

/** Go's tables say nothing of registers, and none is kept over a call: what holds where nothing is said must not be taken for it. */
function withoutKept(finder: Finder | undefined, elf: ElfFile): Finder | undefined {
  const lost = lostInGo(elf.machine);
  const go = finder === undefined || lost.length === 0 ? undefined : openGoFunctions(elf);
  if (finder === undefined || go === undefined) return finder;
  return {
    findRow(address) {
      const row = finder.findRow(address);
      if (row === undefined || isAbsent(row)) return row;
      try {
        if (go.find(toPc(address)) === undefined) return row;
      } catch (thrown) {
        return toAbsent(thrown);
      }
      return { ...row, rules: new Map([...lost, ...row.rules]) };
    },
  };
}

/** Stripped programs of Go have no call frame information, but their runtime knows how deep its stacks are. */
function openGoFrames(elf: ElfFile): Finder | undefined {
  const hasFrames = elf.findSection('.debug_frame') ?? elf.findSection('.zdebug_frame');
  if (elf.machine !== EM.EM_X86_64 || hasFrames !== undefined) return undefined;
  const go = openGoFunctions(elf);
  if (go === undefined) return undefined;
  const rules = new Map([
    [returnAddress, { kind: 'offset', offset: -8n } as const] as const,
    ...lostInGo(elf.machine),
  ]);
  return {
    findRow(address) {
      try {
        const pc = toPc(address);
        const found = go.find(pc);
        const depth = found === undefined ? undefined : go.stackDepth(found, pc);
        if (depth === undefined) return undefined;
        // Registers are not kept over calls in Go, but for the frame pointer, of which the table says nothing.
        return {
          cfa: { kind: 'register', register: rsp, offset: BigInt(depth + 8) },
          rules,
          returnAddressRegister: returnAddress,
          signalFrame: false,
        };
      } catch (thrown) {
        return toAbsent(thrown);
      }
    },
  };
}

function openEhFrame(elf: ElfFile): Finder | undefined {
  const text = elf.findSection('.text')?.address;
  const bases = { text, pointerAt: (address: bigint) => pointerAt(elf, address) };
  const name = `.eh_frame of "${elf.source.name}"`;
  const header = openHeader(elf, bases);
  const section = elf.findSection('.eh_frame');
  const sectionBytes = elf.sectionBytes('.eh_frame');
  if (section !== undefined && sectionBytes !== undefined && sectionBytes.length > 0) {
    const data = elf.findSection('.got')?.address;
    const frames: FrameSection = {
      kind: 'eh_frame',
      bytes: sectionBytes,
      name,
      bases: { ...bases, data, section: section.address },
      machine: elf.machine,
    };
    // A header that speaks of another place is of no use.
    const usable = header?.ehFrame === section.address ? header : undefined;
    return new SectionFinder(frames, elf, usable);
  }
  if (header?.ehFrame === undefined) return undefined;
  const address = header.ehFrame;
  const bytes = restOfSegment(elf, address);
  if (bytes === undefined) return undefined;
  return new SectionFinder(
    { kind: 'eh_frame', bytes, name, bases: { ...bases, section: address }, machine: elf.machine },
    elf,
    header,
  );
}

/** The `.eh_frame_hdr` that PT_GNU_EH_FRAME points to; undefined when there is none or it is malformed (all FDEs are read then). */
function openHeader(elf: ElfFile, bases: Omit<PointerBases, 'section' | 'data'>): FrameHeader | undefined {
  const segment = elf.segments.find((each) => each.type === PT.PT_GNU_EH_FRAME);
  if (segment === undefined) return undefined;
  const bytes = elf.bytesAt(segment.virtualAddress, segment.fileSize);
  if (bytes === undefined) return undefined;
  try {
    return parseFrameHeader(bytes, segment.virtualAddress, {
      name: `.eh_frame_hdr of "${elf.source.name}"`,
      bases,
    });
  } catch (thrown) {
    if (thrown instanceof StillframeError) return undefined;
    throw thrown;
  }
}

function pointerAt(elf: ElfFile, address: bigint): bigint | undefined {
  const bytes = elf.bytesAt(address, 8);
  if (bytes === undefined) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
}

/** Of a file without section headers, `.eh_frame` is known by its beginning only: it may reach to the end of its segment. */
function restOfSegment(elf: ElfFile, address: bigint): Uint8Array | undefined {
  const segment = loadSegments(elf).find(
    (each) => address >= each.virtualAddress && address < each.virtualAddress + BigInt(each.fileSize),
  );
  if (segment === undefined) return undefined;
  return elf.bytesAt(address, segment.fileSize - Number(address - segment.virtualAddress));
}

function loadSegments(elf: ElfFile): ElfSegment[] {
  return elf.segments.filter((segment) => segment.type === PT.PT_LOAD);
}

function toAbsent(thrown: unknown): Absent {
  if (thrown instanceof StillframeError) return absent('unwind-failed', thrown.message);
  throw thrown;
}

interface IndexRow {
  readonly start: bigint;
  readonly end: bigint;
  readonly offset: number;
}

class SectionFinder implements Finder {
  readonly #section: FrameSection;
  readonly #header: FrameHeader | undefined;
  readonly #code: readonly ElfSegment[];
  readonly #cies = new Map<number, CommonEntry>();
  #index: readonly IndexRow[] | undefined;
  /** The first entry that could not be read when the index was made. */
  #problem: Absent | undefined;

  constructor(section: FrameSection, elf: ElfFile, header: FrameHeader | undefined) {
    this.#section = section;
    this.#header = header !== undefined && header.count > 0 ? header : undefined;
    this.#code = loadSegments(elf).filter((segment) => (segment.flags & PF.PF_X) !== 0);
  }

  findRow(address: bigint): CallFrameRow | Absent | undefined {
    try {
      const entry = this.#findEntry(address);
      if (entry === undefined) return this.#problem;
      return runCallFrameProgram(this.#section, entry, address);
    } catch (thrown) {
      return toAbsent(thrown);
    }
  }

  #findEntry(address: bigint): FrameEntry | undefined {
    const listed = this.#header?.find(address);
    if (listed !== undefined) {
      const entry = this.#entryAt(listed.fde);
      // The table is believed only where the FDE says the same.
      if (entry?.start === listed.start) return address < entry.end ? entry : undefined;
    } else if (this.#header !== undefined) return undefined;
    return this.#searchIndex(address);
  }

  #entryAt(fde: bigint): FrameEntry | undefined {
    const offset = fde - this.#section.bases.section;
    if (offset < 0n || offset >= BigInt(this.#section.bytes.length)) return undefined;
    try {
      return this.#parse(Number(offset));
    } catch (thrown) {
      if (thrown instanceof StillframeError) return undefined;
      throw thrown;
    }
  }

  #parse(offset: number): FrameEntry {
    return parseFrameEntry(this.#section, offset, (at) => {
      const known = this.#cies.get(at);
      if (known !== undefined) return known;
      const cie = parseCommonEntry(this.#section, at);
      this.#cies.set(at, cie);
      return cie;
    });
  }

  #searchIndex(address: bigint): FrameEntry | undefined {
    this.#index ??= this.#buildIndex();
    let low = 0;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.#index[middle];
      if (row !== undefined && row.start <= address) low = middle + 1;
      else high = middle;
    }
    const row = this.#index[low - 1];
    return row === undefined || address >= row.end ? undefined : this.#parse(row.offset);
  }

  #buildIndex(): IndexRow[] {
    const rows: IndexRow[] = [];
    let offset = 0;
    for (let count = 0; offset < this.#section.bytes.length && count < maxEntries; count++) {
      const next = this.#indexEntry(offset, rows);
      if (next === undefined) break;
      offset = next;
    }
    return rows.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.offset - b.offset));
  }

  /** Adds the entry at an offset to the index; gives the next offset, or undefined when it cannot be known. */
  #indexEntry(offset: number, rows: IndexRow[]): number | undefined {
    let next: number | undefined;
    try {
      const header = parseEntryHeader(this.#section, offset);
      // A terminator may stand in the middle, where the linker joined files: what follows is still read.
      next = header.end;
      if (header.kind === 'fde') {
        const { start, end } = this.#parse(offset);
        if (end > start && this.#isCode(start)) rows.push({ start, end, offset });
      }
    } catch (thrown) {
      this.#problem ??= toAbsent(thrown);
    }
    return next;
  }

  /** False for what the linker threw away and left at address 0. */
  #isCode(start: bigint): boolean {
    if (this.#code.length === 0) return true;
    return this.#code.some(
      (segment) => start >= segment.virtualAddress && start < segment.virtualAddress + segment.memorySize,
    );
  }
}
