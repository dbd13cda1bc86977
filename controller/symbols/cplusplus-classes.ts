/**
 * Classes of C++ by what a process has of them: the address of a vtable, or of a member function. Names of symbols lead to them, and debug information says
 * what they are; where two classes could be meant none is. Nothing is demangled: names of templates are compared as the linker has them.
 */
import { type LinkAddress, linkAddress } from '../../format/address.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { toPc } from '../dwarf/sections.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import { isOneName, memberPrefixes, plainClassName } from './cplusplus-name.js';
import { KIND } from './file-names.js';
import type { ModuleContext } from './module-context.js';
import type { VtablePlace } from './module-symbols.js';
import { isCPlusPlus, originChain, qualifiedNameOf } from './origin.js';
import { scopeOf, unqualified } from './qualified-name.js';
import { RelocatedWords } from './relocated-words.js';

const vtablePrefix = '_ZTV';
const typeInfoPrefix = '_ZTI';
/** Two words stand before what an object points to: the offset to its top, and its type_info. */
const headerBytes = 16n;
/** No object is larger. */
const maxOffsetToTop = 1n << 40n;

const classTags: ReadonlySet<number> = new Set([DW_TAG.class_type, DW_TAG.structure_type, DW_TAG.union_type]);

export class CplusplusClasses {
  readonly #context: ModuleContext;
  readonly #words: RelocatedWords;
  readonly #byMember = new Map<bigint, Type | undefined>();
  readonly #byName = new Map<string, Type | undefined>();
  readonly #vtables = new Map<bigint, VtablePlace | undefined>();

  constructor(context: ModuleContext) {
    this.#context = context;
    this.#words = new RelocatedWords(context.elf);
  }

  /** The class that a function is a member of. NB: linkers and gcc lay equal functions of several classes in one place. */
  ofMember(address: LinkAddress): Type | undefined {
    return cached(this.#byMember, address, () => {
      const names = this.#context.elfSymbols.namesAt(address).filter((name) => name.startsWith('_Z'));
      if (names.length <= 1)
        return this.#ofCode(address) ?? onlyOne(names.map((name) => this.#ofFunction(name)));
      return onlyOne(names.map((name) => this.#ofFunction(name)));
    });
  }

  /** By the function that has its code there: of those that are known in their unit only debug information has no linkage name. */
  #ofCode(address: LinkAddress): Type | undefined {
    const found = this.#context.functionAt(toPc(address));
    return found === undefined || found.entry !== toPc(address) ? undefined : this.#classOf(found.die);
  }

  /** The vtable whose functions an object of a class with virtual functions would call, were that address in it; undefined where it is none. */
  vtableAt(address: LinkAddress): VtablePlace | undefined {
    return cached(this.#vtables, address, () => this.#findVtable(address));
  }

  #findVtable(address: LinkAddress): VtablePlace | undefined {
    const header = linkAddress(address - headerBytes);
    const { elfSymbols } = this.#context;
    const symbol = elfSymbols.at(header);
    if (symbol === undefined || !symbol.name.startsWith(vtablePrefix) || symbol.offset % 8n !== 0n)
      return undefined;
    // Equal vtables of several classes, which lie in one place: nobody knows which is meant.
    const start = linkAddress(header - symbol.offset);
    const names = elfSymbols.namesAt(start).filter((name) => name.startsWith(vtablePrefix));
    if (names.length !== 1 || !elfSymbols.isOfOneAddress(symbol.name, start)) return undefined;
    const encoding = symbol.name.slice(vtablePrefix.length);
    const toTop = this.#words.at(header);
    const typeInfo = this.#words.at(linkAddress(header + 8n));
    if (toTop?.kind !== 'number' || typeInfo === undefined) return undefined;
    const offsetToTop = BigInt.asIntN(64, toTop.value);
    if (offsetToTop > 0n || offsetToTop < -maxOffsetToTop || !this.#isTypeInfo(typeInfo, encoding))
      return undefined;
    return { encoding, offsetToTop };
  }

  /** Of a program without run-time type information the word is zero; a function's address never is. */
  #isTypeInfo(word: NonNullable<ReturnType<RelocatedWords['at']>>, encoding: string): boolean {
    const name = `${typeInfoPrefix}${encoding}`;
    if (word.kind === 'symbol') return word.name === name;
    if (word.value === 0n) return word.kind === 'number';
    return this.#context.elfSymbols.namesAt(linkAddress(word.value)).includes(name);
  }

  /** The class of a mangled name, where this module's debug information has it. */
  ofName(encoding: string): Type | undefined {
    return cached(this.#byName, encoding, () => this.#plain(encoding) ?? this.#byItsMembers(encoding));
  }

  #plain(encoding: string): Type | undefined {
    const name = plainClassName(encoding);
    if (name === undefined) return undefined;
    const dies = this.#context.names
      .find(KIND.type, unqualified(name))
      .filter((die) => classTags.has(die.tag) && isDefinition(die) && qualifiedNameOf(die) === name);
    // Each unit has an anonymous namespace of its own.
    const isOwn = name.includes('(anonymous namespace)');
    if (isOwn && new Set(dies.map((die) => die.unit)).size > 1) return undefined;
    const [die] = dies;
    return die === undefined ? undefined : this.#context.types.typeAt(die);
  }

  /** By functions that the class has: their names begin with its name. */
  #byItsMembers(encoding: string): Type | undefined {
    const prefixes = memberPrefixes(encoding);
    const types: (Type | undefined)[] = [];
    for (const name of this.#context.elfSymbols.functionNames()) {
      const prefix = prefixes.find((each) => name.startsWith(each));
      if (prefix === undefined || !isOneName(name.slice(prefix.length))) continue;
      const type = this.#ofFunction(name) ?? this.#ofSymbol(name);
      if (type !== undefined) types.push(type);
      if (types.length >= maxMembers) break;
    }
    return onlyOne(types);
  }

  #ofFunction(linkageName: string): Type | undefined {
    const dies = this.#context.names.find(KIND.function, linkageName);
    return onlyOne(dies.map((die) => this.#classOf(die)));
  }

  #ofSymbol(name: string): Type | undefined {
    const { elfSymbols } = this.#context;
    const symbol = elfSymbols.findFunction(name);
    if (symbol === undefined || elfSymbols.namesAt(elfSymbols.address(symbol)).length !== 1) return undefined;
    return this.#ofCode(elfSymbols.address(symbol));
  }

  #classOf(die: Die): Type | undefined {
    let declaration = die;
    for (const one of originChain(die)) declaration = one;
    if (!isCPlusPlus(declaration.unit.language)) return undefined;
    const scope = scopeOf(declaration);
    return classTags.has(scope.tag) ? this.#context.types.typeAt(scope) : undefined;
  }
}

/** Members that are looked at to find a class. */
const maxMembers = 64;

function isDefinition(die: Die): boolean {
  return !die.flag(DW_AT.declaration);
}

/** What all of them are; undefined where they differ or one is not known. Units have copies of one class: those are the same. */
function onlyOne(types: readonly (Type | undefined)[]): Type | undefined {
  const [first] = types;
  if (first === undefined) return undefined;
  const name = typeName(first);
  for (const type of types) {
    if (type === undefined || (type !== first && (name.includes('{...}') || typeName(type) !== name)))
      return undefined;
  }
  return first;
}

function cached<K, V>(known: Map<K, V | undefined>, key: K, find: () => V | undefined): V | undefined {
  if (known.has(key)) return known.get(key);
  const found = find();
  known.set(key, found);
  return found;
}
