/**
 * Regular expressions come from controllers, and what they are matched with comes from whoever made the text: matching takes time that is linear in the text, and the
 * expression's size is bounded. RE2, never the RegExp of the language.
 */
import { RE2JS } from 're2js';

/** Whether a text has a match somewhere. */
export interface RegularExpression {
  test(text: string): boolean;
  /** Gives back what it has kept of texts that it was matched with: states that it has been in. */
  reset(): unknown;
  /** Instructions of the compiled expression: the time for a text is at most proportional to them. */
  programSize(): number;
}

const maxCharacters = 1024;
const maxProgramSize = 1000;

export const regularExpressionHint =
  "patterns are written in RE2's syntax: no look-around, no back-references";

/** Gives the reason where it cannot be used. `dotAll`: a dot is any character, a newline too. */
export function compileRegularExpression(
  source: string,
  { dotAll = false }: { readonly dotAll?: boolean } = {},
): RegularExpression | { readonly invalid: string } {
  if (source.length > maxCharacters) {
    return { invalid: `it has ${source.length} characters, ${maxCharacters} are the most` };
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source, dotAll ? RE2JS.DOTALL : 0);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // With the flag it says the expression as it would be written with it.
    return {
      invalid: text.replace(/^error parsing regexp: /, '').replace('`(?s)', '`'),
    };
  }
  const size = compiled.programSize();
  if (size <= maxProgramSize) return compiled;
  return { invalid: `it is too large: ${size} instructions, ${maxProgramSize} are the most` };
}
