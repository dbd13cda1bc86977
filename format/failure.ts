/** An error as it travels: plain fields that fit the `Failure` message, both ways. What comes in is foreign and checked. */
import { hex } from './address.js';
import { errorCodes, StillframeError, type ErrorDetail } from './error.js';

type Optional<T> = T | null | undefined;

export interface FailureFields {
  readonly code?: Optional<string>;
  readonly message?: Optional<string>;
  readonly hint?: Optional<string>;
  readonly candidates?: Optional<readonly string[]>;
  readonly detail?: Optional<FailureDetailFields>;
}

interface FailureDetailFields {
  readonly address?: Optional<string>;
  readonly offset?: Optional<number>;
  readonly section?: Optional<string>;
  readonly file?: Optional<string>;
  readonly errno?: Optional<number>;
  readonly errnoName?: Optional<string>;
  readonly syscall?: Optional<string>;
  readonly pid?: Optional<number>;
  readonly position?: Optional<number>;
  readonly length?: Optional<number>;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly candidates: string[];
  readonly detail: Omit<ErrorDetail, 'address'> & { readonly address?: string };
}

export function failureOf(error: StillframeError): Failure {
  const { address, ...rest } = error.detail;
  return {
    code: error.code,
    message: error.message,
    hint: error.hint ?? '',
    candidates: [...error.candidates],
    detail: { ...rest, ...(address === undefined ? {} : { address: hex(address) }) },
  };
}

export function errorOf(failure: FailureFields): StillframeError {
  const code = errorCodes.find((known) => known === failure.code) ?? 'internal';
  const { address, ...rest } = failure.detail ?? {};
  const detail = Object.fromEntries(
    Object.entries(rest).filter(([, value]) => value !== null && value !== undefined),
  ) as ErrorDetail;
  const known = typeof address === 'string' && /^0x[0-9a-f]{1,16}$/.test(address);
  return new StillframeError(code, failure.message ?? '', {
    detail: known ? { ...detail, address: BigInt(address) } : detail,
    candidates: [...(failure.candidates ?? [])],
    ...(failure.hint ? { hint: failure.hint } : {}),
  });
}
