/** A value in few words, as it stands between the parentheses of `Some(3)`. */
import type { ValueDocument } from './value-document.js';

/** Longer ones, and what lies deeper, are `…`: the fields tell all of it. */
const maxCharacters = 120;
const maxNesting = 3;

export function briefText(document: ValueDocument, nesting = 0): string {
  const { kind, text, value, absent } = document;
  if (kind === 'string' || (kind === 'array' && text !== undefined)) {
    if (text !== undefined) return cut(JSON.stringify(text));
  } else if (kind === 'pointer') {
    if (value === '0x0') return 'NULL';
    const isString = text !== undefined && document.target?.kind === 'char';
    if (isString) return cut(JSON.stringify(text));
    if (value !== undefined) return value;
  } else if (text !== undefined) return cut(text);
  else if (value !== undefined) return value;
  if (document.fields !== undefined) return nesting > maxNesting ? '{…}' : fieldsText(document, nesting);
  if (document.length !== undefined && (absent === undefined || (document.elements?.length ?? 0) > 0)) {
    return `{size=${document.length}}`;
  }
  return absent === undefined ? '' : `<${absent.reason.replaceAll('-', ' ')}>`;
}

/** What an alternative of a variant is: `Some(3)`, `Circle{r=2}`, `None`. */
export function alternativeText(name: string, content: ValueDocument | undefined): string {
  if (content === undefined) return name;
  const text = briefText(content);
  if (text === '') return name;
  const isNamed = content.kind === 'struct' || content.kind === 'class';
  const own = content.type === name || content.type.endsWith(`::${name}`);
  return isNamed && own && content.text === undefined ? `${name}${text}` : `${name}(${text})`;
}

function fieldsText({ fields = [] }: ValueDocument, nesting: number): string {
  const isTuple = fields.length > 0 && fields.every(({ name }) => /^(__)?\d+$/.test(name));
  const parts = fields.map((field) => {
    const text = briefText(field, nesting + 1);
    return isTuple || field.name === '' ? text : `${field.name}=${text}`;
  });
  const [open, close] = isTuple ? ['(', ')'] : ['{', '}'];
  const whole = `${open}${parts.join(', ')}${close}`;
  return whole.length > maxCharacters ? `${open}…${close}` : whole;
}

function cut(text: string): string {
  return text.length <= maxCharacters
    ? text
    : `${text.slice(0, maxCharacters).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Whether the text of a pointer is facts of its own, such as `{use_count=2}`, and not the string or the function that it leads to. */
export function showsFacts({ kind, text, target, type }: ValueDocument): boolean {
  return (
    kind === 'pointer' &&
    text !== undefined &&
    target?.kind !== 'char' &&
    target?.kind !== 'function' &&
    !type.endsWith('*') &&
    /^\{\w+=.*\}$/.test(text)
  );
}
