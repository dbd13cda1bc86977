/**
 * Gives every part of an expression its type by C's rules (C11 6.5) and every name its meaning, or says what is wrong and where.
 * Names mean, in this order: locals (innermost first), parameters, statics of the file, globals, enumerators, functions.
 */
import { StillframeError } from '../../format/error.js';
import { x86_64Machine } from '../../format/registers/x86-64.js';
import { findClassMember, hasMember } from '../types/class-member.js';
import { asComposite, elementCount, isComposite, memberNames, sizeOf, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import type { Type } from '../types/type.js';
import { viewOf } from '../types/views.js';
import type {
  ConditionalExpression,
  Expression,
  FloatLiteral,
  IntegerLiteral,
  MemberExpression,
  NameExpression,
  RegisterExpression,
  SizeofExpression,
  Span,
  UnaryExpression,
} from './ast.js';
import {
  builtinType,
  charType,
  doubleType,
  floatType,
  intType,
  isIntegral,
  longDoubleType,
  longType,
  numericOf,
  pointerTo,
  unsignedIntType,
  unsignedLongType,
} from './c-types.js';
import { checkBinary, commonPointer, isNumberOfRust, lentValue, ofLanguage } from './check-binary.js';
import { checkIndex, checkRepeat, checkSlice } from './check-slice.js';
import { checkCall } from './check-method.js';
import { partsUnary } from './check-parts.js';
import { checkAssertion, checkCast } from './check-cast.js';
import { isSameType } from './class-cast.js';
import { derivedHint } from './derived-hint.js';
import { pointingTo, resolveType, typeCalled } from './check-type.js';
import { alternativeMember, heldNode, ownerOf, recordMember, valueOf } from './check-view.js';
import {
  addressOf,
  balanced,
  complemented,
  constantNode,
  convert,
  decay,
  dereferenceNode,
  negated,
  promoted,
  scalarOperand,
  throughReference,
  type Place,
} from './convert.js';
import { goName, promotedMember } from './go-member.js';
import { didYouMean, nearMatches } from './near-match.js';
import { parseExpression } from './parser.js';
import { findArgument, findRegister, registerNames } from './registers.js';
import type { NameScope } from './scope.js';
import { badExpression } from './syntax-error.js';
import type { Typed } from './typed.js';
import { binary32, WideFloat, x87 } from './wide-float.js';
import { asOperand, asTruth, viewedAs, virtualBaseNode } from './view-node.js';

/** Parses and checks; throws `bad-expression` pointing into the text. */
export function checkExpression(text: string, scope: NameScope): Typed {
  const isValue = (name: string): boolean =>
    isKnown(() => scope.findVariable(name)) || scope.findEnumerator(name) !== undefined;
  const isType = (name: string): boolean =>
    // Types of packages are Go's: elsewhere a dot takes a member.
    (!name.includes('.') || scope.language === 'go') &&
    !isValue(name) &&
    isKnown(() => typeCalled(name, scope));
  return new Checker(text, scope).check(parseExpression(text, { isType, isValue }));
}

/** Also where several are known, and the scope complains of that: whoever takes one of them says so at its place. */
function isKnown(find: () => unknown): boolean {
  try {
    return find() !== undefined;
  } catch (error) {
    if (error instanceof StillframeError && error.code === 'bad-expression') return true;
    throw error;
  }
}

/** As `checkExpression`, and the result can be true or false. */
export function checkCondition(text: string, scope: NameScope): Typed {
  const node = decay(asTruth(checkExpression(text, scope)));
  if (numericOf(node.type) === undefined) {
    throw badExpression(`a condition must be a number or a pointer, not "${typeName(node.type)}"`, node.span);
  }
  return node;
}

const pseudoConstants: ReadonlyMap<string, readonly [bigint, Type]> = new Map<
  string,
  readonly [bigint, Type]
>([
  ['NULL', [0n, pointerTo({ kind: 'void' })]],
  ['nullptr', [0n, pointerTo({ kind: 'void' })]],
  ['nil', [0n, pointerTo({ kind: 'void' })]],
  ['null', [0n, pointerTo({ kind: 'void' })]],
  ['None', [0n, pointerTo({ kind: 'void' })]],
  ['nullopt', [0n, pointerTo({ kind: 'void' })]],
  ['std::nullopt', [0n, pointerTo({ kind: 'void' })]],
  ['true', [1n, builtinType('_Bool') ?? intType]],
  ['false', [0n, builtinType('_Bool') ?? intType]],
]);

const codePointType: Type = { kind: 'base', name: 'char32_t', byteSize: 4, encoding: 'utf' };

/** A function of the symbol table: nothing is known of its type. */
const unknownFunction: Type = {
  kind: 'function',
  result: () => intType,
  parameters: () => [],
  prototyped: false,
  variadic: false,
};

const returnHint = 'set a point at FUNCTION:return, and look at its innermost frame';

export class Checker {
  readonly text: string;
  readonly scope: NameScope;

  constructor(text: string, scope: NameScope) {
    this.text = text;
    this.scope = scope;
  }

  place(span: Span): Place {
    const { start, end } = span;
    return { span: { start, end }, path: this.text.slice(start, end) };
  }

  /** The node with its declared type: arrays not decayed, nothing promoted. */
  check(expression: Expression): Typed {
    switch (expression.kind) {
      case 'integer':
        return constantNode(expression.value, integerType(expression), this.place(expression));
      case 'float': {
        return floatLiteral(expression, this.place(expression));
      }
      case 'character':
        // A character constant has type `int` in C; as in gdb it shows as a character.
        return constantNode(
          expression.value,
          expression.value > 127n ? codePointType : charType,
          this.place(expression),
        );
      case 'string': {
        const bytes = Uint8Array.of(...expression.bytes, 0);
        const type: Type = { kind: 'array', element: () => charType, count: bytes.length };
        return { kind: 'string', bytes, type, ...this.place(expression) };
      }
      case 'name':
        return this.#name(expression);
      case 'register':
        return this.#register(expression);
      case 'member':
        return this.#member(expression);
      case 'unary':
        return this.#unary(expression);
      case 'index':
        return checkIndex(this, expression);
      case 'slice':
        return checkSlice(this, expression);
      case 'repeat':
        return checkRepeat(this, expression);
      case 'cast':
        return checkCast(this, expression);
      case 'assertion':
        return checkAssertion(this, expression);
      case 'binary':
        return checkBinary(this, expression);
      case 'conditional':
        return this.#conditional(expression);
      case 'sizeof':
        return this.#sizeof(expression);
      case 'call':
        return checkCall(this, expression);
    }
  }

  /** An index or a count: any integer, as a `long`. */
  integer(expression: Expression, what: string): Typed {
    const node = asOperand(this.check(expression));
    if (!isIntegral(node.type)) {
      throw badExpression(`${what} must be an integer, not "${typeName(node.type)}"`, node.span);
    }
    return convert(promoted(node), longType);
  }

  #name(expression: NameExpression): Typed {
    const { name, file } = expression;
    const place = this.place(expression);
    const variable = pointingTo(expression, () =>
      expression.global ? this.scope.findGlobal(name, file) : this.scope.findVariable(name, file),
    );
    const own = file === undefined && !expression.global ? this.#ownMember(expression, variable) : undefined;
    if (own !== undefined) return own;
    if (variable !== undefined) {
      return throughReference({ kind: 'variable', variable, type: variable.type(), ...place });
    }
    const enumerator = file === undefined ? this.scope.findEnumerator(name) : undefined;
    if (enumerator !== undefined) {
      return { ...constantNode(enumerator.value, enumerator.type, place), enumerator: true };
    }
    const target = pointingTo(expression, () => this.scope.findFunction(name, file));
    if (target !== undefined) {
      const type = target.type ?? unknownFunction;
      return { kind: 'function', address: target.address, type, ...place };
    }
    if (file === undefined) {
      const pseudo = pseudoConstants.get(name);
      if (pseudo !== undefined) return constantNode(pseudo[0], pseudo[1], place);
      if (isKnown(() => this.scope.findType(name))) {
        throw badExpression(`"${name}" is a type, not a value`, place.span, {
          hint: `cast with (${name} *)p, or take sizeof(${name})`,
        });
      }
    }
    const candidates = nearMatches(name, this.scope.names());
    throw badExpression(
      file === undefined ? `no variable "${name}" in scope` : `no variable "${name}" in file "${file}"`,
      place.span,
      { hint: didYouMean(candidates), candidates },
    );
  }

  /** In a method, a member of the object comes after the locals and before what is global, as in C++. */
  #ownMember(expression: NameExpression, variable: VariableSymbol | undefined): Typed | undefined {
    const { name } = expression;
    const self = name === 'this' ? undefined : this.scope.findVariable('this');
    if (self === undefined) return undefined;
    const isLocal = variable !== undefined && this.#globalNamed(name) !== variable;
    const plain = stripType(self.type());
    if (isLocal || plain.kind !== 'pointer') return undefined;
    // In C it is a name like any other.
    if (asComposite(plain.target())?.tagless !== true || !hasMember(plain.target(), name)) return undefined;
    const place = this.place(expression);
    const pointer: Typed = { kind: 'variable', variable: self, type: self.type(), ...place, path: 'this' };
    const object = dereferenceNode(pointer, { span: place.span, path: '*this' });
    const nameSpan = place.span;
    return this.memberOf(
      object,
      { kind: 'member', object: expression, arrow: true, name, nameSpan, ...nameSpan },
      place,
    );
  }

  #globalNamed(name: string): VariableSymbol | undefined {
    try {
      return this.scope.findGlobal(name);
    } catch (error) {
      // Several files have one: then what was found is one of them.
      if (error instanceof StillframeError && error.code === 'bad-expression') return undefined;
      throw error;
    }
  }

  #register(expression: RegisterExpression): Typed {
    const { name } = expression;
    const place = this.place(expression);
    if (name === 'tid' || name === 'pid') return { kind: 'fact', fact: name, type: intType, ...place };
    if (name === 'comm') {
      const type: Type = { kind: 'array', element: () => charType, count: 16 };
      return { kind: 'fact', fact: name, type, ...place };
    }
    if (name === 'return') return this.#returnValue(place);
    if (name === 'duration') return this.#duration(place);
    const machine = this.scope.machine ?? x86_64Machine;
    const argument = findArgument(name, machine);
    if (argument !== undefined) this.#checkArgument(name, place.span);
    const found = argument ?? findRegister(name, machine);
    if (found !== undefined) {
      const { register, shift, type } = found;
      return { kind: 'register', register, shift, type, ...place };
    }
    const known = ['tid', 'pid', 'comm', 'return', 'duration', ...registerNames(machine)];
    const candidates = nearMatches(name, known).map((candidate) => `$${candidate}`);
    throw badExpression(`no register "$${name}"`, place.span, {
      candidates,
      hint:
        didYouMean(candidates) ??
        `general registers are ${machine.viewsHint}; facts are $tid, $pid, $comm, and at returns $return and $duration`,
    });
  }

  #returnValue(place: { readonly span: Span; readonly path: string }): Typed {
    const found = this.scope.returnValue?.() ?? 'there is no frame at hand';
    if (typeof found !== 'string') return { kind: 'variable', variable: found, type: found.type(), ...place };
    throw badExpression(`$return is not known: ${found}`, place.span, { hint: returnHint });
  }

  #duration(place: { readonly span: Span; readonly path: string }): Typed {
    const { whyNoDuration } = this.scope;
    const why = whyNoDuration === undefined ? 'there is no frame at hand' : whyNoDuration();
    if (why === undefined) return { kind: 'fact', fact: 'duration', type: longType, ...place };
    throw badExpression(`$duration is not known: ${why}`, place.span, { hint: returnHint });
  }

  #checkArgument(name: string, span: Span): void {
    const { whyNoArguments } = this.scope;
    const why = whyNoArguments === undefined ? 'there is no frame at hand' : whyNoArguments();
    if (why === undefined) return;
    throw badExpression(`$${name} is not known: ${why}`, span, {
      hint: 'set the point at *ADDRESS, the first of the function; in a snapshot, only the innermost frame can have it',
    });
  }

  #member(expression: MemberExpression): Typed {
    const { name, arrow } = expression;
    const place = this.place(expression);
    const dotted = this.#dottedName(expression);
    if (dotted !== undefined) return dotted;
    let object = this.check(expression.object);
    const plain = stripType(object.type);
    const owner = ownerOf(object, name, arrow);
    if (owner !== object) object = this.#pointed(owner);
    else if (plain.kind === 'pointer' || (arrow && plain.kind === 'array')) object = this.#pointed(object);
    else if (arrow) {
      const value = viewedAs(object, 'variant');
      const held =
        value === undefined ? undefined : valueOf(value, object, { span: object.span, path: object.path });
      if (held !== undefined)
        return this.memberOf(this.#pointed(ownerOf(held, name, false)), expression, place);
      throw badExpression(`"${typeName(object.type)}" is not a pointer`, object.span, {
        hint: isComposite(object.type) ? `use "." for a member of it` : undefined,
      });
    }
    return this.memberOf(object, expression, place);
  }

  /** Go's `main.counter`: a package is no object. */
  #dottedName(expression: MemberExpression): Typed | undefined {
    const { object, name, arrow, start, end } = expression;
    if (arrow) return undefined;
    if (this.scope.language === 'go') {
      const found = goName(this.scope, this.place(expression));
      if (found !== undefined) return found;
    }
    if (object.kind !== 'name' || object.global || object.file !== undefined) return undefined;
    const whole = `${object.name}.${name}`;
    if (this.scope.findVariable(object.name) !== undefined || this.scope.findGlobal(whole) === undefined) {
      return undefined;
    }
    return this.#name({ kind: 'name', name: whole, global: true, start, end });
  }

  /** The object that a pointer leads to, and then whatever has the member behind smart pointers. */
  #pointed(object: Typed): Typed {
    const { kind } = stripType(object.type);
    if (viewOf(object.type) !== undefined || (kind !== 'pointer' && kind !== 'array')) return object;
    const pointer = decay(object);
    return dereferenceNode(pointer, { span: pointer.span, path: `*${pointer.path}` });
  }

  memberOf(from: Typed, expression: MemberExpression, place: Place): Typed {
    const { name, nameSpan } = expression;
    const object = ownerOf(from, name, false);
    const viewed = recordMember(object, name, place) ?? alternativeMember(object, name, nameSpan, place);
    if (viewed !== undefined) return viewed;
    if (viewedAs(object, 'dynamic') !== undefined && !hasMember(object.type, name)) {
      throw badExpression(`what type "${object.path}" holds only the process knows`, nameSpan, {
        hint: `say which: ${object.path}.(TYPE).${name}`,
      });
    }
    const composite = stripType(object.type);
    if (composite.kind !== 'struct' && composite.kind !== 'union' && composite.kind !== 'class') {
      throw badExpression(
        `cannot take member "${name}" of "${typeName(object.type)}": it is not a struct or union`,
        nameSpan,
      );
    }
    if (composite.incomplete) {
      throw badExpression(
        `cannot take member "${name}" of "${typeName(object.type)}": only its declaration is known`,
        nameSpan,
      );
    }
    const embedded = promotedMember({ object, composite, name, nameSpan, place, scope: this.scope });
    if (embedded !== undefined) return embedded;
    const found = findClassMember(composite, name);
    if (found?.kind === 'ambiguous') {
      throw badExpression(`"${typeName(composite)}" has more than one "${name}"`, nameSpan, {
        candidates: found.candidates,
        hint: `say of which base: ${found.candidates.join(', ')}`,
      });
    }
    if (found === undefined) {
      const candidates = nearMatches(name, memberNames(composite));
      const { path } = this.place(expression.object);
      const derived = derivedHint({
        object,
        path,
        isPointer: !isSameType(this.check(expression.object).type, object.type),
        name,
        wholeTypeOf: this.scope.wholeTypeOf,
      });
      throw badExpression(`"${typeName(composite)}" has no member "${name}"`, nameSpan, {
        candidates,
        hint: derived?.isKnown === true ? derived.hint : (didYouMean(candidates) ?? derived?.hint),
      });
    }
    const { type, byteOffset, bits } = found.path;
    return throughReference({
      kind: 'member',
      object: virtualBaseNode(object, found.via),
      byteOffset,
      ...(bits === undefined ? {} : { bits }),
      type,
      ...place,
    });
  }

  #unary(expression: UnaryExpression): Typed {
    const { operator } = expression;
    const place = this.place(expression);
    const checked = this.check(expression.operand);
    const operand = operator === '*' || operator === '&' ? checked : lentValue(asOperand(checked));
    switch (operator) {
      case '*': {
        const held = heldNode(operand, place);
        if (held !== undefined) return held;
        if (viewedAs(operand, 'dynamic') !== undefined) {
          throw badExpression(`what type "${operand.path}" holds only the process knows`, operand.span, {
            hint: `say which: ${operand.path}.(TYPE)`,
          });
        }
        const plain = stripType(operand.type);
        return plain.kind === 'function' ? operand : dereferenceNode(decay(operand), place);
      }
      case '&':
        return addressOf(operand, place);
      case '!':
        if (this.scope.language === 'rust' && isNumberOfRust(operand)) {
          return ofLanguage(this, complemented(promoted(operand), place), operand);
        }
        return { kind: 'not', operand: scalarOperand(asTruth(operand), '"!"'), type: intType, ...place };
      case '+':
      case '-':
      case '~': {
        const ofParts = partsUnary(operator, operand, place);
        if (ofParts !== undefined) return ofParts;
        const numeric = numericOf(operand.type);
        const wrong = operator === '~' ? numeric?.kind !== 'integer' : numeric === undefined;
        if (wrong || stripType(operand.type).kind === 'pointer') {
          throw badExpression(`cannot apply "${operator}" to "${typeName(operand.type)}"`, operand.span);
        }
        const value = { ...promoted(operand), ...place };
        if (operator === '+') return value;
        const made = operator === '-' ? negated(value, place) : complemented(value, place);
        return ofLanguage(this, made, operand);
      }
    }
  }

  #conditional(expression: ConditionalExpression): Typed {
    const place = this.place(expression);
    const condition = scalarOperand(asTruth(this.check(expression.condition)), '"?:"');
    const then = this.check(expression.whenTrue);
    const otherwise = this.check(expression.whenFalse);
    const make = (a: Typed, b: Typed, type: Type): Typed => {
      return { kind: 'conditional', condition, whenTrue: a, whenFalse: b, type, ...place };
    };
    if (isComposite(then.type) && stripType(then.type) === stripType(otherwise.type)) {
      return make(then, otherwise, then.type);
    }
    const [a, b] = [decay(then), decay(otherwise)];
    const pointer = commonPointer(a, b);
    if (pointer !== undefined) return make(convert(a, pointer), convert(b, pointer), pointer);
    const isNumber = (node: Typed): boolean =>
      numericOf(node.type) !== undefined && stripType(node.type).kind !== 'pointer';
    if (!isNumber(a) || !isNumber(b)) {
      throw badExpression(
        `the two sides of "?:" are "${typeName(then.type)}" and "${typeName(otherwise.type)}"`,
        place.span,
      );
    }
    const [x, y] = balanced(a, b);
    return make(x, y, x.type);
  }

  #sizeof(expression: SizeofExpression): Typed {
    const place = this.place(expression);
    const { operand } = expression;
    let type: Type;
    if (operand.kind === 'type') type = resolveType(operand.type, this.scope);
    else {
      const node = this.check(operand.expression);
      if (node.kind === 'member' && node.bits !== undefined) {
        throw badExpression('cannot take the size of a bit field', node.span);
      }
      type = node.kind === 'constant' && node.enumerator ? intType : node.type;
    }
    const size = sizeOf(type);
    if (size === undefined) {
      const why = elementCount(type) === undefined && stripType(type).kind === 'array' ? ' here' : '';
      throw badExpression(`the size of "${typeName(type)}" is not known${why}`, place.span);
    }
    return constantNode(BigInt(size), unsignedLongType, place);
  }
}

/** C11 6.4.4.1p5: the first type of the list that the value fits. */
function integerType(literal: IntegerLiteral): Type {
  const { value, decimal, unsigned, longs } = literal;
  const fits = (bits: number): boolean => value < 1n << BigInt(bits);
  const long = longs === 2 ? (builtinType('long long') ?? longType) : longType;
  const unsignedLong =
    longs === 2 ? (builtinType('unsigned long long') ?? unsignedLongType) : unsignedLongType;
  if (unsigned) return longs === 0 && fits(32) ? unsignedIntType : unsignedLong;
  if (longs === 0 && fits(31)) return intType;
  if (longs === 0 && !decimal && fits(32)) return unsignedIntType;
  // A decimal number without `u` that fits no signed 64 bits is `__int128` in gcc; gdb and we take it as unsigned.
  return fits(63) ? long : unsignedLong;
}

/** Rounded once, to the type that its suffix says. */
function floatLiteral({ value, decimal, suffix }: FloatLiteral, place: Place): Typed {
  if (suffix === '') return constantNode(value, doubleType, place);
  const format = suffix === 'l' ? x87 : binary32;
  const exact =
    (decimal === undefined ? undefined : WideFloat.parse(decimal, format)) ?? WideFloat.from(value);
  return suffix === 'l'
    ? constantNode(exact, longDoubleType, place)
    : constantNode(exact.toNumber('binary32'), floatType, place);
}
