/**
 * Rust's `BTreeMap` and `BTreeSet`: nodes of up to 11 keys. A leaf is a `LeafNode`; a node above is an `InternalNode`, which begins with one and has an edge more
 * than keys. Which of both a node is, only its height says, counted from the leaves. Each child knows its parent and its place there: that is checked.
 */
import { type Absent, absent, isAbsent } from '../absent.js';
import { hex } from '../address.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { type Found, further, type WalkContext } from './found.js';
import { computeAll, readWord } from './read.js';

export interface BTreeWalk {
  readonly kind: 'b-tree';
  readonly length: Recipe;
  readonly root: Recipe;
  readonly height: Recipe;
  readonly node: BTreeNode;
  readonly key: NodeColumn;
  /** Undefined of a set, whose keys are its elements. */
  readonly value?: NodeColumn;
}

/** Offsets in a node. */
export interface BTreeNode {
  /** Eight bytes. */
  readonly parent: number;
  /** Two bytes each. */
  readonly parentIndex: number;
  readonly length: number;
  /** Undefined where no debug information describes nodes above the leaves. */
  readonly edges?: number;
  /** Keys that a node has at most. */
  readonly capacity: number;
}

/** Where in a node the first of them is, and how far they are apart. */
export interface NodeColumn {
  readonly offset: number;
  readonly stride: number;
}

/** 2^64 elements would take a tree of height 25. */
const maxHeight = 32n;

export function* walkBTree(
  walk: BTreeWalk,
  object: RecipeObject,
  { memory }: WalkContext,
): Generator<Found | Absent> {
  const length = computeAll([walk.length], object, memory);
  if (isAbsent(length)) return yield length;
  if (length[0] === 0n) return;
  const known = computeAll([walk.root, walk.height], object, memory);
  if (isAbsent(known)) return yield known;
  const [root = 0n, height = 0n] = known;
  if (root === 0n || height > maxHeight)
    return yield corrupt(`${length[0]} elements below a root at ${hex(root)} of height ${height}`);
  const at = { address: root, height: Number(height), parent: undefined, index: 0 };
  yield* walkNode(at, walk, memory);
}

interface NodeAt {
  readonly address: bigint;
  readonly height: number;
  /** Undefined of the root. */
  readonly parent: bigint | undefined;
  readonly index: number;
}

/** Gives true where it could not go on. */
function* walkNode(at: NodeAt, walk: BTreeWalk, memory: MemoryReader): Generator<Found | Absent, boolean> {
  const { node } = walk;
  const edges = at.height === 0 ? 0 : node.edges;
  if (edges === undefined) {
    yield absent('no-debug-info', 'the debug information does not describe the nodes above the leaves');
    return true;
  }
  const length = checkedLength(at, node, memory);
  if (isAbsent(length)) {
    yield length;
    return true;
  }
  for (let i = 0; i <= length; i++) {
    if (at.height > 0) {
      const edge = readWord(memory, at.address + BigInt(edges + i * 8));
      if (isAbsent(edge)) {
        yield edge;
        return true;
      }
      const child = { address: edge, height: at.height - 1, parent: at.address, index: i };
      if (yield* walkNode(child, walk, memory)) return true;
    }
    if (i === length) break;
    yield foundAt(walk, at.address, i);
  }
  return false;
}

function foundAt({ key, value }: BTreeWalk, node: bigint, index: number): Found {
  const element = further(node, key.offset + index * key.stride);
  return value === undefined
    ? { element }
    : { key: element, value: further(node, value.offset + index * value.stride) };
}

/** How many keys a node has; absent where it is not the node that its parent takes it for. */
function checkedLength(at: NodeAt, node: BTreeNode, memory: MemoryReader): number | Absent {
  const length = readWord(memory, at.address + BigInt(node.length), 2);
  if (isAbsent(length)) return length;
  const parent = readWord(memory, at.address + BigInt(node.parent));
  if (isAbsent(parent)) return parent;
  if (length > BigInt(node.capacity) || length === 0n)
    return corrupt(`the node at ${hex(at.address)} says that it has ${length} keys`);
  if (at.parent === undefined)
    return parent === 0n ? Number(length) : corrupt(`the root at ${hex(at.address)} has a parent`);
  const index = readWord(memory, at.address + BigInt(node.parentIndex), 2);
  if (isAbsent(index)) return index;
  if (parent !== at.parent || index !== BigInt(at.index))
    return corrupt(`the node at ${hex(at.address)} is not the child ${at.index} of ${hex(at.parent)}`);
  return Number(length);
}

const corrupt = (why: string): Absent => absent('unreadable', `the tree is corrupt: ${why}`);
