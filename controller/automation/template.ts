/**
 * `{{ labels.NAME }}` and `{{ annotations.NAME }}` in the texts of a rule. Values come from whoever can raise an alert, so nothing is
 * filled in that the rule's `allow` does not name: in a target a value must fit an entry (`*` stands for any characters but `@`) and
 * a narrow character set; in a location or an expression only entries without `*` count, so that nothing ever stands there that the
 * rule's author did not write.
 */
import { starsOf } from './glob.js';

export type TemplatePart = string | Reference;

export interface Reference {
  readonly source: 'labels' | 'annotations';
  readonly name: string;
}

export interface TemplateFault {
  /** Index of the first wrong character. */
  readonly position: number;
  readonly message: string;
}

export interface Values {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export type Allowed = ReadonlyMap<string, readonly string[]>;

/** Where the text stands. */
export type Use = 'target' | 'expression';

const opening = '{{';
const reference = /^\{\{ {0,8}(labels|annotations)\.([A-Za-z_][A-Za-z0-9_]{0,127}) {0,8}\}\}/;
const targetCharacters = /^[A-Za-z0-9._:/@-]+$/;
const maxValueLength = 128;
const maxShown = 60;

export function parseTemplate(text: string): readonly TemplatePart[] | TemplateFault {
  const parts: TemplatePart[] = [];
  for (let at = 0; at < text.length;) {
    const start = text.indexOf(opening, at);
    if (start !== at) parts.push(text.slice(at, start < 0 ? undefined : start));
    if (start < 0) break;
    const match = reference.exec(text.slice(start));
    const [whole, source, name] = match ?? [];
    if (whole === undefined || name === undefined) {
      return { position: start, message: 'a template is {{ labels.NAME }} or {{ annotations.NAME }}' };
    }
    parts.push({ source: source === 'labels' ? 'labels' : 'annotations', name });
    at = start + whole.length;
  }
  return parts;
}

export function isFault(parsed: readonly TemplatePart[] | TemplateFault): parsed is TemplateFault {
  return !Array.isArray(parsed);
}

/** What stands in `allow` for it: labels by their name alone. */
export function allowKey({ source, name }: Reference): string {
  return source === 'labels' ? name : `annotations.${name}`;
}

/** An entry of `allow` without `*`. */
export const isExact = (entry: string): boolean => !entry.includes('*');

export type Filled = { readonly text: string } | { readonly refusal: string };

/** The text with its values, or why they may not stand in it. */
export function fillTemplate(text: string, use: Use, values: Values, allowed: Allowed): Filled {
  const parsed = parseTemplate(text);
  if (isFault(parsed)) return { refusal: parsed.message };
  let filled = '';
  for (const part of parsed) {
    if (typeof part === 'string') {
      filled += part;
      continue;
    }
    const value = valueOf(part, values);
    const refusal = refuse(part, value, use, allowed.get(allowKey(part)) ?? []);
    if (refusal !== undefined) return { refusal };
    filled += value ?? '';
  }
  return { text: filled };
}

export function references(text: string): readonly Reference[] {
  const parsed = parseTemplate(text);
  return isFault(parsed) ? [] : parsed.filter((part) => typeof part !== 'string');
}

function valueOf({ source, name }: Reference, values: Values): string | undefined {
  return Object.hasOwn(values[source], name) ? values[source][name] : undefined;
}

function refuse(
  part: Reference,
  value: string | undefined,
  use: Use,
  entries: readonly string[],
): string | undefined {
  const noun = `${part.source === 'labels' ? 'label' : 'annotation'} "${part.name}"`;
  if (value === undefined) return `there is no ${noun}`;
  if (value === '') return `${noun} is empty`;
  const shown = `${noun} is ${JSON.stringify(value.length > maxShown ? `${value.slice(0, maxShown)}…` : value)}`;
  if (use === 'expression') {
    return entries.some((entry) => isExact(entry) && entry === value)
      ? undefined
      : `${shown}, which no entry of allow spells out`;
  }
  if (value.length > maxValueLength) {
    return `${shown}: it has ${value.length} characters, at most ${maxValueLength} may stand in a target`;
  }
  if (!targetCharacters.test(value)) {
    return `${shown}: only letters, digits and . _ : / @ - may stand in a target`;
  }
  return entries.some((entry) => fits(entry, value)) ? undefined : `${shown}, which allow does not have`;
}

/** Whether a value fits an entry of `allow`. What follows an `@` is a host: no star gives that away unasked. */
function fits(entry: string, value: string): boolean {
  const stars = starsOf(entry, value);
  return stars !== undefined && !stars.includes('@');
}
