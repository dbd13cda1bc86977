/** What a value of a type leads to: strings, structs behind pointers, to a depth. The building block of default captures. */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { Limits } from '../../format/limits.js';
import type { PlanRepeat } from '../../format/plan/repeat.js';
import { asComposite, isCharacter, isVoid, sizeOf, stripType } from '../types/layout.js';
import {
  elementOf,
  elementsOf,
  followingBy,
  memberOf,
  pathText,
  targetOf,
  type ValuePath,
} from '../types/path.js';
import { addressAt, binary, choose, constant, type Recipe } from '../../format/recipe/recipe.js';
import type { Type } from '../types/type.js';
import type { Block, View } from '../types/view.js';
import { viewOf } from '../types/views.js';
import { type Lead, leadsOf, leadsOn, maxFollowedElements, pageLeads } from './follow-view.js';
import type { SlicePage } from './typed.js';
import { lowerRecipe } from './lower-recipe.js';
import { type At, beginningOf, followed, moved, type RangeTree, type TreeRange } from './range-tree.js';
import { OpWriter } from './op-writer.js';
import { selfLink, type SelfLink } from './self-link.js';

export interface FollowContext {
  readonly tree: RangeTree;
  readonly limits: Limits;
  /** How many pointers to structs may still be followed. */
  readonly depth: number;
  /** The value itself was asked for: what a `void *` points to is brought, too. */
  readonly explicit: boolean;
  /** Somebody asked for it, or for what leads there: lists are followed to their end. */
  readonly isNamed: boolean;
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
      const all = plain.count ?? 0;
      if (all > maxUnrolled) {
        const count = new OpWriter().constant(BigInt(all)).finish();
        followElements(
          element,
          { at, count, maxItems: Math.min(all, context.limits.maxElements), path },
          inner,
        );
        return;
      }
      const count = Math.min(all, maxFollowedElements);
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

/** So few elements are followed one by one. */
export const maxUnrolled = 4;
/** Larger elements are not brought twice: with their array, and as what their pointers are found by. */
const maxSlotBytes = 64;

/** What is brought of an element once more. A byte stands for one whose bytes would be many. */
export function slotBytes(stride: number): number {
  return stride <= maxSlotBytes ? stride : 1;
}

export interface Elements {
  /** The first. */
  readonly at: At;
  /** How many there are, as an expression, and how many are followed at most. */
  readonly count: Uint8Array;
  readonly maxItems: number;
  /** Of what they are elements of. */
  readonly path: ValuePath;
}

/** What elements lead to, in one loop; their bytes are collected already. */
export function followElements(type: Type, elements: Elements, context: FollowContext): void {
  const { at, count, maxItems, path } = elements;
  const stride = sizeOf(type);
  if (stride === undefined || stride === 0 || maxItems === 0) return;
  if (!leadsOn(type, context.limits.maxNesting)) return;
  const own = elementsOf(path, maxItems);
  const slot = context.tree.ensure(at, {
    path: pathText(own),
    length: slotBytes(stride),
    maxBytes: slotBytes(stride),
    secret: context.isSecret(pathText(path)),
    repeat: { maxItems, count, next: moved(objectItself, stride).code },
  });
  if (slot !== undefined) followValue(type, beginningOf(slot), own, context);
}

const objectItself: At = { owner: undefined, code: Uint8Array.of(DW_OP.DW_OP_push_object_address) };

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
      case 'elements':
        if (context.depth > 0) elementsAt(at, lead, { ...inner, depth: context.depth - 1 });
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
    else if (lead.kind === 'elements') elementsAt(at, lead, context);
  }
}

function elementsAt(at: At, lead: Extract<Lead, { kind: 'elements' }>, context: FollowContext): void {
  const base = { kind: 'address', code: at.code } as const;
  const [address, count] = [lowerRecipe(lead.address, base), lowerRecipe(lead.count, base)];
  if (address === undefined || count === undefined || isLong(address) || isLong(count)) return;
  const { maxItems, path } = lead;
  followElements(lead.type, { at: { ...at, code: address }, count, maxItems, path }, context);
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
  repeat?: PlanRepeat,
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
      ...(repeat === undefined ? {} : { repeat }),
    },
  );
}

/** Undefined of a block that is one; `none` where what it would take is too much. */
export function repeatOf(
  { again }: Block,
  { code }: Pick<At, 'code'>,
  limits: Limits,
): PlanRepeat | 'none' | undefined {
  if (again === undefined) return undefined;
  const next = lowerRecipe(again.next, { kind: 'address', code: objectItself.code });
  const count = again.count === undefined ? undefined : lowerRecipe(again.count, { kind: 'address', code });
  if (next === undefined || isLong(next)) return 'none';
  if (again.count === undefined) return { maxItems: limits.maxElements, next };
  return count === undefined || isLong(count) ? 'none' : { maxItems: limits.maxElements, count, next };
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
    const lead = { kind: 'bytes', address, bytes, maxBytes, expected: maxBytes, path } as const;
    const repeat = repeatOf(block, at, context.limits);
    if (repeat === 'none') continue;
    const range = bytesAt(at, lead, context, repeat);
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
  const link = context.isNamed ? selfLink(plain) : undefined;
  if (link !== undefined) return followList(plain, link, at, path, context);
  const range = ensure(at, pathText(targetOf(path)), { length: size }, context);
  if (range === undefined) return;
  const inner = { ...context, depth: depth - 1, explicit: false };
  followValue(plain, beginningOf(range), targetOf(path), inner);
}

/** Of all nodes of a list together, so that lists of large ones leave room for what else is wanted. */
const maxListBytes = 32 * 1024;

/** All nodes, and what their other members lead to. */
function followList(node: Type, link: SelfLink, at: At, path: ValuePath, context: FollowContext): void {
  const { limits, depth } = context;
  const size = Math.min(sizeOf(node) ?? 0, maxStructBytes);
  const next = lowerRecipe(link.pointer, {
    kind: 'address',
    code: moved(objectItself, link.byteOffset).code,
  });
  if (next === undefined || isLong(next)) return;
  const fitting = Math.max(maxUnrolled, Math.floor(maxListBytes / size));
  const own = followingBy(path, link.name);
  const repeat = { maxItems: Math.min(limits.maxElements, fitting), next };
  const range = ensure(at, pathText(own), { length: size, repeat }, context);
  if (range === undefined) return;
  const inner = { ...context, depth: depth - 1, explicit: false, nesting: context.nesting + 1 };
  const beginning = beginningOf(range);
  for (const { name, byteOffset, bitSize, type } of asComposite(node)?.members() ?? []) {
    if (bitSize !== undefined || link.others.has(byteOffset)) continue;
    followValue(type(), moved(beginning, byteOffset), name === undefined ? own : memberOf(own, name), inner);
  }
}

/** What a pointer leads to: nothing where it is null, which is no fault. */
function ensure(
  at: At,
  path: string,
  extent: { readonly length: number; readonly untilNul?: boolean; readonly repeat?: PlanRepeat },
  context: FollowContext,
): ReturnType<RangeTree['ensure']> {
  const length = new OpWriter().raw(at.code).op(DW_OP.DW_OP_lit0, DW_OP.DW_OP_ne);
  return context.tree.ensure(at, {
    path,
    length: length.constant(BigInt(extent.length)).op(DW_OP.DW_OP_mul).finish(),
    maxBytes: extent.untilNul === true ? extent.length : Math.min(extent.length, maxStructBytes),
    untilNul: extent.untilNul ?? false,
    ...(extent.repeat === undefined ? {} : { repeat: extent.repeat }),
    secret: context.isSecret(path),
  });
}
