/**
 * Which memory a capture has to bring so that its expression, and every part of it, can be evaluated later: the value itself, what it
 * points to (to a depth), and each object that was read on the way. The result is the range tree of a plan.
 */
import type { Limits } from '../../format/limits.js';
import type { PlanRange } from '../../format/plan/plan.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import { sizeOf, stripType } from '../types/layout.js';
import { rootPath } from '../types/path.js';
import type { SequenceView } from '../types/view.js';
import { numericOf } from './c-types.js';
import { dataNode, lengthNode } from './view-node.js';
import { childrenOf } from './children.js';
import {
  followElements,
  followPage,
  followPointer,
  followValue,
  maxFollowSteps,
  type FollowContext,
} from './collect-type.js';
import {
  isUnlowered,
  lowerAddress,
  lowerCondition,
  lowerValue,
  type LoweringContext,
  type Unlowered,
} from './lower.js';
import type { PlanLocation } from './lower-location.js';
import { partOf } from './lower-part.js';
import { OpWriter } from './op-writer.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { beginningOf, followed, guarded, moved, RangeTree, type At } from './range-tree.js';
import {
  type BoundNode,
  isLvalue,
  isObject,
  isPlaced,
  isWalked,
  type ObjectNode,
  type SliceNode,
  type TextNode,
  type Typed,
  type ViewCountNode,
  type WalkedNode,
} from './typed.js';
import { wholeOf } from './scalar.js';

export interface CollectOptions {
  readonly limits: Limits;
  /** Bytes that come along anyway (the stack window covers them) and need no range of their own. */
  readonly isCovered?: (variable: VariableSymbol) => boolean;
  /** Whether what a path names must be masked. */
  readonly isSecret?: (path: string) => boolean;
}

/** Structs up to this size are taken whole when one of their members is read: their neighbours are asked for next. */
export const maxWholeStructBytes = 256;
/** Of a slice whose length only the process knows. */
export const maxDynamicSliceBytes = 4096;

/** Of the elements of a sequence that is looked through. */
export const maxSearchedElementBytes: number = 16 * 1024;

/** One tree for all that one site collects. */
export class Collector {
  readonly #context: LoweringContext;
  readonly #options: CollectOptions;
  readonly #tree: RangeTree;
  #isNamed = false;

  constructor(context: LoweringContext, options: CollectOptions) {
    this.#context = context;
    this.#options = options;
    this.#tree = new RangeTree(options.limits.maxRanges);
  }

  get ranges(): readonly PlanRange[] {
    return this.#tree.roots;
  }

  /** Ranges so far. */
  get size(): number {
    return this.#tree.size;
  }

  /** Ranges were left out, for there were too many. */
  get isFull(): boolean {
    return this.#tree.isFull;
  }

  /** What `--capture` names: also what a `void *` points to. Gives the reason where no plan can bring it. */
  capture(node: Typed, depth: number): Unlowered | undefined {
    this.#isNamed = true;
    return this.#attempt(() => this.#value(node, depth, true));
  }

  /** A local or parameter that is taken because it is there. */
  local(node: Typed, depth: number): Unlowered | undefined {
    this.#isNamed = false;
    return this.#attempt(() => this.#value(node, depth, false));
  }

  #attempt(collect: () => void): Unlowered | undefined {
    try {
      collect();
      return undefined;
    } catch (error) {
      if (error instanceof Unreachable) return error.why;
      throw error;
    }
  }

  #follow(depth: number, explicit: boolean): FollowContext {
    const { limits, isSecret = () => false } = this.#options;
    return {
      tree: this.#tree,
      limits,
      depth,
      explicit,
      isNamed: this.#isNamed,
      nesting: 0,
      steps: { left: maxFollowSteps },
      isSecret,
    };
  }

  #value(node: Typed, depth: number, explicit: boolean): void {
    if (node.kind === 'slice') return this.#slice(node, depth);
    if (isFoundByWalk(node)) return this.#found(node);
    if (node.kind === 'let') return this.#value(node.body, depth, explicit);
    if (node.kind === 'guarded') {
      this.#reads(node.condition);
      return this.#value(node.operand, depth, explicit);
    }
    if (node.kind === 'conditional' && numericOf(node.type) === undefined) {
      this.#reads(node.condition);
      this.#value(node.whenTrue, depth, explicit);
      return this.#value(node.whenFalse, depth, explicit);
    }
    const isPointer = stripType(node.type).kind === 'pointer';
    if (isObject(node) && isLvalue(node)) {
      const at = this.#covered(node, true);
      if (at !== undefined)
        return followValue(node.type, at, rootPath(node.path), this.#follow(depth, explicit));
    } else this.#reads(node);
    const plain = stripType(node.type);
    if (isPointer && plain.kind === 'pointer') {
      const target = this.#pointer(node);
      followPointer(plain.target(), target, rootPath(node.path), this.#follow(depth, explicit));
    }
  }

  #slice(node: SliceNode, depth: number): void {
    const { limits } = this.#options;
    const at = this.#pointer(node.pointer);
    const element = node.type.element();
    const follow = this.#follow(depth, false);
    const secret = follow.isSecret(node.path);
    if (node.type.count !== undefined) {
      const length = node.type.count * node.size;
      if (length === 0) return;
      const maxBytes = Math.min(length, limits.maxHitBytes);
      const range = this.#tree.ensure(at, { path: node.path, length, maxBytes, secret });
      if (range !== undefined)
        followValue(node.type, beginningOf(range), rootPath(node.pointer.path), follow);
      return;
    }
    this.#reads(node.count);
    const from = node.page === undefined ? undefined : this.#address(node.page.object);
    if (node.page !== undefined && from !== undefined) {
      followPage(node.page, from, rootPath(node.page.object.path), follow);
      return;
    }
    const count = this.#lowered(lowerValue(node.count, this.#context));
    const length = new OpWriter().raw(count).constant(BigInt(node.size)).op(DW_OP.DW_OP_mul).finish();
    const range = this.#tree.ensure(at, { path: node.path, length, maxBytes: maxDynamicSliceBytes, secret });
    if (range === undefined) return;
    const maxItems = Math.min(limits.maxElements, Math.floor(maxDynamicSliceBytes / Math.max(1, node.size)));
    const path = rootPath(node.pointer.path);
    // `count` is not of the slice itself, but needs no object either.
    followElements(element, { at: beginningOf(range), count, maxItems, path }, follow);
  }

  #text(node: TextNode): void {
    if (node.length === undefined) this.#value(node.subject, 1, false);
    else this.#countedText(node, node.length);
  }

  /** The characters that are compared, or searched. */
  #countedText(node: Pick<TextNode, 'subject' | 'unitBytes'>, length: Typed): void {
    this.#reads(length);
    const units = lowerValue(length, this.#context);
    if (isUnlowered(units) && units.absent === undefined) {
      // What is walked brings the texts in it, as far as it is brought itself.
      this.#reads(node.subject);
      return;
    }
    const at = this.#pointer(node.subject);
    const bytes = new OpWriter()
      .raw(this.#lowered(units))
      .constant(BigInt(node.unitBytes))
      .op(DW_OP.DW_OP_mul)
      .finish();
    const { isSecret = () => false, limits } = this.#options;
    const path = node.subject.path;
    this.#tree.ensure(at, {
      path,
      length: bytes,
      maxBytes: limits.maxStringBytes,
      secret: isSecret(path),
    });
  }

  /** What lies in something that is walked comes with it. */
  #found(node: Typed): void {
    if (isWalked(node)) this.#walked(node);
    else if (node.kind === 'member') this.#found(node.object);
    else if (node.kind === 'let') this.#found(node.body);
    else if (node.kind === 'element') {
      this.#reads(node.index);
      this.#found(node.array);
    } else if (node.kind === 'guarded') {
      this.#reads(node.condition);
      this.#found(node.operand);
    } else if (node.kind === 'dereference' && node.pointer.kind === 'bound') {
      this.#found(node.pointer.object);
    }
  }

  /** What is walked is brought as far as its view can say, and the index or the key that is looked for. */
  #walked(node: WalkedNode | ViewCountNode): void {
    if (node.kind === 'view-count' && node.view.kind === 'sequence') this.#elements(node.object, node.view);
    this.#value(node.object, 1, false);
    for (const child of childrenOf(node)) if (child !== node.object) this.#reads(child);
  }

  /** All elements that are looked through, not only those that are shown. */
  #elements(object: Typed, view: SequenceView): void {
    const length = lengthNode(view, object);
    const count = lowerValue(length, this.#context);
    const stride = sizeOf(view.element()) ?? 0;
    if (stride === 0 || isFoundByWalk(object) || isUnlowered(count)) return;
    this.#reads(length);
    const { isSecret = () => false } = this.#options;
    const bytes = new OpWriter().raw(count).constant(BigInt(stride)).op(DW_OP.DW_OP_mul).finish();
    this.#tree.ensure(this.#pointer(dataNode(view, object)), {
      path: object.path,
      length: bytes,
      maxBytes: maxSearchedElementBytes,
      secret: isSecret(object.path),
    });
  }

  /** Brings every object that an expression reads. */
  #reads(node: Typed): void {
    if (isObject(node)) {
      this.#covered(node, false);
      return;
    }
    if (node.kind === 'address') {
      if (isLvalue(node.operand)) this.#address(node.operand);
    } else if (node.kind === 'text') this.#text(node);
    else if (node.kind === 'texts') {
      for (const side of [node.left, node.right])
        this.#countedText({ ...side, unitBytes: node.unitBytes }, side.length);
    } else if (node.kind === 'bound') this.#boundObject(node);
    else if (isWalked(node) || node.kind === 'view-count') this.#walked(node);
    else if (node.kind === 'slice') this.#slice(node, 0);
    else for (const child of childrenOf(node)) this.#reads(child);
  }

  /**
   * A range that holds the object, and where in it; undefined when the object is not in memory. With `whole` the object's
   * own bytes are what is wanted; otherwise it is on the way to something.
   */
  #covered(node: ObjectNode, whole: boolean): At | undefined {
    if (isFoundByWalk(node)) {
      this.#found(node);
      return undefined;
    }
    if (node.kind === 'dereference' && node.pointer.kind === 'bound' && isObject(node.pointer.object)) {
      return this.#covered(node.pointer.object, whole);
    }
    const size =
      node.kind === 'member' && node.bits !== undefined ? bitFieldBytes(node.bits) : sizeOf(node.type);
    if (node.kind === 'variable' && this.#options.isCovered?.(node.variable) === true)
      return this.#address(node);
    const { root, offset } = outermost(node);
    const rootSize = sizeOf(root.type);
    const isPiece = this.#piece(node) !== undefined;
    if (!isPiece && root !== node && rootSize !== undefined && rootSize <= maxWholeStructBytes) {
      const at = this.#covered(root, whole);
      return at === undefined ? undefined : moved(at, offset);
    }
    const at = this.#address(node);
    if (at === undefined || size === undefined || size === 0) return at;
    if (root.kind === 'variable' && this.#options.isCovered?.(root.variable) === true) return at;
    const { isSecret = () => false, limits } = this.#options;
    const maxBytes = Math.min(size, limits.maxHitBytes);
    const range = this.#tree.ensure(at, {
      path: node.path,
      length: size,
      maxBytes,
      secret: isSecret(node.path),
    });
    return range === undefined ? at : beginningOf(range);
  }

  #boundObject({ object }: BoundNode): At | undefined {
    if (isFoundByWalk(object)) {
      this.#found(object);
      return undefined;
    }
    return isObject(object) ? this.#covered(object, false) : this.#address(object);
  }

  /** Of a part of a variable that lies in several pieces. */
  #piece(node: Typed): PlanLocation | undefined {
    const part = node.kind === 'member' || node.kind === 'element' ? partOf(node) : undefined;
    return part === undefined ? undefined : this.#context.variablePart?.(part);
  }

  /** Undefined when the object is not in memory. */
  #address(node: Typed): At | undefined {
    if (!isPlaced(node)) return undefined;
    const place = this.#piece(node);
    if (place !== undefined) {
      return place.kind === 'address' ? { owner: undefined, code: place.expression } : undefined;
    }
    if (isFoundByWalk(node)) {
      this.#found(node);
      return undefined;
    }
    switch (node.kind) {
      case 'variable': {
        const location = this.#context.variableLocation(node.variable);
        if ('absent' in location) {
          const { start, end } = node.span;
          const unsupported = `${node.path}: ${location.detail}`;
          throw new Unreachable({ unsupported, position: start, length: end - start, absent: location });
        }
        return location.kind === 'address' ? { owner: undefined, code: location.expression } : undefined;
      }
      case 'member': {
        const at = this.#address(node.object);
        return at === undefined ? undefined : moved(at, node.byteOffset);
      }
      case 'element': {
        const at = this.#address(node.array);
        return at === undefined ? undefined : this.#indexed(at, node.index, node.size, false);
      }
      case 'dereference':
      case 'slice':
        return this.#pointer(node.pointer);
      case 'guarded':
        this.#reads(node.condition);
        return this.#address(node.operand);
      case 'let':
        return this.#address(node.body);
      case 'view-element':
      case 'view-lookup':
      case 'view-page':
      case 'dynamic':
        this.#walked(node);
        return undefined;
      case 'conditional':
        this.#reads(node.condition);
        this.#address(node.whenTrue);
        this.#address(node.whenFalse);
        return { owner: undefined, code: this.#lowered(lowerAddress(node, this.#context)) };
      case 'parts':
      case 'function':
      case 'string':
      case 'fact':
        return undefined;
    }
  }

  /** Where a pointer points to. */
  #pointer(node: Typed): At {
    if (node.kind === 'convert' && numericOf(node.operand.type)?.kind === 'integer') {
      if (sizeOf(node.operand.type) === 8) return this.#pointer(node.operand);
    }
    if (node.kind === 'let') return this.#pointer(node.body);
    if (node.kind === 'bound') {
      const at = this.#boundObject(node);
      if (at !== undefined) return at;
    }
    if (node.kind === 'guarded') {
      this.#reads(node.condition);
      const at = this.#pointer(node.operand);
      const condition = this.#lowered(lowerCondition(node.condition, this.#context));
      return { owner: at.owner, code: guarded(condition, at.code) };
    }
    if (node.kind === 'offset') {
      return this.#indexed(this.#pointer(node.pointer), node.index, node.size, node.subtract);
    }
    if (node.kind === 'address') {
      const at = this.#address(node.operand);
      if (at !== undefined) return at;
    }
    if (isObject(node) && !(node.kind === 'member' && node.bits !== undefined)) {
      const at = this.#covered(node, false);
      if (at !== undefined) return followed(at);
    } else this.#reads(node);
    return { owner: undefined, code: this.#lowered(lowerValue(node, this.#context)) };
  }

  #indexed(at: At, index: Typed, size: number, subtract: boolean): At {
    if (index.kind === 'constant') {
      const distance = wholeOf(index.value) * BigInt(size);
      return moved(at, subtract ? -distance : distance);
    }
    this.#reads(index);
    const out = new OpWriter().raw(at.code).raw(this.#lowered(lowerValue(index, this.#context)));
    if (size !== 1) out.constant(BigInt(size)).op(DW_OP.DW_OP_mul);
    return { owner: at.owner, code: out.op(subtract ? DW_OP.DW_OP_minus : DW_OP.DW_OP_plus).finish() };
  }

  #lowered(result: Uint8Array | Unlowered): Uint8Array {
    if (isUnlowered(result)) throw new Unreachable(result);
    return result;
  }
}

/** Ends the collecting of one value; inside of this file only. */
class Unreachable extends Error {
  override readonly name = 'Unreachable';
  readonly why: Unlowered;

  constructor(why: Unlowered) {
    super(why.unsupported);
    this.why = why;
  }
}

/** Whether a walk finds the object that a node is, or is a part of. */
function isFoundByWalk(node: Typed): boolean {
  if (isWalked(node)) return node.kind !== 'view-page';
  if (node.kind === 'member') return isFoundByWalk(node.object);
  if (node.kind === 'element') return isFoundByWalk(node.array);
  if (node.kind === 'guarded') return isFoundByWalk(node.operand);
  if (node.kind === 'let') return isFoundByWalk(node.body);
  const bound = node.kind === 'dereference' && node.pointer.kind === 'bound' ? node.pointer : undefined;
  return bound !== undefined && isFoundByWalk(bound.object);
}

function bitFieldBytes(bits: { readonly offset: number; readonly size: number }): number {
  return Math.ceil((bits.offset + bits.size) / 8);
}

/** The object that a member or element with a constant index is part of, and how far into it. */
function outermost(node: ObjectNode): { readonly root: ObjectNode; readonly offset: number } {
  let root = node;
  let offset = 0;
  for (;;) {
    if (root.kind === 'member' && isObject(root.object)) {
      offset += root.byteOffset;
      root = root.object;
    } else if (root.kind === 'element' && root.index.kind === 'constant' && isObject(root.array)) {
      offset += Number(wholeOf(root.index.value) * BigInt(root.size));
      root = root.array;
    } else return { root, offset };
  }
}
