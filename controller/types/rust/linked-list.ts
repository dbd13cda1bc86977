/** `LinkedList`: nodes that know both neighbours. */
import { type Absent, absent, isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import type { MemoryReader } from '../../../format/memory.js';
import { nodeChain } from '../blocks.js';
import { sizeOf, stripType } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { computeRecipe, type Recipe } from '../../../format/recipe/recipe.js';
import { decodeInteger } from '../../../format/integer.js';
import type { CompositeType, Type } from '../type.js';
import type { Value } from '../value.js';
import type { ViewContext, WalkedView } from '../view.js';
import { partAt, targetOf, wordOf } from './layout.js';
import { argument } from './vec.js';

interface List {
  readonly head: Recipe;
  readonly length: Recipe;
  readonly element: Type;
  /** Offsets in a node. */
  readonly next: number;
  readonly previous: number;
  readonly content: number;
}

export function linkedListView(type: CompositeType): WalkedView | undefined {
  const element = argument(type, 0);
  const head = optionalPointer(type, 'head');
  const length = wordOf(partAt(type, 'len'));
  const node = head?.target;
  if (element === undefined || head === undefined || length === undefined || node === undefined)
    return undefined;
  const next = optionalPointer(node, 'next');
  const previous = optionalPointer(node, 'prev');
  const content = partAt(node, 'element');
  if (next === undefined || previous === undefined || content === undefined) return undefined;
  const list: List = {
    head: { op: 'field', offset: head.offset, size: 8 },
    length,
    element,
    next: next.offset,
    previous: previous.offset,
    content: content.offset,
  };
  return {
    kind: 'walked',
    noun: 'list',
    length,
    element: () => element,
    blocks: () =>
      nodeChain(list.head, list.next, sizeOf(node) ?? 0, [{ type: () => element, offset: list.content }]),
    walk: (object, context) => walk(object, list, context),
  };
}

/** A member `Option<NonNull<T>>`, which is a pointer that may be null. */
function optionalPointer(
  type: Type,
  name: string,
): { readonly offset: number; readonly target: Type | undefined } | undefined {
  const part = partAt(type, name);
  if (part === undefined) return undefined;
  const option = stripType(part.type);
  const variants =
    option.kind === 'struct' && option.byteSize === 8 ? option.variants?.()?.variants : undefined;
  const some = variants?.flatMap((variant) => variant.members).find((member) => member.name === 'Some');
  if (some === undefined) return undefined;
  return { offset: part.offset, target: targetOf({ type: some.type(), offset: 0 }) };
}

function* walk(object: ObjectView, list: List, { memory }: ViewContext): Generator<Value | Absent> {
  const length = computeRecipe(list.length, object, memory);
  if (isAbsent(length)) return yield length;
  const head = computeRecipe(list.head, object, memory);
  if (isAbsent(head)) return yield head;
  let node = head;
  let before = 0n;
  // NB: a list that leads back to itself ends here, for its nodes would have two nodes before them.
  for (let i = 0n; i < length; i++) {
    if (node === 0n) return yield corrupt(`it ends after ${i} of ${length} elements`);
    const previous = readPointer(node + BigInt(list.previous), memory);
    if (isAbsent(previous)) return yield previous;
    if (previous !== before)
      return yield corrupt(`before ${hex(node)} stands ${hex(previous)}, not ${hex(before)}`);
    const address = BigInt.asUintN(64, node + BigInt(list.content));
    yield { type: list.element, place: { kind: 'memory', address } };
    const next = readPointer(node + BigInt(list.next), memory);
    if (isAbsent(next)) return yield next;
    before = node;
    node = next;
  }
  if (node !== 0n) yield corrupt(`it goes on after ${length} elements`);
}

const corrupt = (why: string): Absent => absent('unreadable', `the list is corrupt: ${why}`);

function readPointer(address: bigint, memory: MemoryReader): bigint | Absent {
  const read = memory.read(BigInt.asUintN(64, address), 8);
  return isAbsent(read) ? read : decodeInteger(read.bytes, false);
}
