/** Global and file-static variables by name. */
import { ByteWriter } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { normalizePath } from '../dwarf/line.js';
import type { Unit } from '../dwarf/unit.js';
import type { ModuleContext } from './module-context.js';
import type { VariableSymbol } from './module-symbols.js';
import { KIND } from './file-names.js';
import { owner, qualifiedNameOf } from './origin.js';
import { calledSo } from './called.js';
import { isCalled, unqualified } from './qualified-name.js';
import { makeVariable } from './variable.js';

export class GlobalFinder {
  readonly #context: ModuleContext;
  readonly #variables = new Map<number, VariableSymbol>();

  constructor(context: ModuleContext) {
    this.#context = context;
    context.findGlobal = (name, die) => this.#definitionOf(name, die);
  }

  /** Definitions; where there is none, one declaration, which finds the symbol of its name. */
  find(name: string, file?: string): readonly VariableSymbol[] {
    const last = unqualified(name);
    const known = this.#dies(last, file !== undefined);
    const [definitions, declarations] = [
      calledSo(known.definitions, name),
      calledSo(known.declarations, name),
    ];
    const wanted = (die: Die): boolean => file === undefined || this.#isIn(die, file);
    const found = definitions.filter(wanted);
    if (found.length > 0) return found.map((die) => this.#variable(die));
    const member = last === name ? undefined : this.#staticMember(name.slice(0, -last.length - 2), last);
    if (member !== undefined) return [this.#variable(member)];
    // Only declared, here or elsewhere in the module; a definition in another file is no answer for a file's own.
    if (definitions.length > 0 && declarations.every((die) => !wanted(die))) return [];
    const declared = declarations.filter(wanted).slice(0, 1);
    return declared.map((die) => this.#variable(die));
  }

  /** The definition of a static member, which before DWARF 5 a class declares as a member (DWARF4 5.5.6). */
  #staticMember(className: string, name: string): Die | undefined {
    const { names } = this.#context;
    for (const type of names.find(KIND.type, unqualified(className))) {
      if (!isCalled(qualifiedNameOf(type), className)) continue;
      for (const child of type.children()) {
        if (child.tag !== DW_TAG.member || child.name !== name || !child.flag(DW_AT.external)) continue;
        const [definition] = names.linksTo(child);
        if (definition !== undefined) return definition;
        if (child.has(DW_AT.const_value)) return child;
      }
    }
    return undefined;
  }

  *names(): Iterable<string> {
    yield* this.#context.names.names(KIND.variable);
  }

  #variable(die: Die): VariableSymbol {
    let variable = this.#variables.get(die.key);
    if (variable === undefined) {
      variable = makeVariable(this.#context, die);
      this.#variables.set(die.key, variable);
    }
    return variable;
  }

  /** `all`: declarations are wanted too where there is a definition. */
  #dies(name: string, all: boolean): { definitions: Die[]; declarations: Die[] } {
    const { names } = this.#context;
    const definitions = new Map<number, Die>();
    const declarations: Die[] = [];
    const found = all ? names.findAll(KIND.variable, name) : names.find(KIND.variable, name);
    for (const die of found) {
      if (!isDeclaration(die)) definitions.set(die.key, die);
      else {
        declarations.push(die);
        for (const from of names.linksTo(die)) definitions.set(from.key, from);
      }
    }
    // One that was optimised out says less than one that was not: a static array that another unit really has.
    return { definitions: [...definitions.values()], declarations };
  }

  #isIn(die: Die, file: string): boolean {
    if (fits(unitPath(die.unit), file)) return true;
    const declared = owner(die, DW_AT.decl_file);
    const index = declared?.size(DW_AT.decl_file);
    const path =
      declared === undefined || index === undefined ? undefined : this.#context.path(declared, index);
    return path !== undefined && fits(path, file);
  }

  /** A place by the symbol tables. gcc for AArch64 says nothing else of thread-local variables. */
  #bySymbol(name: string): Uint8Array | undefined {
    const { elfSymbols } = this.#context;
    const symbol = elfSymbols.find(name);
    if (symbol !== undefined) return new ByteWriter().u8(DW_OP.DW_OP_addr).u64(symbol.value).finish();
    const local = elfSymbols.findThreadLocal(name);
    if (local === undefined) return undefined;
    return new ByteWriter()
      .u8(DW_OP.DW_OP_const8u)
      .u64(local.value)
      .u8(DW_OP.DW_OP_form_tls_address)
      .finish();
  }

  #definitionOf(name: string, from: Die): VariableSymbol | undefined {
    const definitions = this.#dies(name, false).definitions.filter(
      (die) => hasPlace(die) && (owner(die, DW_AT.external) !== undefined || die.unit === from.unit),
    );
    const die = definitions.find((one) => one.unit === from.unit) ?? definitions[0];
    if (die !== undefined) return this.#variable(die);
    // Defined where there is no debug information: an object of the C library that was copied into the program.
    const expression = this.#bySymbol(name);
    if (expression === undefined) return undefined;
    const typed = owner(from, DW_AT.type) ?? from;
    return {
      name,
      parameter: false,
      type: () => this.#context.typeOf(typed),
      shadowed: false,
      locationAt: () => ({ kind: 'expression', expression }),
      availableRanges: () => undefined,
    };
  }
}

function isDeclaration(die: Die): boolean {
  return die.flag(DW_AT.declaration) && !hasPlace(die);
}

function hasPlace(die: Die): boolean {
  return owner(die, DW_AT.location) !== undefined || owner(die, DW_AT.const_value) !== undefined;
}

function unitPath(unit: Unit): string {
  const name = unit.name;
  return normalizePath(name.startsWith('/') ? name : `${unit.compilationDirectory}/${name}`);
}

/** A path, or the end of one. */
function fits(path: string, file: string): boolean {
  return path === file || path.endsWith(`/${file}`);
}
