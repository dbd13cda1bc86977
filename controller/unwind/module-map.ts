/** What unwinding asks of the modules of a process: who stands at an address, and its call frame information. */
import type { Absent } from '../../format/absent.js';
import type { LoadBias } from '../../format/address.js';
import type { ElfFile } from '../../format/elf/file.js';
import type { CallFrameTable } from '../dwarf/call-frame.js';

export interface MappedModule {
  readonly path: string;
  readonly bias: LoadBias;
  /** The file, where it could be opened and is the one that was running. */
  readonly elf: ElfFile | Absent;
  /** Absent where the file could not be had: `no-debug-info` that says why. */
  callFrames(): CallFrameTable | Absent;
  /** Of the separate debug file as well; asked only for what the file itself does not cover, as it has to be looked for. */
  separateCallFrames?(): CallFrameTable | undefined;
  /** Runtime address of the beginning of the function at a runtime address, by its debug information or symbol. */
  functionStart?(address: bigint): bigint | undefined;
  /**
   * The function at a runtime address was never called: somebody put it in front of an instruction while that was about to run, as if that had called it.
   * So Go does in its signal handler, for faults and to preempt.
   */
  isInjected?(address: bigint): boolean;
}

export interface ModuleMap<M extends MappedModule = MappedModule> {
  /** The module that is mapped at a runtime address. */
  find(address: bigint): M | undefined;
  /** Whether code can stand at the address; false also where that is not known. */
  isExecutable(address: bigint): boolean;
}
