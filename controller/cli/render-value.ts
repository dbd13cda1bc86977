/**
 * A value document as text: on one line where it fits, else as an indented tree, one field a line. What is absent says why in
 * angle brackets. Pure.
 */
import { showsFacts } from '../types/brief-text.js';
import { elementPath, heldPath, keyOf, memberOf, targetOf, type ValuePath } from '../types/path.js';
import type { AbsentDocument, ValueDocument, VariableDocument } from '../types/value-document.js';
import { clean, colors, grouped, quoted } from './style.js';

export interface ValueTextOptions {
  /** Columns that the text is indented by. */
  readonly indent: number;
  /** Columns to stay within where possible. */
  readonly width: number;
  /** Objects that were shown in full before, by type and address: they are not told again. */
  readonly shown?: Set<string>;
  /** The expression of the value, so that it can be said how to ask for elements that are not shown. */
  readonly path?: ValuePath;
}

const step = 2;
const maxDetail = 90;

/** `name = value`, with the type where it helps. The first line is not indented: the caller has written what stands before it. */
export function renderValueText(value: ValueDocument, options: ValueTextOptions): string {
  const line = inline(value, options.path);
  if (visibleLength(line) + options.indent <= options.width) return line;
  return tree(value, options);
}

/** Without line breaks, however long. */
export function inline(value: ValueDocument, path?: ValuePath): string {
  const held = heldValue(value);
  if (held !== undefined) return alternative(held, inline(held, path && heldPath(path, held.name)));
  const parts = head(value);
  const { fields, elements, target } = brief(value);
  if (fields !== undefined) parts.push(`{${fields.map((field) => inlineField(field, path)).join(', ')}}`);
  else if (elements !== undefined && !isText(value)) {
    const texts = elementTexts(value, path, (element, of) => entry(element, (part) => inline(part, of)));
    if (texts.length > 0 || value.absent === undefined) parts.push(bracketed(value, texts.join(', ')));
  } else if (target !== undefined && leadsOn(value)) {
    parts.push(`→ ${inline(target, path && targetOf(path))}`);
  }
  return parts.join(' ');
}

function inlineField(field: VariableDocument, path: ValuePath | undefined): string {
  return `${fieldName(field)} = ${inline(field, fieldPath(path, field))}`;
}

function tree(whole: ValueDocument, options: ValueTextOptions): string {
  const { path } = options;
  const held = heldValue(whole);
  if (held !== undefined) {
    return alternative(held, tree(held, at(options, path && heldPath(path, held.name))));
  }
  const parts = head(whole);
  const value = brief(whole);
  const inner: ValueTextOptions = { ...options, indent: options.indent + step };
  const pad = ' '.repeat(inner.indent);
  const close = ' '.repeat(options.indent);
  if (value.fields !== undefined) {
    const lines = value.fields.map((field) => {
      const name = `${fieldName(field)} = `;
      return `${pad}${name}${renderValueText(field, at(inner, fieldPath(path, field)))}`;
    });
    parts.push(`{\n${lines.join('\n')}\n${close}}`);
  } else if (value.elements !== undefined && !isText(value)) {
    const lines = elementTexts(value, path, (element, of) =>
      entry(element, (part) => renderValueText(part, at(inner, of))),
    ).map((text) => `${pad}${text}`);
    if (lines.length > 0 || value.absent === undefined) {
      parts.push(bracketed(value, `\n${lines.join('\n')}\n${close}`));
    }
  } else if (value.target !== undefined && leadsOn(value)) {
    const target = at(options, path && targetOf(path));
    parts.push(
      `→ ${toldBefore(value.target, options) ? colors.dim('{as above}') : tree(value.target, target)}`,
    );
  }
  return parts.join(' ');
}

function at(options: ValueTextOptions, path: ValuePath | undefined): ValueTextOptions {
  const { path: _, ...rest } = options;
  return path === undefined ? rest : { ...rest, path };
}

function fieldPath(path: ValuePath | undefined, field: VariableDocument): ValuePath | undefined {
  if (path === undefined || field.base === true || field.name === '') return path;
  return memberOf(path, field.name);
}

/** What a variant holds: it is shown in its place. */
function heldValue({ kind, fields, absent }: ValueDocument): VariableDocument | undefined {
  return kind === 'variant' && absent === undefined && fields?.length === 1 ? fields[0] : undefined;
}

/** `Some(3)`, `Circle {r = 2}`. */
function alternative(held: VariableDocument, text: string): string {
  const isBraced = held.fields !== undefined && held.kind !== 'variant' && held.text === undefined;
  const name = clean(held.name);
  if (text === '') return name;
  return isBraced && held.absent === undefined ? `${name} ${text}` : `${name}(${text})`;
}

function bracketed(value: ValueDocument, text: string): string {
  return value.kind === 'map' ? `{${text}}` : `[${text}]`;
}

/** An element, or `key: value` of a map. */
function entry(element: ValueDocument, render: (part: ValueDocument) => string): string {
  const [key, value, ...more] = element.type === 'pair' ? (element.fields ?? []) : [];
  if (key?.name !== 'key' || value?.name !== 'value' || more.length > 0) return render(element);
  return `${inline(key)}: ${render(value)}`;
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
    if (text !== undefined) parts.push(pointerText(value, text));
  } else if (isText(value)) {
    parts.push(colors.green(quoted(text ?? '')));
  } else if (text !== undefined) {
    parts.push(
      value.kind === 'char' ? `${colors.green(clean(text))} ${colors.dim(`(${value.value})`)}` : clean(text),
    );
  } else if (value.value !== undefined) {
    parts.push(clean(value.value));
  }
  if (value.absent !== undefined && !(value.kind === 'pointer' && text !== undefined && !showsFacts(value))) {
    parts.push(colors.yellow(absentText(value.absent)));
  }
  return parts;
}

function pointerText(value: ValueDocument, text: string): string {
  if (showsFacts(value)) return clean(text);
  return isFunctionPointer(value) ? `<${clean(text)}>` : colors.green(quoted(text));
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

/** Rust's `fn(i32)`, Go's `func()` and `context.CancelFunc`, which may have what they captured as their target. */
const functionType = /^(?:func\(|(?:unsafe )?(?:extern "[^"]*" )?fn\(|[\w./%-]+\.\w+$)/;

function isFunctionPointer({ target, type }: ValueDocument): boolean {
  return target?.kind === 'function' || type.includes('(*') || functionType.test(type);
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
function elementTexts(
  value: ValueDocument,
  path: ValuePath | undefined,
  render: (element: ValueDocument, path: ValuePath | undefined) => string,
): string[] {
  const elements = value.elements ?? [];
  const texts: string[] = [];
  for (let i = 0; i < elements.length;) {
    const element = elements[i];
    if (element === undefined) break;
    const text = render(element, path && elementPath(path, value, element, i));
    let next = i + 1;
    while (next < elements.length && sameBut(elements[next], element)) next += 1;
    texts.push(next - i > 2 ? `${text} ${colors.dim(`× ${next - i}`)}` : text);
    if (next - i === 2) texts.push(text);
    i = next;
  }
  const more = (value.length ?? elements.length) - elements.length;
  if (more > 0) texts.push(colors.dim(`… ${moreText(value, more, path)}`));
  return texts;
}

function moreText({ elements = [] }: ValueDocument, more: number, path: ValuePath | undefined): string {
  const from = elements.length;
  // What is not all there has its reason said, and asking again would not help.
  if (path === undefined || from === 0) return `${grouped(more)} more`;
  const next = clean(keyOf(path, `${from}:${from + Math.min(more, from)}`).text);
  return `${grouped(more)} more, ask for ${next}`;
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
