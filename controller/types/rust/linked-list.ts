/** `LinkedList`: nodes that know both neighbours. */
import type { LinkedListWalk } from '../../../format/walk/lists.js';
import { nodeChain } from '../blocks.js';
import { sizeOf, stripType } from '../layout.js';
import type { CompositeType, Type } from '../type.js';
import type { WalkedView } from '../view.js';
import { partAt, targetOf, wordOf } from './layout.js';
import { argument } from './vec.js';

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
  const list: LinkedListWalk = {
    kind: 'linked-list',
    head: { op: 'field', offset: head.offset, size: 8 },
    length,
    next: next.offset,
    previous: previous.offset,
    element: content.offset,
  };
  return {
    kind: 'walked',
    noun: 'list',
    length,
    element: () => element,
    blocks: () =>
      nodeChain(list.head, list.next, sizeOf(node) ?? 0, [{ type: () => element, offset: list.element }]),
    walk: list,
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
