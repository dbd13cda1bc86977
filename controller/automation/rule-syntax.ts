/** Texts of a rule that have a syntax of their own, checked before anything runs: targets, locations, expressions, patterns, addresses. */
import { RE2JS } from 're2js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { parseExpression } from '../expression/parser.js';
import { parseLocation } from '../planner/location.js';
import { splitLocation } from '../service/targets.js';

export interface SyntaxFault {
  readonly message: string;
  /** Index of the first wrong character, where it is known. */
  readonly position?: number;
}

/** TARGET of CLI.md. */
export function checkTarget(text: string): SyntaxFault | undefined {
  const match = /^(?:\d{1,10}|(?:name|exe|unit|container|service):[^\s]{1,256}?)(?:@[^\s@]{1,253})?$/.exec(
    text,
  );
  if (match !== null) return undefined;
  return {
    message:
      'is no target: a pid, name:NAME, exe:PATH, unit:UNIT, container:PREFIX or service:NAME, with an optional @HOST',
  };
}

export function checkLocation(text: string): SyntaxFault | undefined {
  try {
    parseLocation(splitLocation(text).location);
    return undefined;
  } catch (error) {
    return faultOf(error);
  }
}

/**
 * C cannot be parsed without knowing which names are types, and only the program knows. So a text is wrong here only if it is wrong
 * whatever its names are.
 */
export function checkExpression(text: string): SyntaxFault | undefined {
  let first: SyntaxFault | undefined;
  for (const isType of [(name: string) => looksLikeCast(text, name), () => false, () => true]) {
    try {
      parseExpression(text, { isType });
      return undefined;
    } catch (error) {
      first ??= faultOf(error);
    }
  }
  return first;
}

/** `(name *)`, or `(name)` before something that begins an operand and is no operator. */
function looksLikeCast(text: string, name: string): boolean {
  const word = name.replace(/[^A-Za-z0-9_:]/g, '');
  if (word === '') return false;
  return new RegExp(`\\b${word}\\s*(?:const\\s*)?(?:\\*[\\s*]*\\)|\\)\\s*[A-Za-z0-9_("'$])`).test(text);
}

/** RE2's syntax, as agents match it. */
export function checkPattern(text: string): SyntaxFault | undefined {
  try {
    RE2JS.compile(text);
    return undefined;
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replace(
      /^error parsing regexp: /,
      '',
    );
    return { message: `is no regular expression of RE2's syntax: ${reason}` };
  }
}

/** Of an HTTP server. */
export function checkUrl(text: string): SyntaxFault | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return { message: 'is no address of an HTTP server, such as http://127.0.0.1:9090' };
  }
  if (url.username !== '' || url.password !== '') {
    return { message: 'holds a password: secrets stand in files, named by token-file' };
  }
  if (url.hash !== '') return { message: 'has a #fragment, which no server gets to see' };
  return undefined;
}

function faultOf(thrown: unknown): SyntaxFault {
  const error = toStillframeError(thrown);
  if (!(thrown instanceof StillframeError)) throw thrown;
  const { position } = error.detail;
  const hint = error.hint === undefined ? '' : ` (${error.hint})`;
  return { message: `${error.message}${hint}`, ...(position === undefined ? {} : { position }) };
}
