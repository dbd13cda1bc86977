/**
 * The note of our own in a snapshot's core: owner `STILLFRAME`, type 1, JSON in UTF-8. It says what a core cannot: the point, the
 * time, where each range came from and how trustworthy it is, what was asked for and could not be read.
 * A core may come from anybody, so the note is validated before it is believed.
 */
import type { AbsentReason } from '../absent.js';
import type { CaptureCost, EngineName } from '../capture.js';
import type { Provenance } from '../memory.js';

export const stillframeNoteOwner = 'STILLFRAME';
export const stillframeNoteType = 1;

/** Addresses are hex strings in the JSON, bigint here. */
export interface StillframeNote {
  readonly version: 1;
  readonly snapshot: string;
  /** Empty for "now". */
  readonly point: string;
  readonly host: string;
  readonly engine: EngineName;
  readonly timeNs: bigint;
  readonly pid: number;
  /** The thread that hit. */
  readonly tid: number;
  readonly comm: string;
  /** Build id and path of the module that the point is in (for "now": of the executable). */
  readonly buildId: string;
  readonly modulePath: string;
  readonly location?: {
    readonly function: string;
    readonly file?: string;
    readonly line?: number;
    /** Runtime address. */
    readonly address: bigint;
  };
  readonly request: {
    readonly location: string;
    readonly condition?: string;
    readonly captures: readonly string[];
  };
  readonly ranges: readonly NoteRange[];
  readonly missing: readonly NoteMissing[];
  readonly threads: readonly NoteThread[];
  readonly modules: readonly {
    readonly path: string;
    readonly buildId: string;
    readonly start: bigint;
    readonly end: bigint;
    readonly bias: bigint;
    readonly deleted: boolean;
  }[];
  readonly cost: CaptureCost;
}

export interface NoteRange {
  readonly address: bigint;
  readonly length: number;
  readonly provenance: Provenance;
  readonly delayUs?: number;
  readonly path: string;
}

export interface NoteMissing {
  readonly path: string;
  readonly address?: bigint;
  readonly length?: number;
  readonly reason: AbsentReason;
  readonly detail: string;
}

export interface NoteThread {
  readonly tid: number;
  readonly comm: string;
  readonly state: string;
  readonly provenance: Provenance;
  readonly unknownRegisters: readonly string[];
  readonly absent?: { readonly reason: AbsentReason; readonly detail: string };
}
