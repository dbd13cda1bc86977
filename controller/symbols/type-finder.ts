/** Types and enumerators by name. */
import { type LinkAddress } from '../../format/address.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { toPc } from '../dwarf/sections.js';
import type { Unit } from '../dwarf/unit.js';
import type { Type } from '../types/type.js';
import { builtinType, spellingsOf } from './base-types.js';
import { type Block, innermostBlock } from './block.js';
import type { ModuleContext } from './module-context.js';
import { KIND } from './file-names.js';
import { GoConstants } from './go-constants.js';
import { qualifiedNameOf } from './origin.js';
import { calledSo, wholeName } from './called.js';
import { scopePrefix, unqualified } from './qualified-name.js';
import { severalTypes, TemplateFinder } from './template-finder.js';

export interface FoundEnumerator {
  readonly type: Type;
  readonly value: bigint;
}

const keywords: ReadonlyMap<string, readonly number[]> = new Map([
  ['struct', [DW_TAG.structure_type, DW_TAG.class_type]],
  ['class', [DW_TAG.class_type, DW_TAG.structure_type]],
  ['union', [DW_TAG.union_type]],
  ['enum', [DW_TAG.enumeration_type]],
]);

/** What a name without a keyword means, the likeliest first. */
const plainTags: readonly number[] = [
  DW_TAG.typedef,
  DW_TAG.base_type,
  DW_TAG.structure_type,
  DW_TAG.class_type,
  DW_TAG.union_type,
  DW_TAG.enumeration_type,
  DW_TAG.unspecified_type,
];

export class TypeFinder {
  readonly #context: ModuleContext;
  readonly #enumerators = new Map<string, readonly Die[]>();

  readonly #templates: TemplateFinder;
  readonly #goConstants: GoConstants;

  constructor(context: ModuleContext) {
    this.#context = context;
    this.#goConstants = new GoConstants(context.files);
    this.#templates = new TemplateFinder(context.names, (name, from) => this.find(name, from));
  }

  find(name: string, from: LinkAddress | undefined): Type | undefined {
    const words = name.trim().split(/\s+/);
    const tags = words.length > 1 ? keywords.get(words[0] ?? '') : undefined;
    if (tags !== undefined) return this.#named(words.slice(1).join(' '), tags, from);
    const spellings = spellingsOf(words);
    if (spellings === undefined) return this.#named(words.join(' '), plainTags, from);
    for (const spelling of spellings) {
      const found = this.#named(spelling, [DW_TAG.base_type], from);
      if (found !== undefined) return found;
    }
    return builtinType(spellings);
  }

  #named(name: string, tags: readonly number[], from: LinkAddress | undefined): Type | undefined {
    const own = unqualified(name);
    const local = from === undefined || own !== name ? undefined : this.#local(name, tags, from);
    if (local !== undefined) return this.#context.types.typeAt(local);
    const { names } = this.#context;
    const kinds = tags.includes(DW_TAG.enumeration_type)
      ? [KIND.type, KIND.enumeration]
      : ([KIND.type] as const);
    const known = kinds.flatMap((kind) => names.find(kind, own));
    const exact = calledSo(
      known.filter((die) => !die.flag(DW_AT.declaration)),
      name,
    );
    const dies = exact.length > 0 || !name.includes('<') ? exact : this.#templates.called(name, from);
    // Types of one name in several namespaces, and nothing says which is meant.
    const wholes = [...new Set(dies.filter((die) => tags.includes(die.tag)).map((die) => wholeName(die)))];
    if (wholes.length > 1) throw severalTypes(name, wholes);
    const unit = from === undefined ? undefined : this.#context.unitAt(toPc(from));
    for (const tag of tags) {
      const fitting = dies.filter((die) => die.tag === tag && !die.flag(DW_AT.declaration));
      const found = this.#nearest(fitting, unit);
      if (found !== undefined) return this.#context.types.typeAt(found);
    }
    return undefined;
  }

  /** The only type that a template became, by the template's name alone. */
  findInstance(name: string, from: LinkAddress | undefined): Type | undefined {
    const found = this.#nearest(this.#templates.called(name, from), undefined);
    return found === undefined ? undefined : this.#context.types.typeAt(found);
  }

  /** The one of the unit at hand, or of a unit that it imports; else the first. */
  #nearest(dies: readonly Die[], unit: Unit | undefined): Die | undefined {
    if (unit === undefined || dies.length < 2) return dies[0];
    const imports = this.#context.files.importsOf(unit);
    return dies.find((die) => die.unit === unit) ?? dies.find((die) => imports.has(die.unit)) ?? dies[0];
  }

  /** A type that is declared inside of the function at hand. */
  #local(name: string, tags: readonly number[], from: LinkAddress): Die | undefined {
    for (const child of this.#localDies(from)) {
      if (tags.includes(child.tag) && child.name === name && !child.flag(DW_AT.declaration)) return child;
    }
    return undefined;
  }

  *#localDies(from: LinkAddress): Generator<Die> {
    const pc = toPc(from);
    const concrete = this.#context.functionAt(pc);
    if (concrete === undefined) return;
    let block: Block | undefined = innermostBlock(this.#context.blocks(concrete).root, pc);
    for (; block !== undefined; block = block.parent) {
      yield* block.die.children();
      const origin = block.die.reference(DW_AT.abstract_origin);
      if (origin !== undefined) yield* origin.children();
    }
  }

  findEnumerator(name: string, from: LinkAddress | undefined): FoundEnumerator | undefined {
    const { types } = this.#context;
    const constant = name.includes('.') ? this.#goConstants.find(name) : undefined;
    const constantValue = constant?.value(DW_AT.const_value);
    if (constant !== undefined && constantValue?.kind === 'constant') {
      return { type: types.typeOf(constant), value: constantValue.value };
    }
    const own = unqualified(name);
    const local = from === undefined || own !== name ? undefined : this.#localEnumeration(name, from);
    const dies =
      local === undefined
        ? this.#enumerations(own).filter((die) => own === name || isEnumeratorCalled(die, own, name))
        : [local];
    const unit = from === undefined ? undefined : this.#context.unitAt(toPc(from));
    const die = this.#nearest(dies, unit);
    if (die === undefined) return undefined;
    const type = types.typeAt(die);
    if (type.kind !== 'enum') return undefined;
    const found = type.enumerators().find((enumerator) => unqualified(enumerator.name) === own);
    return found === undefined ? undefined : { type, value: found.value };
  }

  #localEnumeration(name: string, from: LinkAddress): Die | undefined {
    for (const child of this.#localDies(from)) {
      if (child.tag === DW_TAG.enumeration_type && hasEnumerator(child, name)) return child;
    }
    return undefined;
  }

  /** The enumerations that have an enumerator of that name. */
  #enumerations(name: string): readonly Die[] {
    let found = this.#enumerators.get(name);
    if (found === undefined) {
      found = this.#context.names.enumerationsNear(name).filter((die) => hasEnumerator(die, name));
      this.#enumerators.set(name, found);
    }
    return found;
  }
}

/** Whether an enumerator may be called so: `ns::Color::red`, `Color::red`, and `ns::red` of what is no class. */
function isEnumeratorCalled(enumeration: Die, own: string, name: string): boolean {
  const whole = [`${qualifiedNameOf(enumeration) ?? ''}::${own}`];
  if (!enumeration.flag(DW_AT.enum_class)) whole.push(`${scopePrefix(enumeration)}${own}`);
  return whole.some((each) => each === name || each.endsWith(`::${name}`));
}

function hasEnumerator(die: Die, name: string): boolean {
  for (const child of die.children()) {
    if (child.tag === DW_TAG.enumerator && child.name === name) return true;
  }
  return false;
}
