/**
 * The blocks of one concrete function: the function, the copies inlined into it, lexical blocks. Like gdb's: a block
 * without code is left out, one that says nothing of addresses belongs to the block around it, and what an abstract instance
 * declares and no concrete DIE speaks of is there too, optimised out.
 */
import { StillframeError } from '../../format/error.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { rangesOf } from '../dwarf/range-list.js';
import type { PcRange } from '../dwarf/sections.js';
import { originChain } from './origin.js';

export interface Block {
  readonly kind: 'function' | 'inlined' | 'lexical';
  readonly die: Die;
  readonly ranges: readonly PcRange[];
  readonly parent: Block | undefined;
  readonly children: Block[];
  /** Variables and parameters, in declaration order. */
  readonly variables: Die[];
  /** Whether it declares anything at all; gdb has no block for one that does not. */
  hasSymbols: boolean;
}

export interface FunctionBlocks {
  readonly root: Block;
  /** DW_TAG_call_site and DW_TAG_GNU_call_site of the whole function. */
  readonly callSites: readonly Die[];
}

/** Builds the tree; throws `limit` when blocks are nested deeper than `maxNesting`. */
export function buildBlocks(functionDie: Die, maxNesting: number): FunctionBlocks {
  const walk: Walk = { callSites: [], maxNesting, entries: 0 };
  const root = newBlock('function', functionDie, rangesOf(functionDie), undefined);
  fill(root, functionDie, walk, 0);
  return { root, callSites: walk.callSites };
}

interface Walk {
  readonly callSites: Die[];
  readonly maxNesting: number;
  /** DIEs placed so far; abstract instances that name each other could make more of them than any file has. */
  entries: number;
}

const maxEntries = 1_000_000;

/** The innermost block that contains an address; the root's own ranges are not looked at. */
export function innermostBlock(root: Block, pc: number): Block {
  let at = root;
  for (;;) {
    const inner = at.children.find((child) => contains(child.ranges, pc));
    if (inner === undefined) return at;
    at = inner;
  }
}

export function contains(ranges: readonly PcRange[], pc: number): boolean {
  return ranges.some((range) => pc >= range.start && pc < range.end);
}

function newBlock(
  kind: Block['kind'],
  die: Die,
  ranges: readonly PcRange[],
  parent: Block | undefined,
): Block {
  return { kind, die, ranges, parent, children: [], variables: [], hasSymbols: false };
}

function fill(block: Block, from: Die, walk: Walk, depth: number): void {
  const { maxNesting } = walk;
  if (depth > maxNesting) {
    throw new StillframeError(
      'limit',
      `cannot read the blocks of a function: more than ${maxNesting} are nested at .debug_info offset 0x${from.offset.toString(16)}`,
    );
  }
  const children = [...from.children()];
  for (const child of children) place(block, child, walk, depth);
  // A concrete instance need not repeat what is gone; gdb shows it as optimised out, from the abstract instance.
  const origin = from.reference(DW_AT.abstract_origin);
  if (origin === undefined) return;
  const abstract = [...origin.children()];
  const spokenOf = new Set(children.flatMap((child, i) => counterparts(child, i, children, abstract)));
  for (const child of abstract) {
    if (!spokenOf.has(child.key)) place(block, child, walk, depth);
  }
}

/** Keys of the abstract DIEs that a concrete child stands for. */
function counterparts(
  child: Die,
  index: number,
  children: readonly Die[],
  abstract: readonly Die[],
): number[] {
  if (isCallSite(child)) return [];
  if (child.has(DW_AT.abstract_origin)) return [...originChain(child)].map((one) => one.key);
  // clang does not say whose copy a lexical block is: where both lists are alike, that of the same place.
  const alike =
    child.tag === DW_TAG.lexical_block &&
    children.length === abstract.length &&
    children.every((one, i) => one.tag === abstract[i]?.tag);
  const same = alike ? abstract[index] : undefined;
  return same === undefined ? [] : [same.key];
}

function isCallSite(die: Die): boolean {
  return die.tag === DW_TAG.call_site || die.tag === DW_TAG.GNU_call_site;
}

function place(block: Block, die: Die, walk: Walk, depth: number): void {
  if (++walk.entries > maxEntries) {
    throw new StillframeError(
      'limit',
      `cannot read the blocks of a function: they have more than ${maxEntries} entries at .debug_info offset 0x${die.offset.toString(16)}`,
    );
  }
  switch (die.tag) {
    case DW_TAG.variable:
    case DW_TAG.formal_parameter:
      block.variables.push(die);
      block.hasSymbols = true;
      return;
    case DW_TAG.lexical_block:
    case DW_TAG.try_block:
    case DW_TAG.catch_block: {
      const ranges = rangesOf(die);
      if (ranges.length > 0) {
        const inner = newBlock('lexical', die, ranges, block);
        fill(inner, die, walk, depth + 1);
        block.children.push(inner);
      } else if (!die.has(DW_AT.low_pc) && !die.has(DW_AT.ranges)) {
        fill(block, die, walk, depth + 1);
      }
      return;
    }
    case DW_TAG.inlined_subroutine: {
      const ranges = rangesOf(die);
      if (ranges.length === 0) return;
      // gdb has no frame for a copy that does not say where it was called.
      const called = die.has(DW_AT.call_line) && die.has(DW_AT.call_file);
      const inner = newBlock(called ? 'inlined' : 'lexical', die, ranges, block);
      fill(inner, die, walk, depth + 1);
      block.children.push(inner);
      return;
    }
    case DW_TAG.call_site:
    case DW_TAG.GNU_call_site:
      walk.callSites.push(die);
      return;
    case DW_TAG.label:
      if (die.has(DW_AT.low_pc)) block.hasSymbols = true;
      return;
    case DW_TAG.structure_type:
    case DW_TAG.union_type:
    case DW_TAG.class_type:
    case DW_TAG.enumeration_type:
    case DW_TAG.typedef:
    case DW_TAG.base_type:
    case DW_TAG.subprogram:
      block.hasSymbols = true;
      return;
    default:
  }
}
