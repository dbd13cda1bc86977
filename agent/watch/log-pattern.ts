/** Patterns of log lines come from controllers, and lines from whoever writes the log. */
import { StillframeError } from '../../format/error.js';
import {
  compileRegularExpression,
  type RegularExpression,
  regularExpressionHint,
} from '../../format/regular-expression.js';

/** Throws `bad-expression`. */
export function compileLogPattern(pattern: string): RegularExpression {
  const compiled = compileRegularExpression(pattern);
  if (!('invalid' in compiled)) return compiled;
  throw new StillframeError('bad-expression', `cannot use the pattern: ${compiled.invalid}`, {
    hint: regularExpressionHint,
  });
}
