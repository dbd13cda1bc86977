/**
 * The architecture seam: all that unwinding and reading frames must know of a machine, as one record a machine. `x86-64.ts` and
 * `aarch64.ts` beside this file are the records; `architectures.ts` chooses by `e_machine`.
 */
import type { Absent } from '../../format/absent.js';
import type { Provenance } from '../../format/memory.js';
import type { Machine } from '../../format/registers/machine.js';
import type { FrameRegisters } from './frame-registers.js';

/** A thread as a core has it. */
export interface ThreadState {
  /** As NT_PRSTATUS has them: see {@link Machine.registers}. */
  readonly registers: Uint8Array;
  /** Names of registers in it that are not known. */
  readonly unknownRegisters: readonly string[];
  readonly provenance: Provenance;
  /** NT_FPREGSET. */
  readonly fpRegisters?: Uint8Array | undefined;
  /** Other register sets of Linux, by note type. */
  readonly registerSets?: ReadonlyMap<number, Uint8Array> | undefined;
}

/** A segment PT_TLS. */
export interface ThreadLocalBlock {
  readonly virtualAddress: bigint;
  readonly memorySize: bigint;
  readonly align: bigint;
}

/**
 * `framed`: the frame pointer is set up; `pushed`: the caller's frame pointer was pushed, and no more; `none`: nothing that is known was done to the
 * stack, at the function's beginning or because it keeps no frame pointer.
 */
export type PrologueState = 'framed' | 'pushed' | 'none';

export interface Architecture extends Machine {
  /** DWARF registers that a frame hands on to its caller, all 64 bits wide. */
  readonly carried: readonly number[];
  /** Those that a function leaves as they were, unless its call frame information says where it saved them. */
  readonly preserved: ReadonlySet<number>;
  nameOf(dwarfNumber: number): string;
  threadRegisters(thread: ThreadState): FrameRegisters;
  /** Bytes of code that `endsWithCall` wants before a return address. */
  readonly maxCallBytes: number;
  endsWithCall(code: Uint8Array): boolean;
  /** The code of a signal return that has no call frame information, and where its registers lie from the stack pointer on. */
  readonly signalReturn: { readonly code: Uint8Array; readonly savedAt: ReadonlyMap<number, bigint> };
  /** Where a call leaves the return address; where something was pushed, and where undefined, it is right below the CFA. */
  readonly linkRegister: number | undefined;
  /** CFA minus stack pointer at a function's first instruction. */
  readonly entryCfaOffset: bigint;
  /** CFA minus stack pointer at code of a PLT that has no call frame information, this far into its section. */
  pltCfaOffset(code: Uint8Array, sectionOffset: number): bigint | undefined;
  readonly maxPltBytes: number;
  /** Whether the instruction at the beginning of the code returns to the address on top of the stack. */
  isReturn?(code: Uint8Array): boolean;
  /** How much of the usual prologue has run: `code` is a function from its beginning, `executed` the bytes of it before the pc. */
  prologueState?(code: Uint8Array, executed: number): PrologueState;
  /** Bytes of a function that `prologueState` looks at. */
  readonly maxPrologueBytes?: number;
  /** What a chain of frame pointers tells of the caller's stack pointer: its distance from the frame pointer, where that is fixed. */
  readonly frameRecordBytes: bigint | undefined;
  /** Bits of a signed return address that are its signature, not its address; 0 where nothing signs. */
  signatureBits(thread: ThreadState): bigint;
  threadPointer(thread: ThreadState): bigint | Absent;
  /** Variant II of thread-local storage: the C library's descriptor of the thread begins where the thread pointer points. */
  readonly threadPointerIsDescriptor: boolean;
  /** Where the block of the main program lies from the thread pointer (ELF handling for thread-local storage, 3). */
  threadLocalOffset(block: ThreadLocalBlock): bigint;
}
