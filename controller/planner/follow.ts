/**
 * Follows a type from an object to whatever its pointers lead to, level by level, so that what is near comes before what is
 * far when the budget ends. The renderer of values follows in the same way: strings always, other pointers to the depth; objects with views through these.
 */
import { createHash } from 'node:crypto';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { Limits } from '../../format/limits.js';
import type { PlanRepeat } from '../../format/plan/repeat.js';
import {
  maxBlocks,
  maxFollowCodeBytes,
  maxUnrolled,
  repeatOf,
  slotBytes,
} from '../expression/collect-type.js';
import { type Lead, leadsOf } from '../expression/follow-view.js';
import { lowerRecipe } from '../expression/lower-recipe.js';
import { OpWriter } from '../expression/op-writer.js';
import { asComposite, isCharacter, memberPath, sizeOf, stripType } from '../types/layout.js';
import {
  captureText,
  elementOf,
  elementsOf,
  memberOf,
  pathText,
  targetOf,
  type ValuePath,
} from '../types/path.js';
import { addressAt, binary, choose, constant, type Recipe } from '../../format/recipe/recipe.js';
import type { Type } from '../types/type.js';
import type { Block, View } from '../types/view.js';
import { viewOf } from '../types/views.js';
import {
  constantLength,
  type Draft,
  type Drafts,
  expectedStringBytes,
  lengthOfTarget,
  loadPointer,
  objectAddress,
  type PointerSource,
} from './draft.js';

/** Members and elements that are looked at in one site; a hostile type has no end of them. */
const maxSteps = 100_000;
interface Pending {
  readonly source: PointerSource;
  readonly target: Type;
  readonly path: ValuePath;
  readonly depth: number;
}

/** An object whose pointers are to be followed: the range that brings it, or an address for one that needs no range. */
export interface FollowedObject {
  readonly type: Type;
  readonly path: ValuePath;
  readonly depth: number;
  /** What its addresses count from. */
  readonly range?: Draft;
  readonly address: Uint8Array;
  /** The same from the range's object address; without it, the range is the object. */
  readonly own?: Uint8Array;
  /** `address` leaves the bytes of the object, which is in a register. */
  readonly isValue?: true;
}

/** Nodes and tables of one container. */
interface PendingBlock {
  readonly object: FollowedObject;
  readonly block: Block;
  readonly path: ValuePath;
  readonly counted: { left: number };
  readonly rank: number;
}

/** An element that is followed when its turn has come. */
interface PendingElement {
  readonly object: FollowedObject;
  readonly element: {
    readonly type: Type;
    readonly address: Recipe;
    readonly exists: Recipe;
    readonly path: ValuePath;
  };
  readonly rank: number;
}

/** Elements of a sequence. */
interface PendingElements {
  readonly object: FollowedObject;
  readonly elements: Extract<Lead, { kind: 'elements' }>;
  readonly rank: number;
}

/** Where elements lie side by side, and how many there are. */
interface Elements {
  readonly type: Type;
  readonly stride: number;
  /** The first of them. */
  readonly value: Uint8Array;
  readonly absolute: Uint8Array;
  readonly count: Uint8Array;
  readonly maxItems: number;
}

type Waiting = Pending | PendingBlock | PendingElement | PendingElements;

export class Follower {
  readonly #drafts: Drafts;
  readonly #limits: Limits;
  #level = 0;
  #waiting: { readonly pending: Waiting; readonly due: number }[] = [];
  #steps = 0;

  constructor(drafts: Drafts, limits: Limits) {
    this.#drafts = drafts;
    this.#limits = limits;
  }

  /** Finds the pointers in an object and lines them up. */
  addObject(object: FollowedObject): void {
    this.#walk(object, object.type, 0, object.path, 0);
  }

  /** Lines up a pointer whose value an expression gives: one in a register, or computed. */
  addPointer(value: Uint8Array, pointerType: Type, path: ValuePath, depth: number): void {
    const view = viewOf(pointerType);
    if (view !== undefined) {
      this.#viewIn({ type: pointerType, path, depth, address: value, isValue: true }, view, 0, 0);
      return;
    }
    const plain = stripType(pointerType);
    if (plain.kind !== 'pointer') return;
    const target = plain.target();
    if (!isFollowed(target, depth)) return;
    const source: PointerSource = { parent: undefined, value, absolute: value };
    this.#enqueue({ source, target, path, depth });
  }

  /** Follows all that is lined up until there is nothing left or the budget is spent. */
  run(): void {
    while (this.#waiting.length > 0) {
      this.#level++;
      const due = this.#waiting.filter((each) => each.due <= this.#level);
      this.#waiting = this.#waiting.filter((each) => each.due > this.#level);
      for (const { pending } of due) this.#take(pending);
    }
  }

  #take(pending: Waiting): void {
    if ('block' in pending) this.#collectBlock(pending);
    else if ('element' in pending) this.#objectAt(pending.object, pending.element);
    else if ('elements' in pending) this.#sequence(pending);
    else this.#collect(pending);
  }

  #sequence({ object, elements }: PendingElements): void {
    const address = sourceOf(object, codeOf(elements.address));
    const count = sourceOf(object, codeOf(elements.count)).value;
    if (isLong(address.value) || isLong(count)) {
      this.#drafts.cut(pathText(elements.path), tooFar);
      return;
    }
    const { value, absolute } = address;
    const { path } = elements;
    this.#elements({ ...object, path }, { ...elements, value, absolute: compact(absolute), count }, 0);
  }

  #enqueue(pending: Waiting): void {
    // What the budget cannot hold is not lined up either: a hostile type could line up for ever.
    if (this.#waiting.length >= this.#limits.maxRanges) {
      const path = pathOf(pending);
      this.#drafts.cut(pathText(path), `more than ${this.#limits.maxRanges} pointers`);
      return;
    }
    // The second and third element are as near as a node of a tree's second level.
    const rank = 'rank' in pending ? Math.ceil(pending.rank / 2) : 0;
    this.#waiting.push({ pending, due: this.#level + 1 + rank });
  }

  #collect({ source, target, path, depth }: Pending): void {
    if (isCharacter(target)) {
      const maxBytes = this.#limits.maxStringBytes;
      this.#drafts.add(source.parent, {
        path: captureText(path),
        address: source.value,
        absolute: source.absolute,
        length: lengthOfTarget(source.value, maxBytes),
        maxBytes,
        untilNul: true,
        expectedBytes: expectedStringBytes(maxBytes),
      });
      return;
    }
    const targetPath = targetOf(path);
    const size = shownSize(target, this.#limits);
    if (size === undefined || size === 0) return;
    const range = this.#drafts.add(source.parent, {
      path: pathText(targetPath),
      address: source.value,
      absolute: source.absolute,
      length: lengthOfTarget(source.value, size),
      maxBytes: size,
      untilNul: false,
      expectedBytes: size,
    });
    if (range === undefined) return;
    this.addObject({ type: target, path: targetPath, depth: depth - 1, range, address: source.absolute });
  }

  #walk(object: FollowedObject, type: Type, offset: number, path: ValuePath, nesting: number): void {
    if (nesting >= this.#limits.maxNesting || ++this.#steps > maxSteps) return;
    const view = viewOf(type);
    if (view !== undefined) {
      this.#viewIn({ ...object, type, path }, view, offset, nesting);
      return;
    }
    const plain = stripType(type);
    switch (plain.kind) {
      case 'pointer':
        this.#pointerIn(object, plain.target(), offset, path);
        return;
      case 'struct':
      case 'union':
      case 'class':
        for (const member of plain.members()) {
          const { byteOffset, type: memberType } = memberPath(member);
          const name = member.name;
          const at = name === undefined ? path : memberOf(path, name);
          this.#walk(object, memberType, offset + byteOffset, at, nesting + 1);
        }
        return;
      case 'array': {
        const element = plain.element();
        const stride = sizeOf(element);
        if (stride === undefined || plain.count === undefined || !this.#holdsPointers(element, 0)) return;
        if (plain.count > maxUnrolled && object.isValue === undefined) {
          const { value, absolute } = sourceOf(movedObject(object, offset), (code) => code);
          const maxItems = Math.min(plain.count, this.#limits.maxElements);
          const array = {
            type: element,
            stride,
            value,
            absolute,
            count: constantLength(plain.count),
            maxItems,
          };
          this.#elements({ ...object, path }, array, nesting);
          return;
        }
        const count = Math.min(plain.count, this.#limits.maxElements);
        for (let i = 0; i < count; i++) {
          this.#walk(object, element, offset + i * stride, elementOf(path, i), nesting + 1);
        }
        return;
      }
      case 'base':
      case 'enum':
      case 'void':
      case 'function':
      case 'unknown':
        break;
    }
  }

  /** What elements lead to, in one loop; `value` is where the first of them lies. */
  #elements(object: FollowedObject, elements: Elements, nesting: number): void {
    const { type, stride, value, absolute, count, maxItems } = elements;
    const path = elementsOf(object.path, maxItems);
    const slot = slotBytes(stride);
    const range = this.#drafts.add(object.range, {
      path: pathText(path),
      address: value,
      absolute,
      length: constantLength(slot),
      maxBytes: slot,
      untilNul: false,
      expectedBytes: slot,
      repeat: { maxItems, count, next: movedCode(objectAddress, stride) },
    });
    if (range === undefined) return;
    const { depth } = object;
    // Of a long element a byte is there, and its pointers are read where they lie.
    this.#walk(
      { type, path, depth, range, address: absolute, own: objectAddress },
      type,
      0,
      path,
      nesting + 1,
    );
  }

  /** Spares long arrays of numbers the walk. */
  #holdsPointers(type: Type, nesting: number): boolean {
    if (nesting >= this.#limits.maxNesting || ++this.#steps > maxSteps) return false;
    if (viewOf(type) !== undefined) return true;
    const plain = stripType(type);
    if (plain.kind === 'pointer') return true;
    if (plain.kind === 'array') return this.#holdsPointers(plain.element(), nesting + 1);
    const members = asComposite(plain)?.members() ?? [];
    return members.some((member) => this.#holdsPointers(member.type(), nesting + 1));
  }

  #pointerIn(object: FollowedObject, target: Type, offset: number, path: ValuePath): void {
    const { range, own } = object;
    if (!isFollowed(target, object.depth)) return;
    // Beyond what was taken of a long object there is nothing to follow.
    if (range !== undefined && own === undefined && offset + 8 > range.maxBytes) return;
    const load: Code = (code, isValue) => {
      if (!isValue) return loadPointer(code, offset);
      return offset === 0 ? code : constantLength(0);
    };
    this.#enqueue({ source: sourceOf(object, load), target, path, depth: object.depth });
  }

  /** `object` is the one with the view, but for where in the followed one it begins. */
  #viewIn(object: FollowedObject, view: View, offset: number, nesting: number): void {
    const at = movedObject(object, offset);
    for (const lead of leadsOf(view, object.path, this.#limits)) {
      if (++this.#steps > maxSteps) return;
      switch (lead.kind) {
        case 'bytes':
          this.#bytesOf(at, lead);
          break;
        case 'pointer': {
          if (!isFollowed(lead.target, at.depth) || isCharacter(lead.target)) break;
          const source = sourceOf(at, codeOf(lead.value));
          if (isLong(source.value)) this.#drafts.cut(pathText(targetOf(lead.path)), tooFar);
          else this.#enqueue({ source, target: lead.target, path: lead.path, depth: at.depth });
          break;
        }
        case 'part':
          this.#partIn(at, lead, nesting);
          break;
        case 'elements':
          if (at.depth > 0)
            this.#enqueue({ object: { ...at, depth: at.depth - 1 }, elements: lead, rank: 0 });
          break;
        case 'block':
          if (at.depth <= 0) break;
          this.#enqueue({
            object: at,
            block: lead.block,
            path: lead.path,
            counted: { left: maxBlocks },
            rank: lead.index,
          });
          break;
      }
    }
  }

  /** A part that is not always there is a range of its own, so that what it leads to is only collected where it is. */
  #partIn(object: FollowedObject, part: Extract<Lead, { kind: 'part' }>, nesting: number): void {
    const { type, offset, exists, path } = part;
    const isAlways = exists === undefined || object.isValue === true;
    if (isAlways) this.#walk(movedObject(object, offset), type, 0, path, nesting + 1);
    else if (this.#holdsPointers(type, 0))
      this.#objectAt(object, { type, address: addressAt(offset), exists, path });
  }

  /** An object that lies somewhere, as a range. */
  #objectAt(
    object: FollowedObject,
    at: { readonly type: Type; readonly address: Recipe; readonly exists: Recipe; readonly path: ValuePath },
  ): void {
    const { type, address, exists, path } = at;
    const size = sizeOf(type);
    if (size === undefined || size === 0) return;
    const maxBytes = Math.min(size, this.#limits.maxHitBytes);
    const bytes = choose(exists, constant(maxBytes), constant(0));
    const range = this.#bytesOf(object, {
      kind: 'bytes',
      address,
      bytes,
      maxBytes,
      expected: maxBytes,
      path,
    });
    if (range === undefined) return;
    const { absolute } = range;
    this.#walk({ type, path, depth: object.depth, range, address: absolute }, type, 0, path, 0);
  }

  #bytesOf(
    object: FollowedObject,
    lead: Extract<Lead, { kind: 'bytes' }>,
    repeat?: PlanRepeat,
  ): Draft | undefined {
    const address = sourceOf(object, codeOf(lead.address));
    const bytes = sourceOf(object, codeOf(lead.bytes));
    if (isLong(address.value) || isLong(bytes.value)) {
      this.#drafts.cut(pathText(lead.path), tooFar);
      return undefined;
    }
    return this.#drafts.add(object.range, {
      path: captureText(lead.path),
      address: address.value,
      absolute: compact(address.absolute),
      absoluteLength: compact(bytes.absolute),
      length: bytes.value,
      maxBytes: lead.maxBytes,
      untilNul: false,
      expectedBytes: lead.expected,
      ...(repeat === undefined ? {} : { repeat }),
    });
  }

  #collectBlock({ object, block, path, counted }: PendingBlock): void {
    if (counted.left-- <= 0) return;
    const { address, bytes, maxBytes, holds = [], objects = [], next } = block;
    const isThere = binary(constant(0xffff), '<', address);
    const repeat = repeatOf(
      block,
      { code: object.own ?? (object.range === undefined ? object.address : objectAddress) },
      this.#limits,
    );
    if (repeat === 'none') {
      this.#drafts.cut(pathText(path), tooFar);
      return;
    }
    const lead = {
      kind: 'bytes',
      address,
      bytes: choose(isThere, bytes, constant(0)),
      maxBytes,
      expected: Math.min(maxBytes, expectedBlockBytes),
      path,
    } as const;
    const range = this.#bytesOf(object, lead, repeat);
    if (range === undefined) return;
    const inner: FollowedObject = {
      type: object.type,
      path,
      depth: object.depth - 1,
      range,
      address: range.absolute,
    };
    for (const { type, offset } of holds) this.#walk(movedObject(inner, offset), type(), 0, path, 0);
    for (const [rank, { type, address: at, exists }] of objects.entries()) {
      const element = { type: type(), address: at, exists, path };
      if (!this.#holdsPointers(element.type, 0)) continue;
      this.#enqueue({ object: { ...object, depth: object.depth - 1 }, element, rank });
    }
    for (const following of next?.() ?? []) {
      this.#enqueue({ object: { ...inner, depth: object.depth }, block: following, path, counted, rank: 0 });
    }
  }
}

function pathOf(pending: Waiting): ValuePath {
  if ('element' in pending) return pending.element.path;
  if ('elements' in pending) return pending.elements.path;
  return 'block' in pending ? pending.path : targetOf(pending.path);
}

const expectedBlockBytes = 256;
const tooFar = 'where it lies takes more steps than a probe should make';

function isLong(code: Uint8Array): boolean {
  return code.length > maxFollowCodeBytes;
}

type Code = (address: Uint8Array, isValue: boolean) => Uint8Array;

/** The value of a recipe over the object at an address; of one in a register that a recipe cannot be over, 0. */
function codeOf(recipe: Recipe): Code {
  return (code, isValue) =>
    lowerRecipe(recipe, { kind: isValue ? 'value' : 'address', code }) ?? constantLength(0);
}

/** What code leaves over an object. */
function sourceOf(object: FollowedObject, code: Code): PointerSource {
  const { range, address, own = objectAddress, isValue = false } = object;
  const absolute = code(address, isValue);
  return { parent: range, value: range === undefined ? absolute : code(own, isValue), absolute };
}

/** What tells one range from another, where it is not run: that of a range within a range. */
function compact(code: Uint8Array): Uint8Array {
  return code.length <= 64 ? code : createHash('sha1').update(code).digest();
}

function movedCode(code: Uint8Array, offset: number): Uint8Array {
  return new OpWriter().raw(code).plus(BigInt(offset)).finish();
}

function movedObject(object: FollowedObject, offset: number): FollowedObject {
  if (offset === 0) return object;
  const { address, own, range, isValue } = object;
  const move = (code: Uint8Array): Uint8Array => {
    if (isValue === undefined) return movedCode(code, offset);
    return new OpWriter()
      .raw(code)
      .constant(BigInt(offset * 8))
      .op(DW_OP.DW_OP_shr)
      .finish();
  };
  return {
    ...object,
    address: move(address),
    ...(range === undefined ? {} : { own: move(own ?? objectAddress) }),
  };
}

function isFollowed(target: Type, depth: number): boolean {
  const { kind } = stripType(target);
  if (kind === 'void' || kind === 'function' || kind === 'unknown') return false;
  return depth > 0 || isCharacter(target);
}

/** Bytes of an object that are shown: of an array, the elements up to the limit. */
export function shownSize(type: Type, limits: Limits): number | undefined {
  const plain = stripType(type);
  if (plain.kind !== 'array' || plain.count === undefined) return sizeOf(type);
  const stride = sizeOf(plain.element());
  if (stride === undefined) return undefined;
  const shown = isCharacter(plain.element())
    ? Math.min(plain.count, Math.max(limits.maxStringBytes, limits.maxElements))
    : Math.min(plain.count, limits.maxElements);
  return shown * stride;
}
