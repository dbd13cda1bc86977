/** std::pair and std::tuple: their parts, under the names or numbers that a program knows them by. */
import { asComposite, sizeOf } from '../layout.js';
import type { CompositeType, Member, Type } from '../type.js';
import type { RecordView, View } from '../view.js';
import { libraryName } from './library-name.js';
import { argument, type Part, partOf } from './part.js';

export function pairView(type: Type): View | undefined {
  const [first, second] = [partOf(type, 'first'), partOf(type, 'second')];
  if (first === undefined || second === undefined) return undefined;
  return { kind: 'record', fields: [field('first', first), field('second', second)] };
}

export function complexView(type: Type): View | undefined {
  const [real, imaginary] = [partOf(type, '__re_'), partOf(type, '__im_')];
  if (real === undefined || imaginary === undefined) return undefined;
  return { kind: 'record', fields: [field('real', real), field('imag', imaginary)] };
}

function field(name: string, part: Part): RecordView['fields'][number] {
  return { name, type: () => part.type, offset: part.offset };
}

/**
 * Each part is in a base that says its number and type: `_Head_base<1, T, false>`, `__tuple_leaf<1, T, false>`. NB: gcc leaves out the template
 * arguments of the tuple itself where it has two parts.
 */
export function tupleView(type: Type): View | undefined {
  const fields: RecordView['fields'][number][] = [];
  const found = leavesOf({ type, offset: 0 });
  for (let i = 0; i < found.size; i++) {
    const part = tupleElement(found.get(i));
    if (part === undefined) return undefined;
    fields.push(field(`${i}`, part));
  }
  const named = asComposite(type)?.origin?.templateArguments().length ?? 0;
  return named === 0 || named === fields.length ? { kind: 'record', fields } : undefined;
}

/** What a leaf holds. An empty class is a base itself, and has no place of its own. */
function tupleElement(leaf: Part | undefined): Part | undefined {
  const element = leaf === undefined ? undefined : argument(leaf.type, 1);
  if (leaf === undefined || element === undefined) return undefined;
  const inside = partOf(leaf, '_M_head_impl') ?? partOf(leaf, '__value_');
  const part = inside ?? leaf;
  return inside === undefined || sizeOf(part.type) === sizeOf(element)
    ? { type: element, offset: part.offset }
    : undefined;
}

/** The first element of a tuple. */
export function firstElement(tuple: Part | undefined): Part | undefined {
  return tuple === undefined ? undefined : tupleElement(leavesOf(tuple).get(0));
}

const maxLeaves = 256;

function leavesOf(tuple: Part): Map<number, Part> {
  const found = new Map<number, Part>();
  const queue: Part[] = [tuple];
  for (let i = 0; i < queue.length && i < maxLeaves * 2 && found.size < maxLeaves; i++) {
    const at = queue[i];
    const composite = at === undefined ? undefined : asComposite(at.type);
    if (at === undefined || composite === undefined) continue;
    for (const member of composite.members()) {
      if (!member.base && member.name !== '__base_') continue;
      const part = { type: member.type(), offset: at.offset + member.byteOffset };
      const number = leafNumber(member);
      if (number !== undefined) found.set(number, part);
      else if (member.name === '__base_' || isTuplePart(part.type)) queue.push(part);
    }
  }
  return found;
}

const leafTemplates: ReadonlySet<string> = new Set(['_Head_base', '__tuple_leaf']);

function leafNumber(member: Member): number | undefined {
  const type = asComposite(member.type());
  if (type === undefined || !leafTemplates.has(templateOf(type))) return undefined;
  const number = type.origin?.templateArguments()[0]?.value;
  return number === undefined ? undefined : Number(number);
}

function isTuplePart(type: Type): boolean {
  const composite = asComposite(type);
  return composite !== undefined && templateOf(composite) === '_Tuple_impl';
}

function templateOf(type: CompositeType): string {
  return type.name === undefined ? '' : (libraryName(type.name) ?? '');
}
