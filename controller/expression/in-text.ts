import { StillframeError } from '../../format/error.js';

/** Says of a bad expression which text it is in and where, for those who gave several. */
export function inText<T>(text: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof StillframeError) || error.detail.position === undefined) throw error;
    const { code, message, detail, hint, candidates } = error;
    const at = (detail.position ?? 0) + 1;
    throw new StillframeError(code, `cannot understand "${text}" at character ${at}: ${message}`, {
      detail,
      candidates,
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
