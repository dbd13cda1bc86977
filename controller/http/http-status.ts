/** The one map from error codes to HTTP statuses, and errors as this server writes them. */
import type { ErrorCode, StillframeError } from '../../format/error.js';

const statusOfCode: Readonly<Record<ErrorCode, number>> = {
  internal: 500,
  system: 500,
  usage: 400,
  'bad-data': 400,
  'bad-expression': 422,
  mismatch: 409,
  ambiguous: 409,
  'target-gone': 410,
  denied: 403,
  'not-found': 404,
  expired: 504,
  unsupported: 501,
  limit: 429,
  unreachable: 503,
};

export function httpStatusOf(code: ErrorCode): number {
  return statusOfCode[code];
}

export interface HttpError {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

export function httpErrorOf({ code, message, hint }: StillframeError): HttpError {
  return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}
