/**
 * The one map between error codes and gRPC status codes, both ways. The exact error travels in the trailer (as a `Failure`
 * message); the status is for whoever does not read it.
 */
import type { ErrorCode } from './error.js';

/** As https://grpc.io/docs/guides/status-codes/ numbers them. */
export const grpcStatus = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const statusOfCode: Readonly<Record<ErrorCode, number>> = {
  internal: grpcStatus.INTERNAL,
  usage: grpcStatus.INVALID_ARGUMENT,
  'not-found': grpcStatus.NOT_FOUND,
  ambiguous: grpcStatus.ALREADY_EXISTS,
  expired: grpcStatus.DEADLINE_EXCEEDED,
  denied: grpcStatus.PERMISSION_DENIED,
  'bad-data': grpcStatus.DATA_LOSS,
  'bad-expression': grpcStatus.OUT_OF_RANGE,
  mismatch: grpcStatus.FAILED_PRECONDITION,
  unsupported: grpcStatus.UNIMPLEMENTED,
  limit: grpcStatus.RESOURCE_EXHAUSTED,
  'target-gone': grpcStatus.ABORTED,
  unreachable: grpcStatus.UNAVAILABLE,
  system: grpcStatus.UNKNOWN,
};

const codeOfStatus: ReadonlyMap<number, ErrorCode> = new Map([
  ...Object.entries(statusOfCode).map(([code, status]): [number, ErrorCode] => [status, code as ErrorCode]),
  [grpcStatus.CANCELLED, 'unreachable'],
  [grpcStatus.UNAUTHENTICATED, 'denied'],
]);

export function grpcStatusOf(code: ErrorCode): number {
  return statusOfCode[code];
}

/** The code for a status that came without an error of ours. */
export function codeOfGrpcStatus(status: number): ErrorCode {
  return codeOfStatus.get(status) ?? 'internal';
}
