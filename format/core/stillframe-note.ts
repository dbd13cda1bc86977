/**
 * The note of our own in a snapshot's core: owner `STILLFRAME`, JSON in UTF-8. It says what a core cannot: the point, the
 * time, where each range came from and how trustworthy it is, what was asked for and could not be read.
 * A core may come from anybody, so the note is validated before it is believed.
 */
import { z } from 'zod';
import { absentReasons, type AbsentReason } from '../absent.js';
import { decodeUtf8 } from '../bytes.js';
import { engineNames, type CaptureCost, type EngineName, type WrittenMemory } from '../capture.js';
import { badData } from '../error.js';
import { provenances, type Provenance } from '../memory.js';

export const stillframeNoteOwner = 'STILLFRAME';
/** NB: not a small number. Delve looks at types alone, and would take a note of type 1 for one more thread. */
export const stillframeNoteType = 0x5346_0001;
/** Of cores that were written before. */
export const formerNoteType = 1;

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
  /** Of a point that times functions: since the entry, or null where that was not seen. */
  readonly durationNs?: bigint | null;
  /** Of a watch: the program counter is behind the instruction that wrote. */
  readonly written?: WrittenMemory;
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

const maxItems = 100_000;
const text = z.string().max(65_536);
const count = z.number().int().nonnegative();
const address = z
  .string()
  .regex(/^0x[0-9a-f]{1,16}$/)
  .transform((digits) => BigInt(digits));
const reason = z.enum(absentReasons);
const provenance = z.enum(provenances);

const schema: z.ZodType<StillframeNote> = z.object({
  version: z.literal(1),
  snapshot: text,
  point: text,
  host: text,
  engine: z.enum(engineNames),
  timeNs: z
    .string()
    .regex(/^\d{1,20}$/)
    .transform((digits) => BigInt(digits)),
  pid: count,
  tid: count,
  comm: text,
  buildId: z.string().regex(/^([0-9a-f]{2}){0,64}$/),
  modulePath: text,
  location: z
    .object({ function: text, file: text.exactOptional(), line: count.exactOptional(), address })
    .exactOptional(),
  request: z.object({
    location: text,
    condition: text.exactOptional(),
    captures: z.array(text).max(maxItems),
  }),
  ranges: z
    .array(
      z.object({
        address,
        length: count,
        provenance,
        delayUs: z.number().nonnegative().exactOptional(),
        path: text,
      }),
    )
    .max(maxItems),
  missing: z
    .array(
      z.object({
        path: text,
        address: address.exactOptional(),
        length: count.exactOptional(),
        reason,
        detail: text,
      }),
    )
    .max(maxItems),
  threads: z
    .array(
      z.object({
        tid: count,
        comm: text,
        state: text,
        provenance,
        unknownRegisters: z.array(text).max(64),
        absent: z.object({ reason, detail: text }).exactOptional(),
      }),
    )
    .max(maxItems),
  modules: z
    .array(
      z.object({
        path: text,
        buildId: text,
        start: address,
        end: address,
        bias: address,
        deleted: z.boolean(),
      }),
    )
    .max(maxItems),
  cost: z.object({
    hits: count,
    conditionFalse: count,
    dropped: count,
    faults: count,
    bytes: count,
    stoppedNs: z.number().nonnegative(),
  }),
  durationNs: z
    .string()
    .regex(/^\d{1,19}$/)
    .transform((digits) => BigInt(digits))
    .nullable()
    .exactOptional(),
  written: z
    .object({ expression: text, address, bytes: count.max(8), before: address, after: address })
    .exactOptional(),
});

/** JSON in UTF-8; addresses as hex strings, the time in decimal, for a number of JSON holds 53 bits. */
export function encodeStillframeNote(note: StillframeNote): Uint8Array {
  const json = JSON.stringify(note, (key, value: unknown) => {
    if (typeof value !== 'bigint') return value;
    return key === 'timeNs' || key === 'durationNs'
      ? value.toString()
      : `0x${BigInt.asUintN(64, value).toString(16)}`;
  });
  return new TextEncoder().encode(json);
}

/** Throws `bad-data` naming the first field that is wrong. */
export function parseStillframeNote(description: Uint8Array, name: string): StillframeNote {
  let json: unknown;
  try {
    json = JSON.parse(decodeUtf8(description));
  } catch (error) {
    throw badData(`cannot parse the STILLFRAME note of "${name}": it is not JSON`, { cause: error });
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join('.') ?? '';
  throw badData(
    `cannot parse the STILLFRAME note of "${name}": ${where}: ${issue?.message ?? 'it is malformed'}`,
  );
}
