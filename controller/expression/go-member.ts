/** What Go reaches with a dot: names of packages, methods, and members of what is embedded, also by a pointer (Go specification, Selectors). */
import { asComposite, stripType } from '../types/layout.js';
import { languageOf } from '../types/language.js';
import { typeName } from '../types/type-name.js';
import type { CompositeType, Member, Type } from '../types/type.js';
import type { Span } from './ast.js';
import { constantNode, dereferenceNode, placeOf, type Place } from './convert.js';
import { pointingTo } from './check-type.js';
import type { NameScope } from './scope.js';
import { badExpression } from './syntax-error.js';
import type { Typed } from './typed.js';

/** Types that are looked into for one member. */
const maxEmbedded = 1000;
const maxDepth = 16;

const path = /^(?:(["'])(.+)\1\.)?((?:\w+\.)*)\(?(\*?)(\w+)\)?\.(\w+)$/;

/** `main.total`, `main.High`, `time.Now`, `main.(*Circle).Area`, `Square.Area`: undefined where the first name is a variable, or nothing is called so. */
export function goName(scope: NameScope, place: Place): Typed | undefined {
  const text = place.path.replaceAll(/\s+/g, '');
  const parts = path.exec(text);
  if (parts === null) return undefined;
  const [, , quoted, before = '', star = '', owner = '', last = ''] = parts;
  const [first = owner] = before.split('.').filter((each) => each !== '');
  if (quoted === undefined && scope.findVariable(first) !== undefined) return undefined;
  const receiver = star === '' ? owner : `(*${owner})`;
  const name = `${quoted === undefined ? '' : `${quoted}.`}${before}${receiver}.${last}`;
  return pointingTo(place.span, () => named(scope, name, place));
}

function named(scope: NameScope, name: string, place: Place): Typed | undefined {
  const variable = scope.findGlobal(name);
  if (variable !== undefined) return { kind: 'variable', variable, type: variable.type(), ...place };
  const constant = scope.findEnumerator(name);
  if (constant !== undefined) return constantNode(constant.value, constant.type, place);
  return functionNode(scope, name, place);
}

function functionNode(scope: NameScope, name: string, place: Place): Typed | undefined {
  const found = scope.findFunction(name);
  if (found?.type === undefined) return undefined;
  return { kind: 'function', address: found.address, type: found.type, ...place };
}

interface Selector {
  readonly object: Typed;
  readonly composite: CompositeType;
  readonly name: string;
  readonly nameSpan: Span;
  readonly place: Place;
  readonly scope: NameScope;
}

/** A member or method at the least depth that has one; undefined where there is none, or the object is none of Go. */
export function promotedMember(selector: Selector): Typed | undefined {
  const { object, composite, name, nameSpan, place, scope } = selector;
  if (languageOf(composite) !== 'go') return undefined;
  let level: Typed[] = [object];
  let seen = 0;
  for (let depth = 0; depth < maxDepth && level.length > 0; depth++) {
    const found = level.flatMap((node) => {
      const own = membersOf(node).find((member) => member.name === name);
      const of = { node, type: node.type };
      if (own !== undefined) return [{ ...of, result: memberNode(node, own, place) }];
      const method = methodOf(node.type, name, scope, place);
      return method === undefined ? [] : [{ ...of, result: method }];
    });
    const [first, ...more] = found;
    if (first !== undefined && more.length > 0) {
      const candidates = found.map(({ type }) => `${typeName(type)}.${name}`);
      throw badExpression(`"${typeName(composite)}" has more than one "${name}"`, nameSpan, {
        candidates,
        hint: `say by which: ${candidates.join(', ')}`,
      });
    }
    if (first !== undefined) return first.result;
    level = level.flatMap((node) => embeddedIn(node, place));
    seen += level.length;
    if (seen > maxEmbedded) return undefined;
  }
  return undefined;
}

function membersOf(node: Typed): readonly Member[] {
  return asComposite(node.type)?.members() ?? [];
}

function memberNode(object: Typed, member: Member, place: Place): Typed {
  return { kind: 'member', object, byteOffset: member.byteOffset, type: member.type(), ...place };
}

function embeddedIn(node: Typed, place: Place): Typed[] {
  return membersOf(node)
    .filter((member) => member.embedded === true)
    .map((member) => {
      const inner = memberNode(node, member, { ...place, path: `${node.path}.${member.name ?? ''}` });
      const plain = stripType(inner.type);
      return plain.kind === 'pointer' && asComposite(plain.target()) !== undefined
        ? dereferenceNode(inner, placeOf(inner))
        : inner;
    });
}

/** The function of a method of a type or of its pointer. */
function methodOf(type: Type, name: string, scope: NameScope, place: Place): Typed | undefined {
  const whole = typeName(type);
  const dot = whole.indexOf('.', whole.lastIndexOf('/') + 1);
  if (dot < 0 || whole.includes('[')) return undefined;
  const [of, receiver] = [whole.slice(0, dot), whole.slice(dot + 1)];
  return (
    functionNode(scope, `${of}.(*${receiver}).${name}`, place) ??
    functionNode(scope, `${of}.${receiver}.${name}`, place)
  );
}
