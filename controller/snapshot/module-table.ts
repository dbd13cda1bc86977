/** All modules of a snapshot, by address; and which of their bytes cannot have changed since they were mapped. */
import { isAbsent } from '../../format/absent.js';
import { PF, PT } from '../../format/elf/constants.js';
import type { ElfFile } from '../../format/elf/file.js';
import type { ModuleMap } from '../unwind/module-map.js';
import type { SnapshotModule } from './module.js';

const DT_TEXTREL = 22n;
const DT_FLAGS = 30n;
const DF_TEXTREL = 4n;

export interface ExecutableRange {
  readonly start: bigint;
  readonly end: bigint;
}

export class ModuleTable implements ModuleMap<SnapshotModule>, Disposable {
  /** In address order. */
  readonly modules: readonly SnapshotModule[];
  /** Of segments of the core that say so: code that no file has. */
  readonly #executable: readonly ExecutableRange[];
  readonly #pure = new WeakMap<ElfFile, boolean>();

  constructor(modules: readonly SnapshotModule[], executable: readonly ExecutableRange[]) {
    this.modules = modules.toSorted((a, b) =>
      a.facts.start < b.facts.start ? -1 : a.facts.start > b.facts.start ? 1 : 0,
    );
    this.#executable = executable;
  }

  find(address: bigint): SnapshotModule | undefined {
    let low = 0;
    let high = this.modules.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const module = this.modules[middle];
      if (module !== undefined && module.facts.start <= address) low = middle + 1;
      else high = middle;
    }
    const module = this.modules[low - 1];
    return module !== undefined && address < module.facts.end ? module : undefined;
  }

  isExecutable(address: bigint): boolean {
    if (this.#executable.some((range) => address >= range.start && address < range.end)) return true;
    const module = this.find(address);
    const elf = module?.elf;
    if (module === undefined || elf === undefined || isAbsent(elf)) return false;
    return segmentAt(elf, BigInt.asUintN(64, address - module.bias), 1, PF.PF_X) !== undefined;
  }

  /**
   * Bytes of a module's file that the process has unchanged: those of segments that are not writable, in files without
   * relocations in code. Undefined when there are none.
   */
  readFile(address: bigint, length: number): Uint8Array | undefined {
    const module = this.find(address);
    const elf = module?.elf;
    if (module === undefined || elf === undefined || isAbsent(elf) || !this.#isPure(elf)) return undefined;
    const link = BigInt.asUintN(64, address - module.bias);
    if (segmentAt(elf, link, length, 0) === undefined) return undefined;
    return elf.bytesAt(link, length);
  }

  #isPure(elf: ElfFile): boolean {
    const known = this.#pure.get(elf);
    if (known !== undefined) return known;
    const pure = !hasTextRelocations(elf);
    this.#pure.set(elf, pure);
    return pure;
  }

  [Symbol.dispose](): void {
    for (const module of this.modules) module[Symbol.dispose]();
  }
}

/** The segment that has all of a range in the file, with these flags and not writable; none when a writable one overlaps. */
function segmentAt(elf: ElfFile, link: bigint, length: number, flags: number): object | undefined {
  const end = link + BigInt(length);
  const loads = elf.segments.filter((segment) => segment.type === PT.PT_LOAD);
  const overlapsWritable = loads.some(
    (segment) =>
      (segment.flags & PF.PF_W) !== 0 &&
      link < segment.virtualAddress + segment.memorySize &&
      end > segment.virtualAddress,
  );
  if (overlapsWritable && flags === 0) return undefined;
  return loads.find(
    (segment) =>
      (segment.flags & flags) === flags &&
      link >= segment.virtualAddress &&
      end <= segment.virtualAddress + BigInt(segment.fileSize),
  );
}

function hasTextRelocations(elf: ElfFile): boolean {
  const dynamic = elf.segments.find((segment) => segment.type === PT.PT_DYNAMIC);
  const bytes = dynamic === undefined ? undefined : elf.bytesAt(dynamic.virtualAddress, dynamic.fileSize);
  if (bytes === undefined) return dynamic !== undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const tag = view.getBigUint64(at, true);
    if (tag === 0n) return false;
    if (tag === DT_TEXTREL) return true;
    if (tag === DT_FLAGS && (view.getBigUint64(at + 8, true) & DF_TEXTREL) !== 0n) return true;
  }
  return false;
}
