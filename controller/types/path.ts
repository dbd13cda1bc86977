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
