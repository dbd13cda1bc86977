/** Decides a condition, or the part of one, on the bytes of a hit. Bounded by steps, whatever the decision and the bytes are. */
import { absent, isAbsent, type Absent } from '../absent.js';
import { evaluateValue } from '../dwarf-op/evaluate.js';
import { firstCellRegister } from '../dwarf-op/verify.js';
import type { MemoryReader } from '../memory.js';
import { dwarfRegisterOffset, readUserRegister } from '../registers/x86-64.js';
import { type Cell, type CountCell, type Decision, type FindCell, type GuardCell } from './decision.js';
import { elementsOf } from './elements.js';
import { compareNumbers, floatArithmetic, floatOfBits, integerOfNumber, integerToFloat32 } from './number.js';
import { decideText, decideTexts } from './decide-text.js';
import { elementCells, operationsOf } from './references.js';
import { Steps } from './steps.js';

/** The thread that hit, and what is known of its memory. */
export interface DecidedHit {
  /** A `user_regs_struct`, or its first 168 bytes. */
  readonly registers: Uint8Array;
  readonly memory: MemoryReader;
  /** Of the site. */
  readonly linkAddress: bigint;
  readonly tid: number;
  readonly pid: number;
  readonly comm: string;
}

/** Whether the condition holds; absent where that cannot be told. The decision was verified before. */
export function decide(decision: Decision, hit: DecidedHit): boolean | Absent {
  const value = new Run(decision, hit).integer(decision.cells.length - 1);
  return isAbsent(value) ? value : value !== 0n;
}

/** What cells are computed in: with the element that is looked at, if one is. */
interface Surroundings {
  readonly element: bigint | undefined;
  readonly known: Map<number, bigint | number | Absent>;
}

class Run {
  readonly #cells: readonly Cell[];
  readonly #hit: DecidedHit;
  readonly #view: DataView;
  readonly #bias: bigint;
  readonly #steps = new Steps();
  /** Without an element. */
  readonly #top: Surroundings = { element: undefined, known: new Map() };
  #around: Surroundings = this.#top;
  readonly #usesElement: readonly boolean[];

  constructor(decision: Decision, hit: DecidedHit) {
    const { registers, linkAddress } = hit;
    this.#cells = decision.cells;
    this.#usesElement = elementCells(decision);
    this.#hit = hit;
    this.#view = new DataView(registers.buffer, registers.byteOffset, registers.byteLength);
    this.#bias = readUserRegister(registers, 'rip') - linkAddress;
  }

  /** From 0 to 2^64-1. */
  integer(index: number): bigint | Absent {
    const value = this.#value(index);
    return typeof value === 'number' ? absent('unsupported', 'a decision that does not fit together') : value;
  }

  number(index: number): number | Absent {
    const value = this.#value(index);
    return typeof value === 'bigint' ? absent('unsupported', 'a decision that does not fit together') : value;
  }

  #value(index: number): bigint | number | Absent {
    const { known } = this.#usesElement[index] === true ? this.#around : this.#top;
    const before = known.get(index);
    if (before !== undefined) return before;
    const cell = this.#cells[index];
    if (cell === undefined) return absent('unsupported', 'a decision that does not fit together');
    const value = this.#steps.take(1) ?? this.#compute(cell);
    known.set(index, value);
    return value;
  }

  #compute(cell: Cell): bigint | number | Absent {
    switch (cell.kind) {
      case 'ops':
        return this.#ops(cell.ops);
      case 'fact':
        return BigInt(this.#hit[cell.fact]);
      case 'guard':
        return this.#guard(cell);
      case 'to-integer': {
        const value = this.number(cell.operand);
        return isAbsent(value) ? value : toInteger(value, cell);
      }
      case 'compare': {
        const left = this.number(cell.left);
        if (isAbsent(left)) return left;
        const right = this.number(cell.right);
        return isAbsent(right) ? right : truth(compareNumbers(cell.operator, left, right));
      }
      case 'text':
        return truth(decideText(cell, this));
      case 'texts':
        return truth(decideTexts(cell, this));
      case 'count':
        return this.#count(cell);
      case 'find':
        return this.#find(cell);
      case 'constant':
        return cell.value;
      case 'float': {
        const bits = this.integer(cell.bits);
        return isAbsent(bits) ? bits : floatOfBits(bits, cell.size);
      }
      case 'to-float': {
        const value = this.#value(cell.operand);
        return isAbsent(value) ? value : toFloat(value, cell);
      }
      case 'arithmetic': {
        const left = this.number(cell.left);
        if (isAbsent(left)) return left;
        const right = this.number(cell.right);
        return isAbsent(right) ? right : floatArithmetic(cell.operator, left, right, cell.size);
      }
      case 'negate': {
        const value = this.number(cell.operand);
        return isAbsent(value) ? value : -value;
      }
      case 'choose': {
        const condition = this.integer(cell.condition);
        if (isAbsent(condition)) return condition;
        return this.number(condition === 0n ? cell.no : cell.yes);
      }
    }
  }

  #ops(ops: Uint8Array): bigint | Absent {
    const operations = operationsOf(ops);
    const { element } = this.#around;
    const over = this.#steps.take(operations.length);
    if (over !== undefined) return over;
    return evaluateValue(operations, {
      register: (number) => this.#register(number),
      memory: this.memory,
      relocate: (link) => link + this.#bias,
      ...(element === undefined ? {} : { objectAddress: element }),
    });
  }

  #register(number: number): bigint | Absent {
    if (number >= firstCellRegister) return this.integer(number - firstCellRegister);
    const offset = dwarfRegisterOffset(number);
    return offset === undefined
      ? absent('unsupported', `register ${number} is not in a plan`)
      : this.#view.getBigUint64(offset, true);
  }

  #guard({ condition, detail, shows }: GuardCell): bigint | Absent {
    const holds = this.integer(condition);
    if (isAbsent(holds)) return holds;
    if (holds !== 0n) return 1n;
    const shown = shows.map((index) => this.integer(index));
    const why = detail.replaceAll(/\{(\d)\}/g, (_, digit: string) => {
      const value = shown[Number(digit)];
      return value === undefined || isAbsent(value) ? '?' : String(BigInt.asIntN(64, value));
    });
    return absent('unreadable', why);
  }

  #count({ elements, match, any, path }: CountCell): bigint | Absent {
    let count = 0n;
    for (const each of elementsOf(elements, this)) {
      if (isAbsent(each)) return inPath(each, path);
      const found = match === undefined ? 1n : this.#matches(match, each.key);
      if (isAbsent(found)) return inPath(found, path);
      if (found === 0n) continue;
      count += 1n;
      if (any) break;
    }
    return count;
  }

  #find({ elements, by, path }: FindCell): bigint | Absent {
    const index = 'index' in by ? this.integer(by.index) : undefined;
    if (isAbsent(index)) return index;
    let seen = 0n;
    let last: bigint | Absent | undefined;
    for (const each of elementsOf(elements, this)) {
      if (isAbsent(each)) return inPath(each, path);
      if ('match' in by) {
        const found = this.#matches(by.match, each.key);
        if (isAbsent(found)) return inPath(found, path);
        if (found !== 0n) return each.value;
      } else if (seen === index) return each.value;
      last = each.value;
      seen += 1n;
    }
    if ('last' in by && last !== undefined) return last;
    return absent(
      'unreadable',
      'match' in by
        ? `${path}: there is no such key among ${seen}`
        : `${path} is outside of the ${seen} elements`,
    );
  }

  #matches(match: number, element: bigint | Absent): bigint | Absent {
    if (isAbsent(element)) return element;
    const outer = this.#around;
    this.#around = { element, known: new Map() };
    try {
      return this.integer(match);
    } finally {
      this.#around = outer;
    }
  }

  get memory(): MemoryReader {
    return this.#hit.memory;
  }

  get comm(): string {
    return this.#hit.comm;
  }

  get steps(): Steps {
    return this.#steps;
  }
}

/** What the other files of this folder ask of a run. */
export type RunningDecision = Pick<Run, 'integer' | 'memory' | 'comm' | 'steps'>;

function truth(value: boolean | Absent): bigint | Absent {
  return isAbsent(value) ? value : value ? 1n : 0n;
}

function inPath(why: Absent, path: string): Absent {
  // What a guard says names the object itself.
  return why.detail.startsWith(path) ? why : { ...why, detail: `${path}: ${why.detail}` };
}

function toInteger(
  value: number,
  { size, signed }: { readonly size: number; readonly signed: boolean },
): bigint | Absent {
  const whole = integerOfNumber(value);
  const bits = size * 8;
  const fits =
    whole !== undefined && (signed ? BigInt.asIntN(bits, whole) : BigInt.asUintN(bits, whole)) === whole;
  if (fits) return BigInt.asUintN(64, whole);
  return absent(
    'unsupported',
    `${value} is outside of the range of the integer type that it is converted to`,
  );
}

function toFloat(
  value: bigint | number,
  { size, signed }: { readonly size: 4 | 8; readonly signed: boolean },
): number {
  if (typeof value === 'number') return size === 4 ? Math.fround(value) : value;
  const whole = signed ? BigInt.asIntN(64, value) : value;
  return size === 4 ? integerToFloat32(whole) : Number(whole);
}
