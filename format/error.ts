/**
 * The one error class of Stillframe. An operation that cannot go on throws it; a value that cannot be
 * shown is not an error but an {@link ./absent.ts Absent}.
 *
 * Wording: lower case, no final period, action first, chained by `: `. It says where (file, section, offset);
 * user text in double quotes, addresses in hex, counts in decimal. The remedy goes in the hint.
 */
export const errorCodes = [
  /** A bug of ours. */
  'internal',
  /** The command line, or a request, does not make sense. */
  'usage',
  /** Target, location, snapshot or point is not there; candidates may be listed. */
  'not-found',
  /** More than one thing fits; candidates are listed. */
  'ambiguous',
  /** A point expired, or a wait ran out, without a hit. */
  'expired',
  /** A capability, sysctl or policy forbids it; it is named. */
  'denied',
  /** Foreign bytes (ELF, DWARF, core, plan, message) are malformed or truncated. */
  'bad-data',
  /** An expression does not parse, or has a type error; `position` points into its text. */
  'bad-expression',
  /** Build ids differ: the binary is not the one whose debug information was read. */
  'mismatch',
  /** The expression or plan is well formed, but this engine, kernel or version cannot do it. */
  'unsupported',
  /** A limit of ours was reached; the limit is named. */
  'limit',
  /** The target process exited, or executed another program. */
  'target-gone',
  /** The agent or the controller cannot be reached. */
  'unreachable',
  /** A system call failed; `errno` is in the detail. */
  'system',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** Typed facts about an error, for programs; the message says the same for people. */
export interface ErrorDetail {
  readonly address?: bigint;
  readonly offset?: number;
  readonly section?: string;
  readonly file?: string;
  readonly errno?: number;
  /** The symbolic name of errno, `EPERM`. */
  readonly errnoName?: string;
  readonly syscall?: string;
  readonly pid?: number;
  /** Index of the first wrong character of an expression's text. */
  readonly position?: number;
  /** The length of the wrong part of an expression's text. */
  readonly length?: number;
}

export interface ErrorOptions {
  readonly detail?: ErrorDetail;
  /** What the reader can do about it. */
  readonly hint?: string;
  /** What fits, or nearly fits: names, lines, processes. */
  readonly candidates?: readonly string[];
  readonly cause?: unknown;
}

export class StillframeError extends Error {
  override readonly name = 'StillframeError';
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;
  readonly hint: string | undefined;
  readonly candidates: readonly string[];

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
    this.hint = options.hint;
    this.candidates = options.candidates ?? [];
  }
}

/** A `bad-data` error: what could not be parsed, where, and why. */
export function badData(message: string, options?: ErrorOptions): StillframeError {
  return new StillframeError('bad-data', message, options);
}

/** Puts an action in front of an error's message, keeping code, detail, hint and candidates. */
export function withContext(action: string, error: unknown): StillframeError {
  if (error instanceof StillframeError) {
    return new StillframeError(error.code, `${action}: ${error.message}`, {
      detail: error.detail,
      candidates: error.candidates,
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
  const text = error instanceof Error ? error.message : String(error);
  return new StillframeError('internal', `${action}: ${text}`, { cause: error });
}

/** The error that a thrown value is; anything foreign becomes `internal`. */
export function toStillframeError(thrown: unknown): StillframeError {
  if (thrown instanceof StillframeError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new StillframeError('internal', text, { cause: thrown });
}
