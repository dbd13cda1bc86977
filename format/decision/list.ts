/** A decision as text for people: a line for each cell. */
import { listExpression } from '../dwarf-op/list.js';
import type { Cell, Decision, Elements, FindCell, TextCell } from './decision.js';

export function listDecision({ cells }: Decision): string[] {
  return cells.map((cell, index) => `${nameOf(index)} = ${listCell(cell)}`);
}

const nameOf = (index: number): string => `c${index}`;

function listCell(cell: Cell): string {
  switch (cell.kind) {
    case 'ops':
      return listExpression(cell.ops);
    case 'fact':
      return cell.fact;
    case 'guard':
      return `1 if ${nameOf(cell.condition)}, else: ${cell.detail}`;
    case 'to-integer':
      return `${nameOf(cell.operand)} as a ${cell.signed ? 'signed' : 'unsigned'} integer of ${cell.size} bytes`;
    case 'compare':
    case 'arithmetic':
      return `${nameOf(cell.left)} ${cell.operator} ${nameOf(cell.right)}${cell.kind === 'arithmetic' ? ` in ${cell.size} bytes` : ''}`;
    case 'text':
      return listText(cell);
    case 'texts':
      return `${cell.left.path} ${cell.operator} ${cell.right.path}`;
    case 'count':
      return `${cell.any ? 'any' : 'number'} of ${listElements(cell.elements)}${cell.match === undefined ? '' : ` where ${nameOf(cell.match)}`}`;
    case 'find':
      return listFind(cell);
    case 'constant':
      return String(cell.value);
    case 'float':
      return `the float of ${cell.size} bytes whose bits are ${nameOf(cell.bits)}`;
    case 'to-float':
      return `${nameOf(cell.operand)} as a float of ${cell.size} bytes`;
    case 'negate':
      return `-${nameOf(cell.operand)}`;
    case 'choose':
      return `${nameOf(cell.condition)} ? ${nameOf(cell.yes)} : ${nameOf(cell.no)}`;
  }
}

function listText({ operator, text, literal, unitBytes }: TextCell): string {
  const units = unitBytes === 1 ? '' : ` in units of ${unitBytes} bytes`;
  const shown = JSON.stringify(Buffer.from(literal).toString('latin1'));
  if (text.from === 'comm') return `the name of the thread ${operator} ${shown}`;
  const length =
    text.length !== undefined
      ? `${nameOf(text.length)} units`
      : `up to NUL${text.capacity === undefined ? '' : ` or ${nameOf(text.capacity)} bytes`}`;
  return `text at ${nameOf(text.address)}, ${length}${units}, ${operator} ${shown}`;
}

function listElements(elements: Elements): string {
  if (elements.kind === 'walk') {
    const object = nameOf(elements.object);
    return `what the walk of a ${elements.walk.kind} ${elements.bytes === undefined ? 'at' : 'in'} ${object} finds`;
  }
  const { data, length, stride } = elements;
  return `${nameOf(length)} elements of ${stride} bytes at ${nameOf(data)}`;
}

function listFind({ elements, by }: FindCell): string {
  const which =
    'match' in by ? `where ${nameOf(by.match)}` : 'index' in by ? nameOf(by.index) : 'the last one';
  return `element of ${listElements(elements)}: ${which}`;
}
