/**
 * The values of a frame taken apart: one leaf for each scalar, string and pointer, called by the expression that names it
 * (`order->customer->tier`), so that two snapshots can be compared value by value. Pure.
 */
import { briefText, showsFacts } from '../types/brief-text.js';
import {
  elementOf,
  heldPath,
  keyOf,
  memberOf,
  pathText,
  rootPath,
  targetOf,
  type ValuePath,
} from '../types/path.js';
import type { AbsentDocument, ValueDocument, VariableDocument } from '../types/value-document.js';
import type { CaptureDocument } from './document.js';

export interface Leaf {
  readonly name: string;
  /** As a person reads it; what is absent, in angle brackets with the reason. */
  readonly text: string;
  /** Equal values have equal ones. Undefined where the value, or the rest of it, is not known: nothing is equal to that. */
  readonly comparable: string | undefined;
  /** Of an expression that was asked for, and not of a local that came by itself. */
  readonly asked: boolean;
  /** How many members, elements and pointers away from the variable. */
  readonly depth: number;
  /** `address`: of something that is not shown. `set`: not NULL, and what it leads to is compared in its own leaves. */
  readonly kind: 'value' | 'null' | 'address' | 'set' | 'absent';
}

export interface Leaves {
  readonly byName: ReadonlyMap<string, Leaf>;
  /** What to say of a leaf that is not here. */
  readonly missing: string;
}

const maxLeaves = 500;
/** Values looked at for that. */
const maxNodes = 20_000;
const maxTextCharacters = 256;

/** Shallow ones first, so that one deep variable leaves room for the others; captures before locals of the same name. */
export function leavesOf(
  locals: readonly VariableDocument[],
  captures: readonly CaptureDocument[] = [],
): Leaves {
  const byName = new Map<string, Leaf>();
  const queue: Node[] = [
    ...captures.map((value) => rootOf(value, value.expression, '', true)),
    ...locals.map((value, i) => rootOf(value, value.name, shadowMark(locals, i), false)),
  ];
  let looked = 0;
  while (looked < queue.length) {
    const node = queue[looked++];
    if (node === undefined || looked > maxNodes || byName.size >= maxLeaves) {
      return { byName, missing: `<limit: more than ${byName.size} values>` };
    }
    const leaf = leafOf(node);
    if (leaf !== undefined) {
      const known = byName.get(leaf.name);
      if (known === undefined || (known.comparable === undefined && leaf.comparable !== undefined)) {
        byName.set(leaf.name, leaf);
      }
    }
    queue.push(...childrenOf(node));
  }
  return { byName, missing: '<none>' };
}

interface Node {
  readonly value: ValueDocument;
  readonly path: ValuePath;
  /** Behind the expression: a variable that another one hides has no expression of its own. */
  readonly mark: string;
  readonly asked: boolean;
  readonly depth: number;
}

function rootOf(value: ValueDocument, text: string, mark: string, asked: boolean): Node {
  return { value, path: rootPath(text), mark, asked, depth: 0 };
}

/** ` (shadowed)`, and with a number where it is hidden more than once. */
function shadowMark(locals: readonly VariableDocument[], index: number): string {
  const variable = locals[index];
  if (variable?.shadowed !== true) return '';
  const before = locals
    .slice(0, index)
    .filter((other) => other.shadowed === true && other.name === variable.name);
  return before.length === 0 ? ' (shadowed)' : ` (shadowed ${before.length + 1})`;
}

function childrenOf(node: Node): Node[] {
  const { value, path } = node;
  const child = (inner: ValueDocument, innerPath: ValuePath): Node => ({
    ...node,
    value: inner.provenance === undefined ? inheritProvenance(inner, value) : inner,
    path: innerPath,
    depth: node.depth + 1,
  });
  if (value.kind === 'variant') {
    // Its text tells a scalar already.
    const [held] = value.fields ?? [];
    const isTold = held === undefined || (held.fields ?? held.elements ?? held.target) === undefined;
    return isTold ? [] : [child(held, heldPath(path, held.name))];
  }
  if (value.fields !== undefined) {
    return value.fields.map((field) =>
      child(field, field.base === true || field.name === '' ? path : memberOf(path, field.name)),
    );
  }
  if (value.elements !== undefined && !isWholeText(value)) {
    if (value.kind === 'map') return value.elements.flatMap((element) => entryOf(element, path, child));
    return value.elements.map((element, i) => child(element, elementOf(path, i)));
  }
  if (value.target !== undefined && (value.text === undefined || showsFacts(value)) && !isNull(value)) {
    return [child(value.target, targetOf(path))];
  }
  return [];
}

/** Entries are compared by their keys: in what order a map has them says nothing. */
function entryOf(
  element: ValueDocument,
  path: ValuePath,
  child: (inner: ValueDocument, innerPath: ValuePath) => Node,
): Node[] {
  const [key, value] = element.fields ?? [];
  if (key === undefined || value === undefined || key.absent !== undefined) return [];
  return [child(value, keyOf(path, briefText(key)))];
}

function inheritProvenance(inner: ValueDocument, outer: ValueDocument): ValueDocument {
  return outer.provenance === undefined || inner.kind === 'void'
    ? inner
    : { ...inner, provenance: outer.provenance };
}

function leafOf({ value, path, mark, asked, depth }: Node): Leaf | undefined {
  const base = { name: `${pathText(path)}${mark}`, asked, depth };
  const { absent } = value;
  const shown = shownText(value);
  if (shown === undefined) {
    if (absent === undefined) return undefined;
    return { ...base, text: absentLeafText(absent), comparable: undefined, kind: 'absent' };
  }
  const text = `${cutText(shown)}${doubt(value)}`;
  if (absent !== undefined) {
    // A string that goes on, a pointer whose text could not be read: what is there is no more than a part.
    return { ...base, text: `${text} ${absentLeafText(absent)}`, comparable: undefined, kind: 'absent' };
  }
  if (value.kind === 'pointer' && value.text === undefined) {
    if (isNull(value)) return { ...base, text, comparable: shown, kind: 'null' };
    if (value.target === undefined) return { ...base, text, comparable: shown, kind: 'address' };
    return { ...base, text, comparable: 'set', kind: 'set' };
  }
  return { ...base, text, comparable: shown, kind: 'value' };
}

/** Undefined where the value has none of its own: a struct, an array, something absent. */
function shownText(value: ValueDocument): string | undefined {
  const { kind, text } = value;
  if (kind === 'pointer') {
    if (isNull(value)) return 'NULL';
    if (text === undefined || showsFacts(value)) return text ?? value.value;
    return value.target === undefined ? `<${text}>` : JSON.stringify(text);
  }
  if (isWholeText(value)) return JSON.stringify(text);
  if (kind === 'slice' || kind === 'map' || kind === 'variant') {
    return text ?? (value.length === undefined ? undefined : `length ${value.length}`);
  }
  if (value.fields !== undefined || value.elements !== undefined) return undefined;
  if (kind === 'char' && text !== undefined) return `${text} (${value.value})`;
  return text ?? value.value;
}

function isWholeText({ kind, text }: ValueDocument): boolean {
  return text !== undefined && (kind === 'string' || kind === 'array');
}

function isNull({ kind, value }: ValueDocument): boolean {
  return kind === 'pointer' && value === '0x0';
}

/** Values that were not read in the moment of the hit say so. */
function doubt({ provenance }: ValueDocument): string {
  return provenance === 'racy' || provenance === 'after-hit' ? ` [${provenance}]` : '';
}

export function absentLeafText({ reason, detail }: AbsentDocument): string {
  const why = reason.replaceAll('-', ' ');
  return detail === '' || detail === why ? `<${why}>` : cutText(`<${why}: ${detail}>`);
}

function cutText(text: string): string {
  return text.length <= maxTextCharacters
    ? text
    : `${text.slice(0, maxTextCharacters).replace(/[\uD800-\uDBFF]$/, '')}… (${text.length} characters)`;
}
