/** How a value was reached, as the C expression that names it: `order->items[3].price`. For hints that can be pasted back. */
export interface ValuePath {
  /** The expression; of a pointer's target, the expression of the pointer. */
  readonly text: string;
  /** True for a pointer's target: `->` comes next, and not `.`. */
  readonly isTarget: boolean;
}

const postfix = /^[\w$:]+(?:(?:\.|->)[\w$]+|\[\w*\])*$/;

export function rootPath(expression: string): ValuePath {
  return { text: expression, isTarget: false };
}

export function memberOf(path: ValuePath, name: string): ValuePath {
  return { text: `${operand(path.text)}${path.isTarget ? '->' : '.'}${name}`, isTarget: false };
}

export function elementOf(path: ValuePath, index: number): ValuePath {
  return {
    text: `${path.isTarget ? `(*${operand(path.text)})` : operand(path.text)}[${index}]`,
    isTarget: false,
  };
}

export function targetOf(path: ValuePath): ValuePath {
  return { text: pathText(path), isTarget: true };
}

/** The expression of the value itself. */
export function pathText(path: ValuePath): string {
  return path.isTarget ? `*${operand(path.text)}` : path.text;
}

/** What to give `--capture` so that this value comes along: for a pointer's target the pointer, for capturing follows it. */
export function captureText(path: ValuePath): string {
  return path.text;
}

function operand(text: string): string {
  return postfix.test(text) ? text : `(${text})`;
}
