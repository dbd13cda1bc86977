/** Errors of calls: the exact StillframeError in the trailer, with a status for whoever does not read it. Both ways. */
import { Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { StillframeError, type ErrorCode } from '../../format/error.js';
import { errorOf, failureOf, type Failure } from '../../format/failure.js';
import { codeOfGrpcStatus, grpcStatus, grpcStatusOf } from '../../format/grpc-status.js';
import { decodeFailure, encodeFailure, failureTrailer } from '../../proto/service.js';

/** HTTP/2 peers refuse headers beyond 64 KiB, and base64 makes a third more of it. */
const maxTrailerBytes = 24 * 1024;
const maxMessageLength = 8 * 1024;
/** `details` is percent-encoded into a header of its own. */
const maxDetailsLength = 1024;

/** What a handler fails with. */
export function statusOf(error: StillframeError): StatusObject {
  const metadata = new Metadata();
  metadata.set(failureTrailer, encodeToFit(failureOf(error)));
  return { code: grpcStatusOf(error.code), details: error.message.slice(0, maxDetailsLength), metadata };
}

/** Candidates are left out from the end, and a message cut, where they would not travel. */
function encodeToFit(failure: Failure): Buffer {
  const message = failure.message.slice(0, maxMessageLength);
  const hint = failure.hint.slice(0, maxMessageLength / 4);
  let { candidates } = failure;
  for (;;) {
    const bytes = encodeFailure({ ...failure, message, hint, candidates });
    if (bytes.length <= maxTrailerBytes || candidates.length === 0) return bytes;
    candidates = candidates.slice(0, Math.floor(candidates.length / 2));
  }
}

/** The error that the controller threw; undefined where the call failed without a word of it. */
export function failureIn(error: ServiceError): StillframeError | undefined {
  const [bytes] = error.metadata?.get(failureTrailer) ?? [];
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    return errorOf(decodeFailure(bytes));
  } catch {
    // Not ours after all: the status says what there is to say.
    return undefined;
  }
}

/** Statuses that say something about the call, and not that the controller is away. */
const answered: ReadonlySet<number> = new Set([
  grpcStatus.INVALID_ARGUMENT,
  grpcStatus.PERMISSION_DENIED,
  grpcStatus.UNAUTHENTICATED,
  grpcStatus.RESOURCE_EXHAUSTED,
  grpcStatus.UNIMPLEMENTED,
]);

/** Whether the controller went away, or is not there yet: asking again may help. What it said itself is its last word. */
export function isLost(error: StillframeError): boolean {
  return error.code === 'unreachable' && error.cause !== undefined;
}

/** Whether it was never heard of: nobody listened. Otherwise what was asked for may be done. */
export function isUnheard({ cause }: StillframeError): boolean {
  const details = cause instanceof Error && 'details' in cause ? String(cause.details) : '';
  return !(cause instanceof Error) || details.startsWith('No connection established');
}

/** What a failed call means to whoever made it. */
export function errorOfCall(error: ServiceError, address: string): StillframeError {
  const said = failureIn(error);
  if (said !== undefined) return said;
  const { code, text, hint } = describe(error, address);
  return new StillframeError(code, text, { cause: error, ...(hint === undefined ? {} : { hint }) });
}

interface Description {
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint?: string;
}

function describe(error: ServiceError, address: string): Description {
  // "No connection established. Last error: connect ENOENT …. Resolution note: ": what is said last is the reason.
  const details = (error.details || error.message)
    .replace(/^.*Last error: (?:Error: )?/, '')
    .replace(/\. Resolution note: .*$/, '');
  const status: number = error.code;
  if (status === grpcStatus.UNIMPLEMENTED) {
    return {
      code: 'unsupported',
      text: `the controller at ${address} does not know this command: ${details}`,
      hint: 'it is older than this command line, or no stillframe controller listens there',
    };
  }
  if (answered.has(status)) {
    return { code: codeOfGrpcStatus(status), text: `the controller at ${address} refused: ${details}` };
  }
  return {
    code: 'unreachable',
    text: `cannot reach the controller at ${address}: ${details}`,
    hint: 'start one with `stillframe controller`, or leave out --controller and STILLFRAME_CONTROLLER',
  };
}
