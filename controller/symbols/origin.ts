/** Attributes that stand on another DIE: the abstract instance of an inlined function, or the declaration of a definition. */
import { DW_AT } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import type { ViewLanguage } from '../types/language.js';
import { scopePrefix } from './qualified-name.js';

/** Chains are two or three links long; a longer one is a cycle. */
const maxLinks = 8;

/** The DIE itself, then its DW_AT_abstract_origin or DW_AT_specification, and so on. */
export function* originChain(die: Die): Generator<Die> {
  let at: Die | undefined = die;
  for (let i = 0; i < maxLinks && at !== undefined; i++) {
    yield at;
    at = at.has(DW_AT.abstract_origin)
      ? at.reference(DW_AT.abstract_origin)
      : at.reference(DW_AT.specification);
  }
}

/** The first DIE of the chain that has an attribute. */
export function owner(die: Die, attribute: number): Die | undefined {
  if (die.has(attribute)) return die;
  for (const one of originChain(die)) if (one.has(attribute)) return one;
  return undefined;
}

export function nameOf(die: Die): string | undefined {
  return owner(die, DW_AT.name)?.name;
}

/**
 * As gdb names a function: in C by the name that the linker knows, where that is another one (`__asm__("name")`), in C++ and Rust with
 * the namespaces and classes that it stands in.
 */
export function functionNameOf(die: Die): string | undefined {
  if (isCPlusPlus(die.unit.language) || die.unit.language === DW_LANG_Rust) return qualifiedNameOf(die);
  if (!isC(die.unit.language)) return nameOf(die);
  for (const attribute of [DW_AT.linkage_name, DW_AT.MIPS_linkage_name]) {
    const linkage = owner(die, attribute)?.string(attribute);
    if (linkage !== undefined) return linkage;
  }
  return nameOf(die);
}

const cLanguages: ReadonlySet<number> = new Set([0x01, 0x02, 0x0c, 0x1d, 0x2c]);

/** DW_LANG_C89, C, C99, C11, C17. */
export function isC(language: number): boolean {
  return cLanguages.has(language);
}

/** The key of the last DIE of the chain: the same for all instances of one function or variable. */
export function rootOf(die: Die): number {
  let key = die.key;
  for (const one of originChain(die)) ({ key } = one);
  return key;
}

const cPlusPlus: ReadonlySet<number> = new Set([0x04, 0x1a, 0x21, 0x2a, 0x2b]);
const DW_LANG_Rust = 0x1c;
const DW_LANG_Go = 0x16;

/** The language whose views show the types of a unit. */
export function viewLanguage(language: number): ViewLanguage | undefined {
  if (isCPlusPlus(language)) return 'c++';
  if (language === DW_LANG_Rust) return 'rust';
  return language === DW_LANG_Go ? 'go' : undefined;
}

export function isGo(die: Die): boolean {
  return die.unit.language === DW_LANG_Go;
}

/** DW_LANG_C_plus_plus, and its versions 11, 14, 17, 20. */
export function isCPlusPlus(language: number): boolean {
  return cPlusPlus.has(language);
}

/** NB: the DIE that declares a function stands where the function does; its definition may stand outside. */
export function qualifiedNameOf(die: Die): string | undefined {
  const name = nameOf(die);
  if (name === undefined) return undefined;
  let declaration = die;
  for (const one of originChain(die)) declaration = one;
  return `${scopePrefix(declaration)}${name}`;
}
