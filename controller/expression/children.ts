import type { LookupKey, Typed } from './typed.js';

/**
 * What a node is computed from, in the order in which that is computed; of what is only sometimes computed all that may be. A `let` has its body, which
 * refers to the object by `bound`.
 */
export function childrenOf(node: Typed): readonly Typed[] {
  switch (node.kind) {
    case 'constant':
    case 'string':
    case 'variable':
    case 'function':
    case 'register':
    case 'fact':
      return [];
    case 'dereference':
      return [node.pointer];
    case 'member':
    case 'bound':
    case 'dynamic':
      return [node.object];
    case 'element':
      return [node.array, node.index];
    case 'slice':
      return [node.pointer, node.count];
    case 'address':
    case 'convert':
    case 'unary':
    case 'not':
      return [node.operand];
    case 'arithmetic':
    case 'shift':
    case 'compare':
    case 'logical':
    case 'difference':
      return [node.left, node.right];
    case 'conditional':
      return [node.condition, node.whenTrue, node.whenFalse];
    case 'offset':
      return [node.pointer, node.index];
    case 'parts':
      return node.parts;
    case 'text':
      return [...given(node.length), node.subject];
    case 'texts':
      return [node.left, node.right].flatMap(({ length, subject }) => [length, subject]);
    case 'guarded':
      return [node.condition, node.operand];
    case 'let':
      return [node.body];
    case 'view-element':
      return [...given(node.index), node.object];
    case 'view-lookup':
    case 'view-count':
      return [node.object, ...keyOf(node.key)];
    case 'view-page':
      return [...given(node.from), ...given(node.to), node.object];
  }
}

function given(node: Typed | undefined): readonly Typed[] {
  return node === undefined ? [] : [node];
}

function keyOf(key: LookupKey | undefined): readonly Typed[] {
  return key?.kind === 'scalar' ? [key.value] : [];
}
