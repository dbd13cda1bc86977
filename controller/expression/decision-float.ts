/** Floats of a decision: each node becomes a cell that the agent computes as the evaluator does. */
import type { CellIndex } from '../../format/decision/decision.js';
import { numericOf } from './c-types.js';
import type { DecisionCells } from './lower-decision.js';
import { WideFloat } from './wide-float.js';
import type { Typed } from './typed.js';

export class FloatCells {
  readonly #cells: DecisionCells;

  constructor(cells: DecisionCells) {
    this.#cells = cells;
  }

  float(node: Typed): CellIndex {
    const cells = this.#cells;
    const size = this.#sizeOf(node);
    switch (node.kind) {
      case 'constant': {
        const { value } = node;
        return cells.add({
          kind: 'constant',
          value: value instanceof WideFloat ? value.toNumber() : Number(value),
        });
      }
      case 'convert':
        return this.#convert(node, size);
      case 'unary':
        if (node.operator !== '-') return cells.refuse(node, `"${node.operator}" of floating values`);
        return cells.add({ kind: 'negate', operand: this.float(node.operand) });
      case 'arithmetic': {
        const { operator } = node;
        if (operator !== '+' && operator !== '-' && operator !== '*' && operator !== '/')
          return cells.refuse(node, `"${operator}" of floating values`);
        const [left, right] = [this.float(node.left), this.float(node.right)];
        return cells.add({ kind: 'arithmetic', operator, left, right, size });
      }
      case 'conditional': {
        const condition = cells.truth(node.condition);
        const [yes, no] = [this.float(node.whenTrue), this.float(node.whenFalse)];
        return cells.add({ kind: 'choose', condition, yes, no });
      }
      case 'guarded': {
        const value = this.float(node.operand);
        return cells.add({ kind: 'choose', condition: cells.guard(node), yes: value, no: value });
      }
      case 'let':
        return this.float(node.body);
      case 'variable':
      case 'dereference':
      case 'member':
      case 'element':
      case 'view-element':
      case 'view-lookup':
      case 'dynamic': {
        const bits = cells.program((lowerer) => lowerer.pushFloatBits(node, size));
        return cells.add({ kind: 'float', bits, size });
      }
      // None of these has a floating type.
      case 'address':
      case 'bound':
      case 'compare':
      case 'difference':
      case 'fact':
      case 'function':
      case 'logical':
      case 'not':
      case 'offset':
      case 'parts':
      case 'register':
      case 'shift':
      case 'slice':
      case 'string':
      case 'text':
      case 'texts':
      case 'view-count':
      case 'view-page':
        return cells.refuse(node, `${node.path} cannot be computed with in the agent`);
    }
  }

  #convert(node: Typed & { readonly kind: 'convert' }, size: 4 | 8): CellIndex {
    const cells = this.#cells;
    const from = numericOf(node.operand.type);
    if (from?.kind === 'float') {
      return cells.add({ kind: 'to-float', operand: this.float(node.operand), signed: true, size });
    }
    const operand = cells.value(node.operand);
    return cells.add({ kind: 'to-float', operand, signed: from?.signed === true, size });
  }

  #sizeOf(node: Typed): 4 | 8 {
    const numeric = numericOf(node.type);
    if (numeric?.kind === 'float' && numeric.format === 'float32') return 4;
    if (numeric?.kind === 'float' && numeric.format === 'float64') return 8;
    return this.#cells.refuse(
      node,
      'long double values are computed with neither in the kernel nor in the agent',
    );
  }
}
