import { StillframeError } from '../../format/error.js';
import type { Span } from './ast.js';

export interface SyntaxErrorOptions {
  readonly hint?: string | undefined;
  readonly candidates?: readonly string[];
}

/** A `bad-expression` error that points at a part of the text. */
export function badExpression(
  message: string,
  span: Span,
  options: SyntaxErrorOptions = {},
): StillframeError {
  return new StillframeError('bad-expression', message, {
    detail: { position: span.start, length: Math.max(1, span.end - span.start) },
    ...(options.hint === undefined ? {} : { hint: options.hint }),
    ...(options.candidates === undefined ? {} : { candidates: options.candidates }),
  });
}
