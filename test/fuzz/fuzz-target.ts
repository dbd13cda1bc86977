/** A parser of foreign bytes as a fuzzer sees it: any input gives a value or an error that says that the input is bad. */
import { StillframeError, type ErrorCode } from '../../format/error.js';

export interface FuzzTarget {
  readonly name: string;
  /** Inputs that are good. */
  readonly seeds: () => readonly Uint8Array[];
  /** Throws what the parser throws. */
  readonly run: (bytes: Uint8Array) => unknown;
  /** Codes of errors that say that the input is bad: `bad-data` and `limit` unless told. */
  readonly codes?: readonly ErrorCode[];
  readonly hotBytes?: number;
}

const usualCodes: readonly ErrorCode[] = ['bad-data', 'limit'];

/** An allocation that no input of a fuzzer's size can justify. */
export class HugeAllocation extends Error {
  override readonly name = 'HugeAllocation';
}

/** Runs a target on bytes; gives what it threw that it may not throw. */
export function findingOf(target: FuzzTarget, bytes: Uint8Array): Error | undefined {
  try {
    ask(() => target.run(bytes), target.codes ?? usualCodes);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** One question of several: bad data is an answer. */
export function ask(question: () => unknown, codes: readonly ErrorCode[] = usualCodes): void {
  try {
    question();
  } catch (error) {
    if (!(error instanceof StillframeError) || !codes.includes(error.code)) throw error;
  }
}

/** Makes allocations beyond a bound throw, in this thread, until disposed. */
export function guardAllocations(maxBytes: number): Disposable {
  const scope = globalThis as { Uint8Array: typeof Uint8Array; Float64Array: typeof Float64Array };
  const plain = { Uint8Array: scope.Uint8Array, Float64Array: scope.Float64Array };
  const guarded = <T extends typeof Uint8Array | typeof Float64Array>(type: T): T =>
    new Proxy(type, {
      construct(target, args: unknown[], made) {
        const [length] = args;
        if (typeof length === 'number' && length * target.BYTES_PER_ELEMENT > maxBytes)
          throw new HugeAllocation(`${length} elements of ${target.name}`);
        return Reflect.construct(target, args, made) as object;
      },
    });
  scope.Uint8Array = guarded(plain.Uint8Array);
  scope.Float64Array = guarded(plain.Float64Array);
  return {
    [Symbol.dispose]() {
      Object.assign(scope, plain);
    },
  };
}
