/**
 * The type of a container's nodes. The container itself only knows what nodes begin with; but its allocator is one of nodes, and says so by its
 * template argument. Where nothing says it the container has no view: where an element lies in a node is not guessed.
 */
import { asComposite, sizeOf } from '../layout.js';
import type { CompositeType, Type } from '../type.js';
import { libraryName } from './library-name.js';
import { firstPartOf, type Part } from './part.js';

/**
 * The node that an allocator is for, where the allocator is a template argument of the part of a container that holds it, of a base of that or of a
 * member: `std::allocator<std::_List_node<int>>`.
 */
export function nodeOf(holder: Part | undefined, template: string): CompositeType | undefined {
  const composite = holder === undefined ? undefined : asComposite(holder.type);
  if (composite === undefined) return undefined;
  for (const type of [composite, ...composite.members().map((member) => member.type())]) {
    for (const outer of [type, ...argumentsOf(type)]) {
      for (const inner of [outer, ...argumentsOf(outer)]) {
        const node = asComposite(inner);
        if (node?.name !== undefined && libraryName(node.name) === template)
          return node.incomplete ? undefined : node;
      }
    }
  }
  return undefined;
}

/** Template arguments of a type; of one that says none those of its bases, for gcc leaves them out of std::allocator. */
function argumentsOf(type: Type): Type[] {
  const composite = asComposite(type);
  const own = templateArgumentsOf(composite);
  if (own.length > 0 || composite === undefined) return own;
  const bases = composite.members().filter(({ base }) => base);
  return bases.flatMap((base) => templateArgumentsOf(asComposite(base.type())));
}

function templateArgumentsOf(type: CompositeType | undefined): Type[] {
  return (type?.origin?.templateArguments() ?? []).map((each) => each.type());
}

/** Where the element lies in a node; undefined where the node has no room for it there. */
export function valueOffset(node: Type | undefined, element: Type | undefined): number | undefined {
  if (node === undefined || element === undefined) return undefined;
  const part = firstPartOf(node, ['_M_storage'], ['__value_'], ['_M_data']);
  const [whole, size] = [sizeOf(node), sizeOf(element)];
  if (part === undefined || whole === undefined || size === undefined) return undefined;
  return part.offset + size <= whole ? part.offset : undefined;
}
