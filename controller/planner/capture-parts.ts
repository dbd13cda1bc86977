/** Captures what lies in several pieces, as results in registers do, part by part: what its pointers lead to, and the text of its strings. */
import { countedText } from '../expression/check-text.js';
import type { Collector } from '../expression/collect.js';
import { hasPieces, partOf } from '../expression/lower-part.js';
import type { MemberNode, SliceNode, Typed } from '../expression/typed.js';
import { dataNode, lengthNode } from '../expression/view-node.js';
import { asComposite, asPointer, sizeOf } from '../types/layout.js';
import type { Site } from './site.js';

/** Members of one object that are looked into, and how deep. */
const maxMembers = 32;
const maxNesting = 4;

/** Whether a node is of a variable that lies in several pieces at the site. */
export function isInPieces(site: Site, node: Typed): boolean {
  const part = partOf(node);
  return part !== undefined && hasPieces(part.variable.locationAt(site.address));
}

/** False where nothing of it can be had. */
export function captureParts(collector: Collector, node: Typed, depth: number, nesting: number): boolean {
  const text = textOf(node);
  if (text !== undefined) return collector.capture(text, depth) === undefined;
  const members = asComposite(node.type)?.members() ?? [];
  let found = false;
  for (const { name, byteOffset, bitSize, type } of members.slice(0, maxMembers)) {
    if (name === undefined || bitSize !== undefined) continue;
    const path = `${node.path}.${name}`;
    const part: MemberNode = {
      kind: 'member',
      object: node,
      byteOffset,
      type: type(),
      span: node.span,
      path,
    };
    const isCaptured =
      collector.capture(part, depth) === undefined ||
      (nesting < maxNesting && captureParts(collector, part, depth, nesting + 1));
    found ||= isCaptured;
  }
  return found;
}

/** The characters of a string that says its length. */
function textOf(node: Typed): SliceNode | undefined {
  const counted = countedText(node);
  if (counted === undefined) return undefined;
  const pointer = dataNode(counted.view, counted.object);
  const element = asPointer(pointer.type)?.target();
  if (element === undefined) return undefined;
  return {
    kind: 'slice',
    type: { kind: 'array', element: () => element },
    pointer,
    count: lengthNode(counted.view, counted.object),
    size: sizeOf(element) ?? 1,
    span: node.span,
    path: node.path,
  };
}
