/**
 * Checks a decision before it runs: it may come from anybody. Cells refer backwards only and to cells of the right kind, programs are those of plans, patterns are of linear
 * time, and all of it is bounded; how long it runs is bounded when it runs.
 */
import { type StillframeError, badData } from '../error.js';
import { verifyPlanExpression } from '../dwarf-op/verify.js';
import { defaultLimits, type Limits } from '../limits.js';
import { type Cell, type Decision, type Elements, isFloatCell } from './decision.js';
import { patternOf } from './decide-text.js';
import { elementCells, referencesOf } from './references.js';

/** Cells of one decision, and the bytes of its programs. */
export const maxDecisionCells = 1024;
const maxProgramBytes = 128 * 1024;
/** Cells within cells: each is a few calls on the stack of whoever decides. */
const maxDepth = 200;
const maxLiteralBytes = 4096;
const maxTextCharacters = 1024;
const maxShown = 8;
const maxStride = 1 << 24;
/** Of an object that is in a register. */
const maxObjectBytes = 8;

/** Throws `bad-data` that names the cell. `name`: what it is of. */
export function verifyDecision(
  decision: Decision,
  { name, limits = defaultLimits }: { readonly name: string; readonly limits?: Limits },
): void {
  const { cells } = decision;
  if (cells.length === 0 || cells.length > maxDecisionCells) {
    throw wrong(name, `${cells.length} cells, 1 to ${maxDecisionCells} are allowed`);
  }
  let programBytes = 0;
  const depths: number[] = [];
  for (const [index, cell] of cells.entries()) {
    const where = `${name}: cell ${index}`;
    if (cell.kind === 'ops') {
      programBytes += cell.ops.length;
      if (programBytes > maxProgramBytes) throw wrong(name, `programs of more than ${maxProgramBytes} bytes`);
      verifyPlanExpression(cell.ops, { hasObject: true, cells: index, name: where, limits });
    }
    checkReferences(cells, index, where);
    checkContent(cell, where);
    const depth = depthOf(cell, depths);
    if (depth > maxDepth) throw wrong(where, `nested deeper than ${maxDepth}`);
    depths.push(depth);
  }
  const last = cells.length - 1;
  const result = cells[last];
  if (result === undefined || isFloatCell(result)) throw wrong(name, 'its last cell is a float');
  if (elementCells(decision)[last] === true) throw wrong(name, 'its last cell depends on an element');
}

function depthOf(cell: Cell, depths: readonly number[]): number {
  const { integers, floats, any, match } = referencesOf(cell);
  const inner = [...integers, ...floats, ...any, ...(match === undefined ? [] : [match])];
  return 1 + inner.reduce((most, index) => Math.max(most, depths[index] ?? 0), 0);
}

function checkReferences(cells: readonly Cell[], index: number, where: string): void {
  const cell = cells[index];
  if (cell === undefined) return;
  const { integers, floats, any, match } = referencesOf(cell);
  const check = (referred: number, kind: 'integer' | 'float' | 'any'): void => {
    const other = Number.isInteger(referred) && referred < index ? cells[referred] : undefined;
    if (other === undefined) throw wrong(where, `it refers to cell ${referred}, which is not before it`);
    if (kind !== 'any' && isFloatCell(other) !== (kind === 'float')) {
      throw wrong(where, `it takes cell ${referred} for ${kind === 'float' ? 'a float' : 'an integer'}`);
    }
  };
  for (const each of integers) check(each, 'integer');
  for (const each of floats) check(each, 'float');
  for (const each of any) check(each, 'any');
  if (match !== undefined) check(match, 'integer');
}

function checkContent(cell: Cell, where: string): void {
  switch (cell.kind) {
    case 'guard':
      checkText(cell.detail, where);
      if (cell.shows.length > maxShown) throw wrong(where, `it shows ${cell.shows.length} values`);
      return;
    case 'text': {
      const { literal, unitBytes, operator, text } = cell;
      if (text.from === 'memory') checkText(text.path, where);
      if (literal.length > maxLiteralBytes) throw wrong(where, `a literal of ${literal.length} bytes`);
      if (operator === 'matches') {
        if (patternOf(cell) === undefined) throw wrong(where, 'a pattern that cannot be used');
      } else if (literal.length % unitBytes !== 0) throw wrong(where, 'a literal of half a unit');
      return;
    }
    case 'texts':
      checkText(cell.left.path, where);
      checkText(cell.right.path, where);
      return;
    case 'count':
    case 'find':
      checkText(cell.path, where);
      checkElements(cell.elements, where);
      return;
    case 'ops':
    case 'fact':
    case 'to-integer':
    case 'compare':
    case 'constant':
    case 'float':
    case 'to-float':
    case 'arithmetic':
    case 'negate':
    case 'choose':
  }
}

function checkElements(elements: Elements, where: string): void {
  const [what, bytes, most] =
    elements.kind === 'walk'
      ? ['an object', elements.bytes ?? 1, maxObjectBytes]
      : ['elements', elements.stride, maxStride];
  if (Number.isInteger(bytes) && bytes > 0 && bytes <= most) return;
  throw wrong(where, `${what} of ${bytes} bytes`);
}

function checkText(text: string, where: string): void {
  if (text.length > maxTextCharacters) throw wrong(where, `a text of ${text.length} characters`);
}

function wrong(where: string, reason: string): StillframeError {
  return badData(`cannot verify ${where}: ${reason}`);
}
