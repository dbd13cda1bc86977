/**
 * What an engine brings back: the state of some threads and some memory of a process at one moment. It is the input of the
 * core writer, and says of everything that is missing why.
 */
import type { AbsentReason } from './absent.js';
import type { Provenance } from './memory.js';

export const engineNames = ['uprobe', 'observe', 'ptrace', 'fork', 'mem', 'watch'] as const;
export type EngineName = (typeof engineNames)[number];

export interface CapturedThread {
  readonly tid: number;
  readonly comm: string;
  /** The letter of /proc/PID/stat: R S D T t Z X I. */
  readonly state: string;
  /** A `user_regs_struct` (216 bytes); undefined when it could not be had, and then `absent` says why. */
  readonly registers?: Uint8Array;
  /** Names of registers in `registers` whose value is not known (zero there): a uprobe does not see `fs_base`. */
  readonly unknownRegisters: readonly string[];
  /** How consistent registers and stack are with each other. */
  readonly provenance: Provenance;
  /** NT_FPREGSET (512 bytes), where the engine can have it. */
  readonly fpRegisters?: Uint8Array;
  /** NT_X86_XSTATE, passed through. */
  readonly xstate?: Uint8Array;
  /** How long it stood still, where the engine stops threads. */
  readonly stoppedNs?: number;
  readonly absent?: { readonly reason: AbsentReason; readonly detail: string };
}

export interface CapturedRange {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly provenance: Provenance;
  /** For `after-hit`: how long after. */
  readonly delayUs?: number;
  /** What it is: a plan's path, `stack of 1234`, `link map`. */
  readonly path: string;
}

export interface MissingRange {
  readonly path: string;
  readonly address?: bigint;
  readonly length?: number;
  readonly reason: AbsentReason;
  readonly detail: string;
}

export interface CaptureCost {
  readonly hits: number;
  readonly conditionFalse: number;
  /** Hits that were wanted but lost, for want of room. */
  readonly dropped: number;
  /** Reads that failed, in conditions and ranges. */
  readonly faults: number;
  readonly bytes: number;
  /** How long threads of the target stood still; 0 where nothing is stopped. */
  readonly stoppedNs: number;
}

export interface Capture {
  readonly engine: EngineName;
  readonly pid: number;
  /** The thread that hit; for "now" the main thread. */
  readonly tid: number;
  /** Nanoseconds since the epoch. */
  readonly timeNs: bigint;
  /** Index into the plan's sites; undefined for "now". */
  readonly site?: number;
  readonly threads: readonly CapturedThread[];
  readonly ranges: readonly CapturedRange[];
  readonly missing: readonly MissingRange[];
  readonly cost: CaptureCost;
  /** Of a plan with timing: since the function was entered; null where its entry was not seen. */
  readonly durationNs?: bigint | null;
  /** Of a watch. */
  readonly written?: WrittenMemory;
}

/** What was written, as far as bytes go. */
export interface WrittenMemory {
  readonly expression: string;
  readonly address: bigint;
  readonly bytes: number;
  /** As it was when it was last looked at: when the watch was armed, or at the last write that was seen. */
  readonly before: bigint;
  readonly after: bigint;
}

/** A line of /proc/PID/maps. */
export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
  readonly fileOffset: number;
  /** `rwxp` as written. */
  readonly permissions: string;
  readonly inode: number;
  /** `8:1`. */
  readonly device: string;
  /** Empty for anonymous memory; `[stack]`, `[vdso]`; ` (deleted)` is cut off and kept in `deleted`. */
  readonly path: string;
  readonly deleted: boolean;
}

/** A file that is mapped with code. */
export interface LoadedModule {
  readonly path: string;
  /** Lower-case hex; empty when the file has none or could not be read. */
  readonly buildId: string;
  readonly start: bigint;
  readonly end: bigint;
  /** Runtime address minus link address. */
  readonly bias: bigint;
  readonly deleted: boolean;
}

/** What is true of a process as a whole, read once and again when its mappings change. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parentPid: number;
  readonly uid: number;
  readonly gid: number;
  readonly comm: string;
  readonly args: string;
  /** The bytes of /proc/PID/auxv. */
  readonly auxv: Uint8Array;
  readonly mappings: readonly Mapping[];
  readonly modules: readonly LoadedModule[];
  /** The dynamic section, `r_debug`, the link map and its names, so that debuggers find the libraries; the vdso. */
  readonly ranges: readonly CapturedRange[];
}
