/**
 * Follows a type from an object to whatever its pointers lead to, level by level, so that what is near comes before what is
 * far when the budget ends. The renderer of values follows in the same way: strings always, other pointers to the depth.
 */
import type { Limits } from '../../format/limits.js';
import { asComposite, isCharacter, memberPath, sizeOf, stripType } from '../types/layout.js';
import { captureText, elementOf, memberOf, pathText, targetOf, type ValuePath } from '../types/path.js';
import type { Type } from '../types/type.js';
import {
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
  readonly range?: Draft;
  readonly address: Uint8Array;
}

export class Follower {
  readonly #drafts: Drafts;
  readonly #limits: Limits;
  #level: Pending[] = [];
  #next: Pending[] = [];
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
    const plain = stripType(pointerType);
    if (plain.kind !== 'pointer') return;
    const target = plain.target();
    if (!isFollowed(target, depth)) return;
    const source: PointerSource = { parent: undefined, value, absolute: value };
    this.#enqueue({ source, target, path, depth });
  }

  /** Follows all that is lined up until there is nothing left or the budget is spent. */
  run(): void {
    while (this.#next.length > 0) {
      this.#level = this.#next;
      this.#next = [];
      for (const pending of this.#level) this.#collect(pending);
    }
  }

  #enqueue(pending: Pending): void {
    // What the budget cannot hold is not lined up either: a hostile type could line up for ever.
    if (this.#next.length >= this.#limits.maxRanges) {
      this.#drafts.cut(pathText(targetOf(pending.path)), `more than ${this.#limits.maxRanges} pointers`);
      return;
    }
    this.#next.push(pending);
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

  /** Spares long arrays of numbers the walk. */
  #holdsPointers(type: Type, nesting: number): boolean {
    if (nesting >= this.#limits.maxNesting || ++this.#steps > maxSteps) return false;
    const plain = stripType(type);
    if (plain.kind === 'pointer') return true;
    if (plain.kind === 'array') return this.#holdsPointers(plain.element(), nesting + 1);
    const members = asComposite(plain)?.members() ?? [];
    return members.some((member) => this.#holdsPointers(member.type(), nesting + 1));
  }

  #pointerIn(object: FollowedObject, target: Type, offset: number, path: ValuePath): void {
    const { range } = object;
    if (!isFollowed(target, object.depth)) return;
    // Beyond what was taken of a long object there is nothing to follow.
    if (range !== undefined && offset + 8 > range.maxBytes) return;
    const absolute = loadPointer(object.address, offset);
    const source: PointerSource = {
      parent: range,
      value: range === undefined ? absolute : loadPointer(objectAddress, offset),
      absolute,
    };
    this.#enqueue({ source, target, path, depth: object.depth });
  }
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
