/** Which cells a cell uses. */
import { decodeExpression, type Operation } from '../dwarf-op/decode.js';
import { DW_OP } from '../dwarf-op/opcodes.js';
import { firstCellRegister } from '../dwarf-op/verify.js';
import { type Cell, type CellIndex, type Decision, type Elements, type FindCell } from './decision.js';

const decodedCells = new WeakMap<Uint8Array, readonly Operation[]>();

/** Programs of decisions run many times; they are decoded once. */
export function operationsOf(ops: Uint8Array): readonly Operation[] {
  let operations = decodedCells.get(ops);
  if (operations === undefined) {
    operations = decodeExpression(ops, { addressSize: 8, name: 'decision' });
    decodedCells.set(ops, operations);
  }
  return operations;
}

export interface References {
  readonly integers: readonly CellIndex[];
  readonly floats: readonly CellIndex[];
  /** Of either kind. */
  readonly any: readonly CellIndex[];
  /** An integer that is computed for each element. */
  readonly match?: CellIndex;
}

const none: References = { integers: [], floats: [], any: [] };

export function referencesOf(cell: Cell): References {
  switch (cell.kind) {
    case 'ops':
      return { ...none, integers: cellsOfProgram(operationsOf(cell.ops)) };
    case 'fact':
    case 'constant':
      return none;
    case 'guard':
      return { ...none, integers: [cell.condition, ...cell.shows] };
    case 'to-integer':
    case 'negate':
      return { ...none, floats: [cell.operand] };
    case 'to-float':
      return { ...none, any: [cell.operand] };
    case 'float':
      return { ...none, integers: [cell.bits] };
    case 'compare':
    case 'arithmetic':
      return { ...none, floats: [cell.left, cell.right] };
    case 'choose':
      return { ...none, integers: [cell.condition], floats: [cell.yes, cell.no] };
    case 'text': {
      const { text } = cell;
      return text.from === 'comm'
        ? none
        : { ...none, integers: given(text.address, text.length, text.capacity) };
    }
    case 'texts': {
      const { left, right } = cell;
      return { ...none, integers: [left.address, left.length, right.address, right.length] };
    }
    case 'count':
      return {
        ...none,
        integers: cellsOfElements(cell.elements),
        ...(cell.match === undefined ? {} : { match: cell.match }),
      };
    case 'find':
      return ofFind(cell);
  }
}

function ofFind({ elements, by }: FindCell): References {
  const integers = cellsOfElements(elements);
  if ('match' in by) return { ...none, integers, match: by.match };
  return { ...none, integers: 'index' in by ? [...integers, by.index] : integers };
}

function cellsOfElements(elements: Elements): CellIndex[] {
  return elements.kind === 'walk' ? [elements.object] : [elements.data, elements.length];
}

function given(...indices: readonly (CellIndex | undefined)[]): CellIndex[] {
  return indices.filter((index) => index !== undefined);
}

function cellsOfProgram(operations: readonly Operation[]): CellIndex[] {
  return operations.flatMap(({ code, a }) =>
    code === DW_OP.DW_OP_bregx && a >= BigInt(firstCellRegister) ? [Number(a) - firstCellRegister] : [],
  );
}

const known = new WeakMap<Decision, readonly boolean[]>();

/** By cell: whether its value is another one for each element that is looked at. */
export function elementCells(decision: Decision): readonly boolean[] {
  let uses = known.get(decision);
  if (uses === undefined) {
    const found: boolean[] = [];
    for (const cell of decision.cells) {
      const { integers, floats, any } = referencesOf(cell);
      const own =
        cell.kind === 'ops' &&
        operationsOf(cell.ops).some(({ code }) => code === DW_OP.DW_OP_push_object_address);
      found.push(own || [...integers, ...floats, ...any].some((index) => found[index] === true));
    }
    uses = found;
    known.set(decision, uses);
  }
  return uses;
}
