/**
 * Every bound on a loop or a buffer that foreign bytes drive. Reaching one is `absent: limit` where a value was
 * wanted, and a `limit` error where an operation cannot go on. Sizes in bytes, durations by their suffix.
 */
export interface Limits {
  /** Frames of one stack. */
  readonly maxFrames: number;
  /** Steps of one DWARF expression. */
  readonly maxExpressionSteps: number;
  /** Entries on the stack of a DWARF expression. */
  readonly maxExpressionStack: number;
  /** Nesting of DWARF expressions (entry values, calls). */
  readonly maxExpressionNesting: number;
  /** Nesting of DIEs, and of types within types. */
  readonly maxNesting: number;
  /** How deep pointers are followed when a value is shown or a default plan is made. */
  readonly maxDepth: number;
  /** Characters of a string that are captured and shown. */
  readonly maxStringBytes: number;
  /** Elements of an array that are shown. */
  readonly maxElements: number;
  /** Distinct ranges of one plan. */
  readonly maxRanges: number;
  /** Bytes of one hit, the stack window included: by default, and at most. */
  readonly defaultHitBytes: number;
  readonly maxHitBytes: number;
  /** Stack window: by default, and at most. */
  readonly defaultStackBytes: number;
  readonly maxStackBytes: number;
  /** Threads of one process, and modules of its link map. */
  readonly maxThreads: number;
  readonly maxModules: number;
  /** Groups that a metric tells apart: by default, and at most. */
  readonly defaultGroups: number;
  readonly maxGroups: number;
  /** Bytes of a string that tell groups apart: by default, and at most. */
  readonly defaultGroupBytes: number;
  readonly maxGroupBytes: number;
  /** Buckets of a linear histogram. */
  readonly maxBuckets: number;
  /** Cells (groups times buckets) of one metric. */
  readonly maxCells: number;
  /** Hits of one point: at most. */
  readonly maxHits: number;
  /** Lines a second of one log point. */
  readonly maxLogRate: number;
  /** How long a point lives: by default, at least and at most. */
  readonly defaultExpiryMs: number;
  readonly minExpiryMs: number;
  readonly maxExpiryMs: number;
  /** The longest stop of a target, where stopping is the only way; a longer one is refused or cut short. */
  readonly maxStopMs: number;
}

const kib = 1024;
const dayMs = 24 * 3600 * 1000;

export const defaultLimits: Limits = {
  maxFrames: 8192,
  maxExpressionSteps: 10_000,
  maxExpressionStack: 64,
  maxExpressionNesting: 8,
  maxNesting: 128,
  maxDepth: 3,
  maxStringBytes: kib,
  maxElements: 100,
  maxRanges: 1024,
  defaultHitBytes: 64 * kib,
  maxHitBytes: 512 * kib,
  defaultStackBytes: 16 * kib,
  maxStackBytes: 256 * kib,
  maxThreads: 32_768,
  maxModules: 4096,
  defaultGroups: 1000,
  maxGroups: 10_000,
  defaultGroupBytes: 64,
  maxGroupBytes: 128,
  maxBuckets: 1000,
  maxCells: 200_000,
  maxHits: 1000,
  maxLogRate: 1000,
  defaultExpiryMs: dayMs,
  minExpiryMs: 5 * 60 * 1000,
  maxExpiryMs: 30 * dayMs,
  maxStopMs: 10,
};
