/**
 * A value that cannot be shown is data: absent, with a reason. A false value is worse than none, so every
 * reader returns `T | Absent`, and none returns zeros past the end.
 */
export const absentReasons = [
  'optimized-out',
  'not-captured',
  'unreadable',
  'limit',
  'redacted',
  'not-in-scope',
  'no-debug-info',
  'unwind-failed',
  'unsupported',
] as const;

export type AbsentReason = (typeof absentReasons)[number];

export interface Absent {
  readonly absent: AbsentReason;
  /** One sentence fragment for a person, lower case, no final period. */
  readonly detail: string;
  /** The first address that is missing, where there is one. */
  readonly address?: bigint;
  /** How many bytes are wanted from `address`. */
  readonly length?: number;
  /** What would bring the value, for example a `--capture` flag. */
  readonly hint?: string;
}

export interface AbsentOptions {
  readonly address?: bigint;
  readonly length?: number;
  readonly hint?: string;
}

export function absent(reason: AbsentReason, detail: string, options: AbsentOptions = {}): Absent {
  return { absent: reason, detail, ...options };
}

/** Whether a result is an {@link Absent} and not the thing wanted. */
export function isAbsent(result: unknown): result is Absent {
  return (
    typeof result === 'object' &&
    result !== null &&
    'absent' in result &&
    typeof result.absent === 'string' &&
    'detail' in result &&
    typeof result.detail === 'string'
  );
}
