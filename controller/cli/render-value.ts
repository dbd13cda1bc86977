/**
 * A value document as text: on one line where it fits, else as an indented tree, one field a line. What is absent says why in
 * angle brackets. Pure.
 */
import type { AbsentDocument, ValueDocument, VariableDocument } from '../types/value-document.js';
import { clean, colors, quoted } from './style.js';

export interface ValueTextOptions {
  /** Columns that the text is indented by. */
  readonly indent: number;
  /** Columns to stay within where possible. */
  readonly width: number;
  /** Objects that were shown in full before, by type and address: they are not told again. */
  readonly shown?: Set<string>;
}

const step = 2;
const maxDetail = 90;

/** `name = value`, with the type where it helps. The first line is not indented: the caller has written what stands before it. */
export function renderValueText(value: ValueDocument, options: ValueTextOptions): string {
  const line = inline(value);
  if (visibleLength(line) + options.indent <= options.width) return line;
  return tree(value, options);
}

/** Without line breaks, however long. */
export function inline(value: ValueDocument): string {
  const parts = head(value);
  const { fields, elements, target } = brief(value);
  if (fields !== undefined) parts.push(`{${fields.map(inlineField).join(', ')}}`);
  else if (elements !== undefined && !isText(value))
    parts.push(`[${elementTexts(value, inline).join(', ')}]`);
  else if (target !== undefined && leadsOn(value)) parts.push(`→ ${inline(target)}`);
  return parts.join(' ');
}

function inlineField(field: VariableDocument): string {
  return `${fieldName(field)} = ${inline(field)}`;
}

function tree(whole: ValueDocument, options: ValueTextOptions): string {
  const parts = head(whole);
  const value = brief(whole);
  const inner: ValueTextOptions = { ...options, indent: options.indent + step };
  const pad = ' '.repeat(inner.indent);
  const close = ' '.repeat(options.indent);
  if (value.fields !== undefined) {
    const lines = value.fields.map((field) => {
      const name = `${fieldName(field)} = `;
      return `${pad}${name}${renderValueText(field, { ...inner, indent: inner.indent })}`;
    });
    parts.push(`{\n${lines.join('\n')}\n${close}}`);
  } else if (value.elements !== undefined && !isText(value)) {
    const lines = elementTexts(value, (element) => renderValueText(element, inner)).map(
      (text) => `${pad}${text}`,
    );
    parts.push(`[\n${lines.join('\n')}\n${close}]`);
  } else if (value.target !== undefined && leadsOn(value)) {
    parts.push(
      `→ ${toldBefore(value.target, options) ? colors.dim('{as above}') : tree(value.target, options)}`,
    );
  }
  return parts.join(' ');
}

const plainlyNotCaptured = /^\d+ bytes at 0x[0-9a-f]+ were not captured$/;

/** What is missing inside of a larger value is told shortly, or a struct that was not captured would fill the screen. */
function brief(value: ValueDocument): ValueDocument {
  const shorten = <T extends ValueDocument>(part: T): T =>
    part.absent !== undefined && plainlyNotCaptured.test(part.absent.detail)
      ? { ...part, absent: { ...part.absent, detail: '' } }
      : part;
  const { fields, elements, target } = value;
  return {
    ...value,
    ...(fields === undefined ? {} : { fields: fields.map(shorten) }),
    ...(elements === undefined ? {} : { elements: elements.map(shorten) }),
    ...(target === undefined ? {} : { target: shorten(target) }),
  };
}

function toldBefore(object: ValueDocument, { shown }: ValueTextOptions): boolean {
  if (shown === undefined || object.address === undefined || object.fields === undefined) return false;
  const key = `${object.type}@${object.address}`;
  if (shown.has(key)) return true;
  shown.add(key);
  return false;
}

/** What stands before the braces: the scalar, the text, why there is none. */
function head(value: ValueDocument): string[] {
  const parts: string[] = [];
  const { text } = value;
  if (value.kind === 'pointer') {
    if (value.value !== undefined) parts.push(colors.dim(value.value === '0x0' ? 'NULL' : value.value));
    if (text !== undefined)
      parts.push(isFunctionPointer(value) ? `<${clean(text)}>` : colors.green(quoted(text)));
  } else if (isText(value)) {
    parts.push(colors.green(quoted(text ?? '')));
  } else if (text !== undefined) {
    parts.push(
      value.kind === 'char' ? `${colors.green(clean(text))} ${colors.dim(`(${value.value})`)}` : clean(text),
    );
  } else if (value.value !== undefined) {
    parts.push(clean(value.value));
  }
  if (value.absent !== undefined && !(value.kind === 'pointer' && text !== undefined)) {
    parts.push(colors.yellow(absentText(value.absent)));
  }
  return parts;
}

/** `<optimized out: available at lines 62-68>`. */
export function absentText(missing: AbsentDocument, most: number = maxDetail): string {
  const reason = missing.reason.replaceAll('-', ' ');
  const said = clean(missing.detail);
  // Details often begin with the reason, for they are read alone in JSON.
  const detail = said.replace(/^optimi[sz]ed out(: | at 0x[0-9a-f]+; )?/, '');
  if (detail === '' || detail === reason) return `<${reason}>`;
  return `<${reason}: ${detail.length > most ? `${detail.slice(0, most)}…` : detail}>`;
}

function isText(value: ValueDocument): boolean {
  return value.text !== undefined && (value.kind === 'array' || value.kind === 'string');
}

function isFunctionPointer(value: ValueDocument): boolean {
  return value.target?.kind === 'function' || value.type.includes('(*');
}

/** A string's first character, a function's body: targets that say nothing more. */
function leadsOn(value: ValueDocument): boolean {
  const kind = value.target?.kind;
  return kind !== 'function' && kind !== 'void' && !(kind === 'char' && value.text !== undefined);
}

function fieldName(field: VariableDocument): string {
  const name = field.name === '' ? '<anonymous>' : field.name;
  return colors.cyan(clean(field.base === true ? `<${name}>` : name));
}

/** Runs of equal elements are told once, and what lies beyond the limit is counted. */
function elementTexts(value: ValueDocument, render: (element: ValueDocument) => string): string[] {
  const elements = value.elements ?? [];
  const texts: string[] = [];
  for (let i = 0; i < elements.length;) {
    const element = elements[i];
    if (element === undefined) break;
    const text = render(element);
    let next = i + 1;
    while (next < elements.length && sameBut(elements[next], element)) next += 1;
    texts.push(next - i > 2 ? `${text} ${colors.dim(`× ${next - i}`)}` : text);
    if (next - i === 2) texts.push(text);
    i = next;
  }
  const more = (value.length ?? elements.length) - elements.length;
  if (more > 0) texts.push(colors.dim(`… ${more} more`));
  return texts;
}

/** Equal but for where they are. */
function sameBut(a: ValueDocument | undefined, b: ValueDocument): boolean {
  return JSON.stringify(a, withoutAddress) === JSON.stringify(b, withoutAddress);
}

function withoutAddress(key: string, value: unknown): unknown {
  return key === 'address' ? undefined : value;
}

function visibleLength(text: string): number {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/\u001B\[[0-9;]*m/g, '').length;
}
