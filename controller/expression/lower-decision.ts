/**
 * A checked condition to a decision of the agent (`format/decision`): what DWARF operations can compute is a program, which `lower.ts` writes as it does for the kernel; what they
 * cannot becomes a cell that the program refers to. The result is as the evaluator's, or there is none.
 */
import { decodeWideUnits } from '../../format/bytes.js';
import { firstCellRegister } from '../../format/dwarf-op/verify.js';
import type {
  Cell,
  CellIndex,
  CountedText,
  Decision,
  Elements,
  Text,
  WalkElements,
} from '../../format/decision/decision.js';
import { maxDecisionCells, verifyDecision } from '../../format/decision/verify.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Walk } from '../../format/walk/walk.js';
import { sizeOf, stripType } from '../types/layout.js';
import type { Type } from '../types/type.js';
import type { SequenceView, WalkedMapView, WalkedView } from '../types/view.js';
import { numericOf } from './c-types.js';
import { placeOf } from './convert.js';
import { FloatCells } from './decision-float.js';
import { elementMatch } from './decision-match.js';
import { type Cells, Lowerer, type LoweringContext, orUnlowered, type Unlowered } from './lower.js';
import { locate } from './lower-object.js';
import { OpWriter } from './op-writer.js';
import { wholeOf } from './scalar.js';
import type {
  BoundNode,
  CompareNode,
  GuardedNode,
  LookupKey,
  TextNode,
  TextsNode,
  Typed,
  ViewCountNode,
  WalkedNode,
} from './typed.js';
import { dataNode, lengthNode, withObject } from './view-node.js';

/** The agent's answer to a condition, or why it can have none. */
export function lowerDecision(node: Typed, context: LoweringContext): Decision | Unlowered {
  return orUnlowered(() => {
    const cells = new DecisionCells(context);
    const decision = cells.finish(cells.truth(node));
    try {
      verifyDecision(decision, { name: 'the decision' });
    } catch (error) {
      // Within what its agent takes, or not at all.
      throw new StillframeError('limit', toStillframeError(error).message);
    }
    return decision;
  });
}

export class DecisionCells implements Cells {
  readonly context: LoweringContext;
  readonly #cells: Cell[] = [];
  /** Programs by their bytes. */
  readonly #programs = new Map<string, CellIndex>();
  readonly #bound = new Map<BoundNode, CellIndex | 'element' | undefined>();
  readonly #floats: FloatCells;

  constructor(context: LoweringContext) {
    this.context = context;
    this.#floats = new FloatCells(this);
  }

  finish(result: CellIndex): Decision {
    if (result !== this.#cells.length - 1) {
      this.#cells.push({
        kind: 'ops',
        ops: new OpWriter().register(firstCellRegister + result, 0n).finish(),
      });
    }
    return { cells: this.#cells };
  }

  add(cell: Cell): CellIndex {
    if (this.#cells.length >= maxDecisionCells - 1) {
      throw new StillframeError('limit', 'the condition is too large to be decided by the agent');
    }
    return this.#cells.push(cell) - 1;
  }

  /** A program that leaves one integer; one that only refers to a cell is that cell. */
  program(emit: (lowerer: Lowerer) => void): CellIndex {
    const lowerer = new Lowerer(this.context, { cells: this });
    emit(lowerer);
    return this.ops(lowerer.out.finish());
  }

  ops(ops: Uint8Array): CellIndex {
    const key = Buffer.from(ops).toString('hex');
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    for (let index = 0; index < this.#cells.length; index++) {
      const reference = new OpWriter().register(firstCellRegister + index, 0n).finish();
      if (Buffer.compare(ops, reference) === 0) return index;
    }
    const index = this.add({ kind: 'ops', ops });
    this.#programs.set(key, index);
    return index;
  }

  truth(node: Typed): CellIndex {
    return this.program((lowerer) => lowerer.pushTruth(node));
  }

  value(node: Typed): CellIndex {
    return this.program((lowerer) => lowerer.push(node));
  }

  refuse(node: Typed, why: string): never {
    return new Lowerer(this.context).refuse(node, why);
  }

  /** The object that a node of its kind stands for is the element that is looked at. */
  bindElement(node: BoundNode): void {
    this.#bound.set(node, 'element');
  }

  integer(node: Typed): CellIndex | undefined {
    switch (node.kind) {
      case 'fact':
        if (node.fact === 'duration')
          this.refuse(node, 'how long the function took is known in the kernel alone');
        return node.fact === 'comm' ? undefined : this.add({ kind: 'fact', fact: node.fact });
      case 'text':
        return this.#text(node);
      case 'texts':
        return this.#texts(node);
      case 'compare':
        return this.#compare(node);
      case 'convert': {
        const to = numericOf(node.type);
        if (numericOf(node.operand.type)?.kind !== 'float' || to?.kind !== 'integer' || to.boolean)
          return undefined;
        const { size, signed } = to;
        if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return undefined;
        return this.add({ kind: 'to-integer', operand: this.#floats.float(node.operand), size, signed });
      }
      case 'view-count':
        return this.#count(node, false);
      // The program computes them itself.
      case 'address':
      case 'arithmetic':
      case 'bound':
      case 'conditional':
      case 'constant':
      case 'dereference':
      case 'difference':
      case 'dynamic':
      case 'element':
      case 'function':
      case 'guarded':
      case 'let':
      case 'logical':
      case 'member':
      case 'not':
      case 'offset':
      case 'parts':
      case 'register':
      case 'shift':
      case 'slice':
      case 'string':
      case 'unary':
      case 'variable':
      case 'view-element':
      case 'view-lookup':
      case 'view-page':
        return undefined;
    }
  }

  address(node: WalkedNode): CellIndex | undefined {
    const path = node.path.slice(0, maxDetail);
    switch (node.kind) {
      case 'view-element': {
        const elements = this.#walk(node);
        if (elements === undefined) return undefined;
        const { index } = node;
        const by = index === undefined ? { last: true as const } : { index: this.value(index) };
        return this.add({ kind: 'find', elements, by, path });
      }
      case 'view-lookup': {
        const elements = this.#walk(node);
        if (elements === undefined) return undefined;
        const match = this.#match(node, node.view.key(), node.key);
        return this.add({ kind: 'find', elements, by: { match }, path });
      }
      case 'view-page':
      case 'dynamic':
        return undefined;
    }
  }

  /** Undefined where what is found has no place. */
  #walk({
    object,
    view,
  }: {
    readonly object: Typed;
    readonly view: WalkedView | WalkedMapView;
  }): WalkElements | undefined {
    if (hasBits(view.walk)) return undefined;
    const lowerer = new Lowerer(this.context, { cells: this });
    const inMemory = locate(lowerer, object);
    const place = this.ops(lowerer.out.finish());
    const elements = { kind: 'walk' as const, walk: view.walk, object: place };
    if (inMemory) return elements;
    const bytes = sizeOf(object.type) ?? 0;
    return bytes > 0 && bytes <= 8 ? { ...elements, bytes } : undefined;
  }

  bound(node: BoundNode): CellIndex | 'element' | undefined {
    if (this.#bound.has(node)) return this.#bound.get(node);
    const lowerer = new Lowerer(this.context, { cells: this });
    const found = locate(lowerer, node.object) ? this.ops(lowerer.out.finish()) : undefined;
    this.#bound.set(node, found);
    return found;
  }

  guard(node: GuardedNode): CellIndex {
    return this.add({
      kind: 'guard',
      condition: this.truth(node.condition),
      detail: node.detail.slice(0, maxDetail),
      shows: node.shows.map((shown) => this.value(shown)),
    });
  }

  #compare(node: CompareNode): CellIndex | undefined {
    const { operator, left, right } = node;
    if (numericOf(left.type)?.kind === 'float') {
      const sides = { left: this.#floats.float(left), right: this.#floats.float(right) };
      return this.add({ kind: 'compare', operator, ...sides });
    }
    const isZero = right.kind === 'constant' && wholeOf(right.value) === 0n;
    // Whether there is any is known when the first is found.
    if (left.kind === 'view-count' && operator === '!=' && isZero) return this.#count(left, true);
    return undefined;
  }

  #text(node: TextNode): CellIndex {
    const { operator, unitBytes, subject } = node;
    const text: Text =
      subject.kind === 'fact' && subject.fact === 'comm' ? { from: 'comm' } : this.#textPlace(node);
    const literal =
      operator === 'matches' && unitBytes !== 1
        ? new TextEncoder().encode(decodeWideUnits(node.literal, unitBytes))
        : node.literal;
    return this.add({ kind: 'text', operator, unitBytes, literal, text });
  }

  #textPlace({ subject, length }: TextNode): Text {
    const path = subject.path.slice(0, maxDetail);
    if (length !== undefined) {
      return { from: 'memory', address: this.value(subject), length: this.value(length), path };
    }
    const type = stripType(subject.type);
    if (type.kind !== 'array') return { from: 'memory', address: this.value(subject), path };
    const address = this.program((lowerer) => lowerer.pushAddress(subject));
    if (type.count !== undefined) {
      const capacity = this.ops(new OpWriter().constant(BigInt(type.count)).finish());
      return { from: 'memory', address, capacity, path };
    }
    if (subject.kind !== 'slice') return { from: 'memory', address, path };
    return { from: 'memory', address, capacity: this.value(subject.count), path };
  }

  #texts({ operator, left, right, unitBytes }: TextsNode): CellIndex {
    const side = ({ subject, length }: TextsNode['left']): CountedText => ({
      address: this.value(subject),
      length: this.value(length),
      path: subject.path.slice(0, maxDetail),
    });
    return this.add({ kind: 'texts', operator, unitBytes, left: side(left), right: side(right) });
  }

  #count(node: ViewCountNode, any: boolean): CellIndex | undefined {
    const { object, view, key } = node;
    const elements = view.kind === 'sequence' ? this.#sequence(object, view) : this.#walk({ object, view });
    if (elements === undefined) return undefined;
    const element = view.kind === 'map' ? view.key() : view.element();
    const match = key === undefined ? undefined : this.#match(node, element, key);
    const path = object.path.slice(0, maxDetail);
    return this.add({ kind: 'count', elements, ...(match === undefined ? {} : { match }), any, path });
  }

  #sequence(object: Typed, view: SequenceView): Elements | undefined {
    const stride = sizeOf(view.element());
    if (stride === undefined || stride === 0) return undefined;
    return {
      kind: 'sequence',
      data: this.value(withObject(object, (near) => dataNode(view, near))),
      length: this.value(withObject(object, (near) => lengthNode(view, near))),
      stride,
    };
  }

  #match(node: Typed, type: Type, key: LookupKey): CellIndex {
    const { bound, condition } = elementMatch({ type, key, place: placeOf(node) });
    this.bindElement(bound);
    return this.truth(condition);
  }
}

/** Characters of texts for people. */
const maxDetail = 1000;

function hasBits(walk: Walk): boolean {
  if (walk.kind === 'page') return hasBits(walk.of);
  return walk.kind === 'bit-count' || walk.kind === 'bit-fields' || walk.kind === 'bit-range';
}
