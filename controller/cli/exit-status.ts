/** The one map from error codes to exit statuses, as CLI.md lists them. */
import type { ErrorCode } from '../../format/error.js';

export const exitStatus = {
  done: 0,
  internal: 1,
  usage: 2,
  notFound: 3,
  expired: 4,
  denied: 5,
  badInput: 6,
  unreachable: 7,
  /** 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const;

const statusOfCode: Readonly<Record<ErrorCode, number>> = {
  internal: exitStatus.internal,
  system: exitStatus.internal,
  usage: exitStatus.usage,
  'not-found': exitStatus.notFound,
  ambiguous: exitStatus.notFound,
  'target-gone': exitStatus.notFound,
  expired: exitStatus.expired,
  denied: exitStatus.denied,
  'bad-data': exitStatus.badInput,
  'bad-expression': exitStatus.badInput,
  mismatch: exitStatus.badInput,
  unsupported: exitStatus.badInput,
  limit: exitStatus.badInput,
  unreachable: exitStatus.unreachable,
};

export function exitStatusOf(code: ErrorCode): number {
  return statusOfCode[code];
}
