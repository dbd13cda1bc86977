/** The text of a log line: `order {order->id} of {flags:x}`. `{{` and `}}` are braces; a letter after a last colon is a format, as gdb's /x. Pure. */
import { StillframeError } from '../../format/error.js';
import { briefText } from '../types/brief-text.js';
import { type Format, isFormat } from '../types/format.js';
import type { ValueDocument } from '../types/value-document.js';

export type TemplatePart =
  { readonly text: string } | { readonly expression: string; readonly format: Format | undefined };

const maxTemplateLength = 4096;
const maxExpressions = 32;

/** Throws `usage`. */
export function parseTemplate(template: string): readonly TemplatePart[] {
  if (template.length > maxTemplateLength) {
    throw new StillframeError('usage', `the text of a log line has at most ${maxTemplateLength} characters`);
  }
  const parts: TemplatePart[] = [];
  let text = '';
  for (let at = 0; at < template.length; at++) {
    const character = template[at] ?? '';
    if ((character === '{' || character === '}') && template[at + 1] === character) {
      text += character;
      at++;
    } else if (character === '{') {
      const end = endOf(template, at + 1);
      if (text !== '') parts.push({ text });
      text = '';
      parts.push(expressionPart(template.slice(at + 1, end)));
      at = end;
    } else if (character === '}') {
      throw new StillframeError('usage', `a } without a { in "${template}"`, {
        hint: 'write }} for a brace',
      });
    } else text += character;
  }
  if (text !== '') parts.push({ text });
  if (parts.filter((part) => 'expression' in part).length > maxExpressions) {
    throw new StillframeError('usage', `a log line has at most ${maxExpressions} expressions`);
  }
  return parts;
}

/** Where the expression ends: quotes are passed over, and braces in pairs. */
function endOf(template: string, from: number): number {
  let depth = 0;
  let quote = '';
  for (let at = from; at < template.length; at++) {
    const character = template[at] ?? '';
    if (quote !== '') {
      if (character === '\\') at++;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '{') depth++;
    else if (character === '}' && depth-- === 0) return at;
  }
  throw new StillframeError('usage', `a { without a } in "${template}"`, { hint: 'write {{ for a brace' });
}

function expressionPart(text: string): TemplatePart {
  const letter = /[^:]:([a-z])$/.exec(text)?.[1];
  // `a ? b :c` has a colon of its own.
  const format = letter !== undefined && isFormat(letter) && !text.includes('?') ? letter : undefined;
  const expression = (format === undefined ? text : text.slice(0, -2)).trim();
  if (expression === '') throw new StillframeError('usage', 'a {} without an expression in a log line');
  return { expression, format };
}

/** A string as it is, anything else in few words; what is absent says why. */
export function lineText(value: ValueDocument): string {
  const { kind, text, absent, target } = value;
  const isString =
    kind === 'string' ||
    kind === 'array' ||
    (kind === 'pointer' && value.value !== '0x0' && target?.kind === 'char');
  if (isString && text !== undefined) return absent === undefined ? text : `${text}<${absent.detail}>`;
  if (absent !== undefined && text === undefined && value.value === undefined) return `<${absent.detail}>`;
  return briefText(value);
}
