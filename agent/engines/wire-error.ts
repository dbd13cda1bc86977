import { type ErrorCode, type ErrorDetail, StillframeError, toStillframeError } from '../../format/error.js';

/** An error taken apart for a channel between threads or processes, which would lose its class. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: ErrorDetail;
  readonly hint?: string;
  readonly candidates: readonly string[];
  /** Where it came from, for errors that are bugs of ours. */
  readonly stack?: string;
}

export function toWireError(thrown: unknown): WireError {
  const error = toStillframeError(thrown);
  const origin = error.cause instanceof Error ? error.cause.stack : error.stack;
  return {
    code: error.code,
    message: error.message,
    detail: error.detail,
    candidates: error.candidates,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.code === 'internal' && origin !== undefined ? { stack: origin } : {}),
  };
}

export function fromWireError(wire: WireError): StillframeError {
  return new StillframeError(wire.code, wire.message, {
    detail: wire.detail,
    candidates: wire.candidates,
    ...(wire.hint === undefined ? {} : { hint: wire.hint }),
    ...(wire.stack === undefined ? {} : { cause: wire.stack }),
  });
}
