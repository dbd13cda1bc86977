import type { ValueDocument } from './value-document.js';

/** How a value was reached, as the C expression that names it: `order->items[3].price`. For hints that can be pasted back. */
export interface ValuePath {
  /** The expression; of a pointer's target, the expression of the pointer. */
  readonly text: string;
  /** True for a pointer's target: `->` comes next, and not `.`. */
  readonly isTarget: boolean;
  /** Whether the text can take `.`, `->` and `[]` without parentheses. */
  readonly isPostfix: boolean;
}

const postfix = /^[\w$:]+(?:(?:\.|->)[\w$]+|\[[^[\]]*\])*$/;

export function rootPath(expression: string): ValuePath {
  return { text: expression, isTarget: false, isPostfix: postfix.test(expression) };
}

export function memberOf(path: ValuePath, name: string): ValuePath {
  return postfixPath(`${operand(path)}${path.isTarget ? '->' : '.'}${name}`);
}

export function elementOf(path: ValuePath, index: number): ValuePath {
  return postfixPath(`${path.isTarget ? `(*${operand(path)})` : operand(path)}[${index}]`);
}

/** All of the first elements: no expression, but what a person reads. */
export function elementsOf(path: ValuePath, count: number): ValuePath {
  return postfixPath(`${path.isTarget ? `(*${operand(path)})` : operand(path)}[0..${count - 1}]`);
}

/** The nodes of a list, from what the pointer leads to on: no expression, either. */
export function followingBy(pointer: ValuePath, member: string): ValuePath {
  return { text: `${memberOf(targetOf(pointer), member).text}...`, isTarget: true, isPostfix: true };
}

/** An element by what stands between the brackets: `m["key"]`. */
export function keyOf(path: ValuePath, key: string): ValuePath {
  return postfixPath(`${path.isTarget ? `(*${operand(path)})` : operand(path)}[${key}]`);
}

/** What a method of a value gives: `opt.value()`. */
export function methodOf(path: ValuePath, name: string): ValuePath {
  return postfixPath(`${operand(path)}${path.isTarget ? '->' : '.'}${name}()`);
}

/** What a variant holds: `shape.Circle`, and where it is called by its type `x.(std::string)`. */
export function heldPath(path: ValuePath, name: string): ValuePath {
  return memberOf(path, /^[A-Za-z_]\w*$/.test(name) ? name : `(${name})`);
}

/** The path of an element in a document: of a map's entry by its key, where that can be said. */
export function elementPath(
  path: ValuePath,
  { kind }: ValueDocument,
  element: ValueDocument,
  index: number,
): ValuePath {
  if (kind !== 'map') return elementOf(path, index);
  const key = element.fields?.[0];
  return key === undefined ? path : keyPath(path, key);
}

/** `m["key"]`, `m[3]`; for other keys the path of the map itself. */
export function keyPath(path: ValuePath, key: ValueDocument): ValuePath {
  if (key.absent !== undefined) return path;
  if (key.kind === 'string' && key.text !== undefined) return keyOf(path, JSON.stringify(key.text));
  if (key.kind === 'int' && key.value !== undefined) return keyOf(path, key.value);
  return path;
}

export function targetOf(path: ValuePath): ValuePath {
  return path.isTarget
    ? { text: pathText(path), isTarget: true, isPostfix: false }
    : { ...path, isTarget: true };
}

/** The expression of the value itself. */
export function pathText(path: ValuePath): string {
  return path.isTarget ? `*${operand(path)}` : path.text;
}

/** What to give `--capture` so that this value comes along: for a pointer's target the pointer, for capturing follows it. */
export function captureText(path: ValuePath): string {
  return path.text;
}

function postfixPath(text: string): ValuePath {
  return { text, isTarget: false, isPostfix: true };
}

function operand(path: ValuePath): string {
  return path.isPostfix ? path.text : `(${path.text})`;
}
