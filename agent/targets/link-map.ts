/**
 * What a debugger needs to find the libraries of a process in its core: the executable's program headers and dynamic section, the
 * dynamic linker's `r_debug`, the chain of `link_map` with its names, and each library's dynamic section (glibc link.h,
 * gABI chapter 5). Every pointer comes from the target: each step is bounded, a broken chain ends there.
 */
import type { CapturedRange } from '../../format/capture.js';
import { PT, phdrBytes } from '../../format/elf/constants.js';
import { defaultLimits } from '../../format/limits.js';
import type { ProcessMemory } from '../linux/memory.js';
import { AT_PHDR, AT_PHENT, AT_PHNUM } from '../linux/proc.js';

const DT_NULL = 0n;
const DT_DEBUG = 21n;
const dynamicEntryBytes = 16;
const maxDynamicEntries = 512;
const maxProgramHeaders = 512;
const rDebugBytes = 40;
/** `r_debug_extended` has `r_next` behind (r_version 2). */
const rDebugExtendedBytes = 48;
const linkMapBytes = 40;
const maxNamespaces = 16;
const maxNameBytes = 4096;
const nameStep = 256;

export function readLinkMap(
  memory: ProcessMemory,
  auxv: ReadonlyMap<bigint, bigint>,
  maxModules: number = defaultLimits.maxModules,
): CapturedRange[] {
  return new LinkMapReader(memory, maxModules).read(auxv);
}

class LinkMapReader {
  readonly #memory: ProcessMemory;
  readonly #maxModules: number;
  readonly #ranges = new Map<bigint, CapturedRange>();

  constructor(memory: ProcessMemory, maxModules: number) {
    this.#memory = memory;
    this.#maxModules = maxModules;
  }

  read(auxv: ReadonlyMap<bigint, bigint>): CapturedRange[] {
    const dynamic = this.#findDynamic(auxv);
    if (dynamic === undefined) return [...this.#ranges.values()];
    const section = this.#readDynamic(dynamic, 'dynamic section');
    const debug = section === undefined ? undefined : entryOf(section, DT_DEBUG);
    if (debug !== undefined && debug !== 0n) this.#readDebug(debug);
    return [...this.#ranges.values()];
  }

  /** The executable's dynamic section, by its program headers in memory; undefined for a static program. */
  #findDynamic(auxv: ReadonlyMap<bigint, bigint>): bigint | undefined {
    const address = auxv.get(AT_PHDR);
    const count = Number(auxv.get(AT_PHNUM) ?? 0n);
    if (address === undefined || auxv.get(AT_PHENT) !== BigInt(phdrBytes)) return undefined;
    if (count === 0 || count > maxProgramHeaders) return undefined;
    const headers = this.#take(address, count * phdrBytes, 'program headers');
    if (headers === undefined) return undefined;
    const view = viewOf(headers);
    const addressOf = (type: number): bigint | undefined => {
      for (let i = 0; i < count; i++) {
        if (view.getUint32(i * phdrBytes, true) === type) return view.getBigUint64(i * phdrBytes + 16, true);
      }
      return undefined;
    };
    const dynamic = addressOf(PT.PT_DYNAMIC);
    const self = addressOf(PT.PT_PHDR);
    if (dynamic === undefined || self === undefined) return undefined;
    return BigInt.asUintN(64, address - self + dynamic);
  }

  #readDebug(first: bigint): void {
    let address = first;
    let left = this.#maxModules;
    for (let i = 0; i < maxNamespaces && address !== 0n && !this.#ranges.has(address); i++) {
      const head = this.#memory.read(address, rDebugBytes);
      if (!('bytes' in head)) return;
      const extended = viewOf(head.bytes).getInt32(0, true) >= 2;
      const debug = this.#take(address, extended ? rDebugExtendedBytes : rDebugBytes, 'r_debug');
      if (debug === undefined) return;
      left = this.#readChain(viewOf(debug).getBigUint64(8, true), left);
      address = extended ? viewOf(debug).getBigUint64(40, true) : 0n;
    }
  }

  #readChain(first: bigint, most: number): number {
    let left = most;
    for (let address = first; address !== 0n && left > 0 && !this.#ranges.has(address); left--) {
      const bytes = this.#take(address, linkMapBytes, 'link map');
      if (bytes === undefined) break;
      const view = viewOf(bytes);
      this.#readName(view.getBigUint64(8, true));
      const dynamic = view.getBigUint64(16, true);
      if (dynamic !== 0n) this.#readDynamic(dynamic, 'dynamic section');
      address = view.getBigUint64(24, true);
    }
    return left;
  }

  #readName(address: bigint): void {
    if (address === 0n || this.#ranges.has(address)) return;
    const bytes = new Uint8Array(maxNameBytes);
    for (let length = 0; length < maxNameBytes; length += nameStep) {
      const got = this.#memory.readInto(address + BigInt(length), bytes.subarray(length, length + nameStep));
      const nul = bytes.subarray(0, length + got).indexOf(0, length);
      if (nul >= 0) {
        this.#add(address, bytes.slice(0, nul + 1), 'link map name');
        return;
      }
      if (got < nameStep) return;
    }
  }

  #readDynamic(address: bigint, path: string): Uint8Array | undefined {
    const known = this.#ranges.get(address);
    if (known !== undefined) return known.bytes;
    const bytes = new Uint8Array(maxDynamicEntries * dynamicEntryBytes);
    const got = this.#memory.readInto(address, bytes);
    const view = viewOf(bytes);
    for (let at = 0; at + dynamicEntryBytes <= got; at += dynamicEntryBytes) {
      if (view.getBigUint64(at, true) !== DT_NULL) continue;
      const section = bytes.slice(0, at + dynamicEntryBytes);
      this.#add(address, section, path);
      return section;
    }
    return undefined;
  }

  #take(address: bigint, length: number, path: string): Uint8Array | undefined {
    const result = this.#memory.read(address, length);
    if (!('bytes' in result)) return undefined;
    this.#add(address, result.bytes, path);
    return result.bytes;
  }

  #add(address: bigint, bytes: Uint8Array, path: string): void {
    this.#ranges.set(address, { address, bytes, provenance: 'racy', path });
  }
}

function entryOf(section: Uint8Array, tag: bigint): bigint | undefined {
  const view = viewOf(section);
  for (let at = 0; at + dynamicEntryBytes <= section.length; at += dynamicEntryBytes) {
    if (view.getBigUint64(at, true) === tag) return view.getBigUint64(at + 8, true);
  }
  return undefined;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
