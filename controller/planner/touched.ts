/** The objects that an expression reads on its way: they must be in the snapshot, or it cannot be evaluated there. */
import { childrenOf } from '../expression/children.js';
import { isObject, type Typed } from '../expression/typed.js';

/** Outermost first. An array that only becomes a pointer is not read. */
export function objectsRead(node: Typed): readonly Typed[] {
  const found: Typed[] = [];
  value(node, found);
  return found;
}

function value(node: Typed, found: Typed[]): void {
  if (isObject(node)) {
    found.push(node);
    return place(node, found);
  }
  if (node.kind === 'slice' || node.kind === 'address') return place(node, found);
  if (node.kind === 'bound') return place(node.object, found);
  for (const child of childrenOf(node)) value(child, found);
}

function place(node: Typed, found: Typed[]): void {
  if (node.kind === 'address') place(node.operand, found);
  else if (node.kind === 'dereference') value(node.pointer, found);
  else if (node.kind === 'member') place(node.object, found);
  else if (node.kind === 'element') {
    place(node.array, found);
    value(node.index, found);
  } else if (node.kind === 'slice') {
    value(node.pointer, found);
    value(node.count, found);
  } else if (node.kind === 'conditional') {
    value(node.condition, found);
    place(node.whenTrue, found);
    place(node.whenFalse, found);
  } else if (!isObject(node)) value(node, found);
}
