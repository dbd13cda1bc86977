import { StillframeError } from '../../format/error.js';

/** `bad-data: cannot parse ...`: code and whole message of the error that something throws; fails on any other outcome. */
export function thrown(action: () => unknown): string {
  let result: unknown;
  try {
    result = action();
  } catch (error) {
    if (error instanceof StillframeError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error(`nothing was thrown, the result is ${String(result)}`);
}

/** The same of what a promise is rejected with. */
export async function rejected(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StillframeError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('it was not rejected');
}
