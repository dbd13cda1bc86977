/** Decisions as bytes, within the bytes of a plan: the same decision always gives the same bytes. */
import type { ByteCursor, ByteWriter } from '../bytes.js';
import { readBytes, readList, readText, writeBytes, writeText } from '../encoded-fields.js';
import {
  type Cell,
  type CountedText,
  type Decision,
  type Elements,
  type FindCell,
  type Text,
  type TextCell,
} from './decision.js';
import { toJson } from '../json-shape.js';
import { parseWalk } from '../walk/check.js';
import type { Walk } from '../walk/walk.js';
import { maxDecisionCells } from './verify.js';

/** A cell begins with the number of its kind here. */
const kinds = [
  'ops',
  'fact',
  'guard',
  'to-integer',
  'compare',
  'text',
  'texts',
  'count',
  'find',
  'constant',
  'float',
  'to-float',
  'arithmetic',
  'negate',
  'choose',
] as const satisfies readonly Cell['kind'][];
const facts = ['tid', 'pid'] as const;
const comparisons = ['==', '!=', '<', '<=', '>', '>='] as const;
const operators = ['+', '-', '*', '/'] as const;
const textOperators = ['==', '!=', 'startsWith', 'contains', 'matches'] as const;
const equalities = ['==', '!='] as const;
const integerSizes = [1, 2, 4, 8] as const;
const floatSizes = [4, 8] as const;
const unitSizes = [1, 2, 4] as const;
const textSources = ['memory', 'comm'] as const;
const findings = ['match', 'index', 'last'] as const;
const elementKinds = ['sequence', 'walk'] as const;
const truths = [false, true] as const;

export function writeDecision(out: ByteWriter, { cells }: Decision): void {
  out.uleb(cells.length);
  for (const cell of cells) {
    out.u8(kinds.indexOf(cell.kind));
    writeCell(out, cell);
  }
}

/** Throws `bad-data` for what {@link writeDecision} would not have written. */
export function readDecision(cursor: ByteCursor): Decision {
  const at = cursor.offset;
  const count = cursor.ulebNumber();
  if (count > maxDecisionCells) throw cursor.error(`${count} cells of a decision`, at);
  return { cells: Array.from({ length: count }, () => readCell(cursor, choice(cursor, kinds))) };
}

function writeCell(out: ByteWriter, cell: Cell): void {
  switch (cell.kind) {
    case 'ops':
      writeBytes(out, cell.ops);
      return;
    case 'fact':
      out.u8(facts.indexOf(cell.fact));
      return;
    case 'guard':
      out.uleb(cell.condition);
      writeText(out, cell.detail);
      out.uleb(cell.shows.length);
      for (const shown of cell.shows) out.uleb(shown);
      return;
    case 'to-integer':
      out.uleb(cell.operand).u8(integerSizes.indexOf(cell.size)).u8(truths.indexOf(cell.signed));
      return;
    case 'compare':
      out.u8(comparisons.indexOf(cell.operator)).uleb(cell.left).uleb(cell.right);
      return;
    case 'text':
      writeTextCell(out, cell);
      return;
    case 'texts':
      out.u8(equalities.indexOf(cell.operator)).u8(unitSizes.indexOf(cell.unitBytes));
      for (const side of [cell.left, cell.right]) writeCounted(out, side);
      return;
    case 'count':
      writeElements(out, cell.elements);
      writeOptional(out, cell.match);
      out.u8(truths.indexOf(cell.any));
      writeText(out, cell.path);
      return;
    case 'find':
      writeFind(out, cell);
      return;
    case 'constant': {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, cell.value, true);
      out.raw(new Uint8Array(view.buffer));
      return;
    }
    case 'float':
      out.uleb(cell.bits).u8(floatSizes.indexOf(cell.size));
      return;
    case 'to-float':
      out.uleb(cell.operand).u8(truths.indexOf(cell.signed)).u8(floatSizes.indexOf(cell.size));
      return;
    case 'arithmetic':
      out.u8(operators.indexOf(cell.operator)).uleb(cell.left).uleb(cell.right);
      out.u8(floatSizes.indexOf(cell.size));
      return;
    case 'negate':
      out.uleb(cell.operand);
      return;
    case 'choose':
      out.uleb(cell.condition).uleb(cell.yes).uleb(cell.no);
  }
}

function readCell(cursor: ByteCursor, kind: (typeof kinds)[number]): Cell {
  const index = (): number => cursor.ulebNumber();
  switch (kind) {
    case 'ops':
      return { kind, ops: readBytes(cursor) };
    case 'fact':
      return { kind, fact: choice(cursor, facts) };
    case 'guard':
      return { kind, condition: index(), detail: readText(cursor), shows: readList(cursor, index) };
    case 'to-integer':
      return { kind, operand: index(), size: choice(cursor, integerSizes), signed: choice(cursor, truths) };
    case 'compare':
      return { kind, operator: choice(cursor, comparisons), left: index(), right: index() };
    case 'text':
      return readTextCell(cursor);
    case 'texts': {
      const operator = choice(cursor, equalities);
      const unitBytes = choice(cursor, unitSizes);
      return { kind, operator, unitBytes, left: readCounted(cursor), right: readCounted(cursor) };
    }
    case 'count': {
      const elements = readElements(cursor);
      const match = readOptional(cursor);
      const any = choice(cursor, truths);
      return { kind, elements, ...(match === undefined ? {} : { match }), any, path: readText(cursor) };
    }
    case 'find':
      return readFind(cursor);
    case 'constant': {
      const bytes = cursor.take(8);
      return { kind, value: new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true) };
    }
    case 'float':
      return { kind, bits: index(), size: choice(cursor, floatSizes) };
    case 'to-float':
      return { kind, operand: index(), signed: choice(cursor, truths), size: choice(cursor, floatSizes) };
    case 'arithmetic':
      return {
        kind,
        operator: choice(cursor, operators),
        left: index(),
        right: index(),
        size: choice(cursor, floatSizes),
      };
    case 'negate':
      return { kind, operand: index() };
    case 'choose':
      return { kind, condition: index(), yes: index(), no: index() };
  }
}

function writeTextCell(out: ByteWriter, { operator, unitBytes, literal, text }: TextCell): void {
  out.u8(textOperators.indexOf(operator)).u8(unitSizes.indexOf(unitBytes));
  writeBytes(out, literal);
  out.u8(textSources.indexOf(text.from));
  if (text.from === 'comm') return;
  out.uleb(text.address);
  writeOptional(out, text.length);
  writeOptional(out, text.capacity);
  writeText(out, text.path);
}

function readTextCell(cursor: ByteCursor): TextCell {
  const operator = choice(cursor, textOperators);
  const unitBytes = choice(cursor, unitSizes);
  const literal = readBytes(cursor);
  return { kind: 'text', operator, unitBytes, literal, text: readTextSource(cursor) };
}

function readTextSource(cursor: ByteCursor): Text {
  const from = choice(cursor, textSources);
  if (from === 'comm') return { from };
  const address = cursor.ulebNumber();
  const length = readOptional(cursor);
  const capacity = readOptional(cursor);
  return {
    from,
    address,
    ...(length === undefined ? {} : { length }),
    ...(capacity === undefined ? {} : { capacity }),
    path: readText(cursor),
  };
}

function writeCounted(out: ByteWriter, { address, length, path }: CountedText): void {
  out.uleb(address).uleb(length);
  writeText(out, path);
}

function readCounted(cursor: ByteCursor): CountedText {
  return { address: cursor.ulebNumber(), length: cursor.ulebNumber(), path: readText(cursor) };
}

function writeElements(out: ByteWriter, elements: Elements): void {
  out.u8(elementKinds.indexOf(elements.kind));
  if (elements.kind === 'walk') {
    writeText(out, JSON.stringify(toJson(elements.walk)));
    out.uleb(elements.object);
    out.uleb(elements.bytes ?? 0);
  } else out.uleb(elements.data).uleb(elements.length).uleb(elements.stride);
}

function readElements(cursor: ByteCursor): Elements {
  const kind = choice(cursor, elementKinds);
  if (kind === 'sequence') {
    const data = cursor.ulebNumber();
    return { kind, data, length: cursor.ulebNumber(), stride: cursor.ulebNumber() };
  }
  const walk = readWalk(cursor);
  const object = cursor.ulebNumber();
  const bytes = cursor.ulebNumber();
  return { kind, walk, object, ...(bytes === 0 ? {} : { bytes }) };
}

/** Longer than what the shapes of walks allow. */
const maxWalkCharacters = 64 * 1024;

function readWalk(cursor: ByteCursor): Walk {
  const at = cursor.offset;
  const text = readText(cursor);
  if (text.length > maxWalkCharacters) throw cursor.error(`a walk of ${text.length} characters`, at);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw cursor.error('a walk that is no JSON', at);
  }
  return parseWalk(json);
}

function writeFind(out: ByteWriter, { elements, by, path }: FindCell): void {
  writeElements(out, elements);
  if ('match' in by) out.u8(findings.indexOf('match')).uleb(by.match);
  else if ('index' in by) out.u8(findings.indexOf('index')).uleb(by.index);
  else out.u8(findings.indexOf('last'));
  writeText(out, path);
}

function readFind(cursor: ByteCursor): FindCell {
  const elements = readElements(cursor);
  const finding = choice(cursor, findings);
  const by: FindCell['by'] =
    finding === 'last'
      ? { last: true }
      : finding === 'match'
        ? { match: cursor.ulebNumber() }
        : { index: cursor.ulebNumber() };
  return { kind: 'find', elements, by, path: readText(cursor) };
}

/** 0 for none. */
function writeOptional(out: ByteWriter, index: number | undefined): void {
  out.uleb(index === undefined ? 0 : index + 1);
}

function readOptional(cursor: ByteCursor): number | undefined {
  const index = cursor.ulebNumber();
  return index === 0 ? undefined : index - 1;
}

function choice<T>(cursor: ByteCursor, choices: readonly T[]): T {
  const at = cursor.offset;
  const chosen = choices[cursor.u8()];
  if (chosen === undefined) throw cursor.error('a choice of a decision that is not known', at);
  return chosen;
}
