/** What a value of a type leads to: strings, structs behind pointers, to a depth. The building block of default captures. */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { Limits } from '../../format/limits.js';
import { isCharacter, isVoid, sizeOf, stripType } from '../types/layout.js';
import { elementOf, memberOf, pathText, targetOf, type ValuePath } from '../types/path.js';
import type { Type } from '../types/type.js';
import { beginningOf, followed, moved, type At, type RangeTree } from './range-tree.js';
import { OpWriter } from './op-writer.js';

export interface FollowContext {
  readonly tree: RangeTree;
  readonly limits: Limits;
  /** How many pointers to structs may still be followed. */
  readonly depth: number;
  /** The value itself was asked for: what a `void *` points to is brought, too. */
  readonly explicit: boolean;
  /** How many types this one lies in. */
  readonly nesting: number;
  /** Types that may still be looked into: members can double with each level of nesting. */
  readonly steps: { left: number };
  readonly isSecret: (path: string) => boolean;
}

/** For {@link FollowContext.steps}. */
export const maxFollowSteps = 200_000;
const maxStructBytes = 4096;
const maxVoidBytes = 256;
/** Elements of arrays whose pointers are followed. */
export const maxFollowedElements = 16;

/** Follows the pointers that lie in a value; the value's own bytes are collected already. */
export function followValue(type: Type, at: At, path: ValuePath, context: FollowContext): void {
  if (context.nesting > context.limits.maxNesting || context.steps.left-- <= 0) return;
  const plain = stripType(type);
  const inner = { ...context, nesting: context.nesting + 1, explicit: false };
  switch (plain.kind) {
    case 'pointer':
      followPointer(plain.target(), followed(at), path, context);
      return;
    case 'struct':
    case 'class':
      for (const member of plain.members()) {
        if (member.bitSize !== undefined) continue;
        const name = member.name === undefined ? path : memberOf(path, member.name);
        followValue(member.type(), moved(at, member.byteOffset), name, inner);
      }
      return;
    case 'array': {
      const element = plain.element();
      const size = sizeOf(element);
      if (size === undefined || !leadsOn(element, context.limits.maxNesting)) return;
      const count = Math.min(plain.count ?? 0, maxFollowedElements);
      for (let i = 0; i < count; i++) {
        followValue(element, moved(at, i * size), elementOf(path, i), inner);
      }
      return;
    }
    // NB: which member of a union is alive only the program knows; a pointer in it may be anything.
    case 'union':
    case 'base':
    case 'enum':
    case 'void':
    case 'function':
    case 'unknown':
  }
}

/** `at` is where the pointer points to; `path` names the pointer. */
export function followPointer(target: Type, at: At, path: ValuePath, context: FollowContext): void {
  const { limits, depth, explicit } = context;
  const plain = stripType(target);
  if (isCharacter(plain)) {
    const maxBytes = limits.maxStringBytes;
    ensure(at, pathText(path), { length: maxBytes, untilNul: true }, context);
    return;
  }
  if (isVoid(plain)) {
    if (!explicit) return;
    // What it is nobody knows. The string is short where the block is near the end of what is mapped.
    ensure(at, pathText(targetOf(path)), { length: maxVoidBytes }, context);
    ensure(at, pathText(targetOf(path)), { length: limits.maxStringBytes, untilNul: true }, context);
    return;
  }
  const size = sizeOf(plain);
  if (depth <= 0 || size === undefined || size === 0) return;
  const range = ensure(at, pathText(targetOf(path)), { length: size }, context);
  if (range === undefined) return;
  const inner = { ...context, depth: depth - 1, explicit: false };
  followValue(plain, beginningOf(range), targetOf(path), inner);
}

/** What a pointer leads to: nothing where it is null, which is no fault. */
function ensure(
  at: At,
  path: string,
  extent: { readonly length: number; readonly untilNul?: boolean },
  context: FollowContext,
): ReturnType<RangeTree['ensure']> {
  const length = new OpWriter().raw(at.code).op(DW_OP.DW_OP_lit0, DW_OP.DW_OP_ne);
  return context.tree.ensure(at, {
    path,
    length: length.constant(BigInt(extent.length)).op(DW_OP.DW_OP_mul).finish(),
    maxBytes: extent.untilNul === true ? extent.length : Math.min(extent.length, maxStructBytes),
    untilNul: extent.untilNul ?? false,
    secret: context.isSecret(path),
  });
}

/** Whether there can be a pointer to follow in a type. */
function leadsOn(type: Type, maxNesting: number): boolean {
  const plain = stripType(type);
  if (plain.kind === 'array') return maxNesting > 0 && leadsOn(plain.element(), maxNesting - 1);
  return plain.kind === 'pointer' || plain.kind === 'struct' || plain.kind === 'class';
}
