/**
 * Patterns come from controllers and lines from whoever writes the log, so matching takes time that is linear in the line, and the pattern's
 * size is bounded: RE2, never the RegExp of the language.
 */
import { RE2JS } from 're2js';
import { StillframeError } from '../../format/error.js';

const maxPatternCharacters = 1024;
/** Instructions of the compiled pattern: time for a line is at most proportional to them. */
const maxProgramSize = 1000;

/** Throws `bad-expression`. */
export function compileLogPattern(pattern: string): RE2JS {
  if (pattern.length > maxPatternCharacters) {
    throw badPattern(`it has ${pattern.length} characters, ${maxPatternCharacters} are the most`);
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw badPattern(text.replace(/^error parsing regexp: /, ''));
  }
  const size = compiled.programSize();
  if (size > maxProgramSize) {
    throw badPattern(`it is too large: ${size} instructions, ${maxProgramSize} are the most`);
  }
  return compiled;
}

const badPattern = (why: string): StillframeError =>
  new StillframeError('bad-expression', `cannot use the pattern: ${why}`, {
    hint: "patterns are written in RE2's syntax: no look-around, no back-references",
  });
