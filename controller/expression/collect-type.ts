/** What a value of a type leads to: strings, structs behind pointers, to a depth. The building block of default captures. */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { Limits } from '../../format/limits.js';
import { isCharacter, isVoid, sizeOf, stripType } from '../types/layout.js';
import { elementOf, memberOf, pathText, targetOf, type ValuePath } from '../types/path.js';
import { addressAt, binary, choose, constant, type Recipe } from '../../format/recipe/recipe.js';
import type { Type } from '../types/type.js';
import type { Block, View } from '../types/view.js';
import { viewOf } from '../types/views.js';
import { type Lead, leadsOf, leadsOn, maxFollowedElements, pageLeads } from './follow-view.js';
import type { SlicePage } from './typed.js';
import { lowerRecipe } from './lower-recipe.js';
import { type At, beginningOf, followed, moved, type RangeTree, type TreeRange } from './range-tree.js';
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

/** Follows the pointers that lie in a value; the value's own bytes are collected already. */
export function followValue(type: Type, at: At, path: ValuePath, context: FollowContext): void {
  if (context.nesting > context.limits.maxNesting || context.steps.left-- <= 0) return;
  const view = viewOf(type);
  if (view !== undefined) return followView(view, at, path, context);
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

/** Through a view: characters and elements whatever the depth; what they lead to, and nodes, one level of depth each. */
function followView(view: View, at: At, path: ValuePath, context: FollowContext): void {
  const inner = { ...context, nesting: context.nesting + 1, explicit: false };
  const lower = (recipe: Recipe): Uint8Array | undefined =>
    lowerRecipe(recipe, { kind: 'address', code: at.code });
  for (const lead of leadsOf(view, path, context.limits)) {
    if (context.steps.left-- <= 0) return;
    switch (lead.kind) {
      case 'bytes':
        bytesAt(at, lead, context);
        break;
      case 'pointer': {
        const code = lower(lead.value);
        if (code === undefined || isLong(code) || isCharacter(lead.target)) break;
        followPointer(lead.target, { ...at, code }, lead.path, inner);
        break;
      }
      case 'part':
        if (lead.exists === undefined) followValue(lead.type, moved(at, lead.offset), lead.path, inner);
        else objectAt(at, { ...lead, address: addressAt(lead.offset), exists: lead.exists }, inner);
        break;
      case 'element':
        if (context.depth > 0) objectAt(at, lead, { ...inner, depth: context.depth - 1 });
        break;
      case 'block':
        if (context.depth > 0) followBlocks([{ block: lead.block, at }], lead.path, inner);
        break;
    }
  }
}

/** Elements `from` up to `to` of a sequence, and what they lead to. */
export function followPage(
  { view, from, to }: SlicePage,
  at: At,
  path: ValuePath,
  context: FollowContext,
): void {
  const { limits } = context;
  for (const lead of pageLeads(view, path, { from, to, limits })) {
    if (lead.kind === 'bytes') bytesAt(at, lead, context);
    else if (lead.kind === 'element') objectAt(at, lead, context);
  }
}

/** An object that is not always there is a range of its own, so that what it leads to is only collected where it is. */
function objectAt(
  at: At,
  lead: { readonly type: Type; readonly address: Recipe; readonly exists: Recipe; readonly path: ValuePath },
  context: FollowContext,
): void {
  const { type, address, exists, path } = lead;
  const size = sizeOf(type);
  if (size === undefined || size === 0 || !leadsOn(type, context.limits.maxNesting)) return;
  const maxBytes = Math.min(size, context.limits.maxHitBytes);
  const bytes = choose(exists, constant(maxBytes), constant(0));
  const range = bytesAt(at, { kind: 'bytes', address, bytes, maxBytes, expected: maxBytes, path }, context);
  if (range !== undefined) followValue(type, beginningOf(range), path, context);
}

function bytesAt(
  at: At,
  lead: Extract<Lead, { kind: 'bytes' }>,
  context: FollowContext,
): TreeRange | undefined {
  const base = { kind: 'address', code: at.code } as const;
  const [address, bytes] = [lowerRecipe(lead.address, base), lowerRecipe(lead.bytes, base)];
  if (address === undefined || bytes === undefined || isLong(address) || isLong(bytes)) return undefined;
  return context.tree.ensure(
    { ...at, code: address },
    {
      path: pathText(lead.path),
      length: bytes,
      maxBytes: lead.maxBytes,
      secret: context.isSecret(pathText(lead.path)),
    },
  );
}

/** The near ones first, as many as one container may have. */
function followBlocks(
  first: readonly { readonly block: Block; readonly at: At }[],
  path: ValuePath,
  context: FollowContext,
): void {
  const queue = [...first];
  for (let i = 0; i < queue.length && i < maxBlocks; i++) {
    const pending = queue[i];
    if (pending === undefined) break;
    const { block, at } = pending;
    const { address, maxBytes, holds = [], objects = [], next } = block;
    const bytes = choose(binary(constant(0xffff), '<', address), block.bytes, constant(0));
    const range = bytesAt(at, { kind: 'bytes', address, bytes, maxBytes, expected: maxBytes, path }, context);
    if (range === undefined) continue;
    const beginning = beginningOf(range);
    const inner = { ...context, depth: context.depth - 1 };
    for (const { type, offset } of holds) followValue(type(), moved(beginning, offset), path, inner);
    for (const each of objects) objectAt(at, { ...each, type: each.type(), path }, inner);
    queue.push(...(next?.() ?? []).map((following) => ({ block: following, at: beginning })));
  }
}

/** Of one container: a list is as long as it is, and others are there, too. */
export const maxBlocks = 31;
/** Longer expressions cost the hitting thread more than what they bring is worth. */
export const maxFollowCodeBytes = 1500;

function isLong(code: Uint8Array): boolean {
  return code.length > maxFollowCodeBytes;
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
