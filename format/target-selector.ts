/**
 * TARGET of the command line: `1234`, `name:x`, `exe:path`, `unit:x`, `container:PREFIX`, `service:x`, each with an optional `@HOST`; and
 * `@HOST` alone, for all processes of a host.
 */
import { StillframeError } from './error.js';

export const selectorKinds = ['pid', 'name', 'exe', 'unit', 'container', 'service', 'any'] as const;
export type SelectorKind = (typeof selectorKinds)[number];

export interface Selector {
  readonly kind: SelectorKind;
  /** Empty for `any`. */
  readonly value: string;
  readonly host?: string;
}

export const selectorHint: string =
  'a target is a pid, name:NAME, exe:PATH, unit:UNIT, container:PREFIX or service:NAME, with an optional @HOST';

/** A name and a path with room to spare: a selector is compared with every process, again and again. */
const maxLength = 8192;

/** Throws `usage`. NB: only what follows the last `@` can be a host, and units such as `getty@tty1.service` hold one themselves. */
export function parseSelector(text: string): Selector {
  const fail = (problem: string): never => {
    const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
    throw new StillframeError('usage', `cannot parse target "${shown}": ${problem}`, { hint: selectorHint });
  };
  if (text.length > maxLength) return fail(`it is longer than ${maxLength} characters`);
  if (text.trim() === '') return fail('it is empty');
  const pid = /^([0-9]+)(?:@([^@]+))?$/.exec(text);
  if (pid !== null) return withHost({ kind: 'pid', value: String(Number(pid[1])) }, pid[2]);
  const host = /^@([^@]+)$/.exec(text)?.[1];
  if (host !== undefined) return { kind: 'any', value: '', host };
  const colon = text.indexOf(':');
  const kind = selectorKinds.find((candidate) => candidate === text.slice(0, colon));
  if (colon < 0 || kind === undefined || kind === 'pid' || kind === 'any') {
    return fail('it has no known kind');
  }
  const rest = text.slice(colon + 1);
  const at = rest.lastIndexOf('@');
  const isHost = at >= 0 && !(kind === 'unit' && /\.(service|scope)$/.test(rest));
  const value = isHost ? rest.slice(0, at) : rest;
  const named = isHost ? rest.slice(at + 1) : undefined;
  if (value === '' || named === '') return fail('a part of it is empty');
  return withHost({ kind, value }, named);
}

const withHost = (selector: Selector, host: string | undefined): Selector =>
  host === undefined ? selector : { ...selector, host };
