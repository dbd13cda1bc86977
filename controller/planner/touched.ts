/** The objects that an expression reads on its way: they must be in the snapshot, or it cannot be evaluated there. */
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
    place(node, found);
    return;
  }
  switch (node.kind) {
    case 'slice':
    case 'address':
      place(node, found);
      return;
    case 'convert':
    case 'unary':
    case 'not':
      value(node.operand, found);
      return;
    case 'arithmetic':
    case 'shift':
    case 'compare':
    case 'logical':
    case 'difference':
      value(node.left, found);
      value(node.right, found);
      return;
    case 'offset':
      value(node.pointer, found);
      value(node.index, found);
      return;
    case 'conditional':
      value(node.condition, found);
      value(node.whenTrue, found);
      value(node.whenFalse, found);
      return;
    case 'parts':
      for (const part of node.parts) value(part, found);
      return;
    case 'text':
      if (node.length !== undefined) value(node.length, found);
      value(node.subject, found);
      return;
    case 'texts':
      for (const side of [node.left, node.right]) {
        value(side.length, found);
        value(side.subject, found);
      }
      return;
    case 'let':
      value(node.body, found);
      return;
    case 'bound':
      place(node.object, found);
      return;
    case 'guarded':
      value(node.condition, found);
      value(node.operand, found);
      return;
    case 'view-element':
    case 'view-lookup':
    case 'view-page':
    case 'view-count':
    case 'dynamic':
      value(node.object, found);
      return;
    case 'constant':
    case 'string':
    case 'function':
    case 'register':
    case 'fact':
      break;
  }
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
