/** Functions by name and by address: the definition, copies that the compiler specialised, copies that it inlined. */
import { linkAddress } from '../../format/address.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { rangesOf } from '../dwarf/range-list.js';
import { contains } from './block.js';
import { functionsCalled } from './called-functions.js';
import { callTargetOf, isTailCall, tailCallSitesOf, tellsAllTailCalls } from './call-site.js';
import { InlinedIndex } from './inlined-copies.js';
import { type ConcreteFunction, type ModuleContext, toAddressRanges } from './module-context.js';
import { toPc } from '../dwarf/sections.js';
import type { FunctionSymbol, InlinedCopy, VariableSymbol } from './module-symbols.js';
import { KIND } from './file-names.js';
import { once } from './once.js';
import { functionNameOf, isC, isGo, nameOf, owner, rootOf, viewLanguage } from './origin.js';
import { hasNamespaceBeside } from './qualified-name.js';
import { hasValidLocations, prologueEnd } from './prologue.js';
import { endOfFramePrologue, isBeforeArgumentsMove } from './prologue-code.js';
import { makeVariable } from './variable.js';

/** Definitions are two links away from their declaration at most. */
const maxLinks = 4;

export class FunctionFinder {
  readonly #context: ModuleContext;
  readonly #inlined: InlinedIndex;
  readonly #made = new Map<number, FunctionSymbol>();

  constructor(context: ModuleContext) {
    this.#context = context;
    this.#inlined = new InlinedIndex(context.files, context.index);
  }

  /** One for each body with that name; where the function was inlined as well, the first of them carries all inlined copies. */
  find(name: string): readonly FunctionSymbol[] {
    return this.#bodies(name, functionsCalled(this.#context.names, name));
  }

  /** The same of the name as debug information has it, linkage names included: to be asked often, also for what is not there. */
  named(name: string): readonly FunctionSymbol[] {
    return this.#bodies(name, this.#context.names.find(KIND.function, name));
  }

  #bodies(name: string, dies: readonly Die[]): readonly FunctionSymbol[] {
    const groups = new Map<number, Map<number, Die>>();
    for (const die of dies) {
      const root = rootOf(die);
      let group = groups.get(root);
      if (group === undefined) groups.set(root, (group = new Map()));
      this.#gather(die, group, 0);
    }
    const found = [...groups.values()].flatMap((group) => this.#symbolsOf([...group.values()]));
    if (found.length > 0) return found;
    const symbol = this.#fromElf(name);
    return symbol === undefined ? [] : [symbol];
  }

  *names(): Iterable<string> {
    const seen = new Set<string>();
    for (const name of this.#context.names.names(KIND.function)) {
      seen.add(name);
      yield name;
    }
    for (const name of this.#context.elfSymbols.functionNames()) {
      if (!seen.has(name)) yield name;
    }
  }

  /** A function by the code that it has, without its inlined copies where those were not asked for yet. */
  at(pc: number): FunctionSymbol | undefined {
    const concrete = this.#context.functionAt(pc);
    if (concrete !== undefined) return this.#made.get(concrete.die.key) ?? this.#concrete(concrete);
    const address = linkAddress(BigInt(pc));
    const name = this.#context.elfSymbols.at(address)?.name;
    const symbol = name === undefined ? undefined : this.#fromElf(name);
    return symbol?.ranges.some(({ start, end }) => address >= start && address < end) === true
      ? symbol
      : undefined;
  }

  #gather(die: Die, group: Map<number, Die>, links: number): void {
    if (group.has(die.key) || links > maxLinks) return;
    group.set(die.key, die);
    for (const from of this.#context.names.linksTo(die)) this.#gather(from, group, links + 1);
  }

  #symbolsOf(dies: readonly Die[]): FunctionSymbol[] {
    const copies = once(() =>
      dies
        .filter((die) => die.has(DW_AT.inline))
        .flatMap((die) => this.#inlined.copiesOf(die))
        .flatMap((copy) => this.#copy(copy.die, copy.into)),
    );
    const concretes = dies.flatMap((die) => this.#context.concrete(die) ?? []);
    const symbols = concretes.map((concrete, i) => this.#concrete(concrete, i === 0 ? copies : undefined));
    for (const [i, symbol] of symbols.entries()) {
      const key = concretes[i]?.die.key;
      if (key !== undefined) this.#made.set(key, symbol);
    }
    const [first] = dies;
    if (symbols.length > 0 || first === undefined) return symbols;
    const abstract = dies.find((die) => die.has(DW_AT.inline)) ?? first;
    const body = this.#foldedBody(abstract);
    if (body === undefined && copies().length === 0) return [];
    const symbol = this.#symbol(abstract, undefined, copies);
    return [body === undefined ? symbol : { ...symbol, ...body, inlinedCopies: copies() }];
  }

  /**
   * gcc makes one body of several equal functions and describes it for one of them; what is left of the others is a symbol at a
   * jump or at that body. Calls through a pointer come by there.
   */
  #foldedBody(abstract: Die): Pick<FunctionSymbol, 'ranges' | 'entry' | 'afterPrologue'> | undefined {
    const name = nameOf(abstract);
    const isExternal = owner(abstract, DW_AT.external) !== undefined;
    if (name === undefined || !isExternal || abstract.flag(DW_AT.declaration)) return undefined;
    const symbol = this.#fromElf(name);
    if (symbol?.entry === undefined || this.#context.functionAt(toPc(symbol.entry)) !== undefined) {
      return undefined;
    }
    const { ranges, entry } = symbol;
    const valid = hasValidLocations(abstract.unit);
    return { ranges, entry, ...(valid ? { afterPrologue: entry } : afterPrologueOf(symbol)) };
  }

  #copy(die: Die, into: Die): InlinedCopy[] {
    const ranges = rangesOf(die).filter((range) => range.start > 1);
    const [first] = ranges;
    if (first === undefined) return [];
    // Since version 5 it may be an offset from DW_AT_low_pc.
    const value = die.value(DW_AT.entry_pc);
    const written =
      value?.kind === 'constant' ? BigInt(first.start) + value.value : die.address(DW_AT.entry_pc);
    const at = written === undefined ? first.start : Number(written);
    const container = this.#context.concrete(into);
    const skipped = container === undefined ? at : prologueEnd(this.#context, container);
    // As gdb: not before the variables of the function around it are in place, if that is still in the copy.
    const entry =
      skipped > at && contains(ranges, skipped) ? skipped : contains(ranges, at) ? at : first.start;
    return [
      {
        entry: linkAddress(BigInt(entry)),
        ranges: toAddressRanges(ranges),
        into: functionNameOf(into) ?? '',
      },
    ];
  }

  #concrete(concrete: ConcreteFunction, copies?: () => readonly InlinedCopy[]): FunctionSymbol {
    const known = this.#made.get(concrete.die.key);
    if (known !== undefined) return known;
    return this.#symbol(concrete.die, concrete, copies ?? ((): readonly InlinedCopy[] => []));
  }

  #symbol(
    die: Die,
    concrete: ConcreteFunction | undefined,
    copies: () => readonly InlinedCopy[],
  ): FunctionSymbol {
    const context = this.#context;
    const declared = owner(die, DW_AT.decl_file);
    const fileIndex = declared?.size(DW_AT.decl_file);
    const file =
      declared === undefined || fileIndex === undefined ? undefined : context.path(declared, fileIndex);
    const line = owner(die, DW_AT.decl_line)?.size(DW_AT.decl_line);
    const after = once(() => (concrete === undefined ? 0 : prologueEnd(context, concrete)));
    const parameters = once(() => this.#parameters(die, concrete));
    const linkage = owner(die, DW_AT.linkage_name)?.string(DW_AT.linkage_name);
    return {
      name: functionNameOf(die) ?? '',
      ...(linkage === undefined ? {} : { linkageName: linkage }),
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
      ranges: concrete === undefined ? [] : toAddressRanges(concrete.ranges),
      ...(concrete === undefined
        ? {}
        : {
            entry: linkAddress(BigInt(concrete.entry)),
            get afterPrologue() {
              return linkAddress(BigInt(after()));
            },
          }),
      get inlinedCopies() {
        return copies();
      },
      returnType: once(() => context.typeOf(owner(die, DW_AT.type) ?? die)),
      parameters,
      convention: {
        language: isC(die.unit.language) ? 'c' : (viewLanguage(die.unit.language) ?? 'other'),
        producer: die.unit.producer,
        results: once(() => this.#results(die, concrete)),
      },
      ...(owner(die, DW_AT.main_subprogram)?.flag(DW_AT.main_subprogram) === true
        ? { beginsProgram: hasNamespaceBeside(die) ? 'hidden' : 'known' }
        : {}),
      ...(concrete === undefined
        ? {}
        : {
            tellsTailCalls: once(() => tellsAllTailCalls(die)),
            tailCallSites: once(() => tailCallSitesOf(context, die, context.blocks(concrete).callSites)),
          }),
      tailCalls: once(() =>
        concrete === undefined
          ? []
          : context
              .blocks(concrete)
              .callSites.filter(isTailCall)
              .map((site) => callTargetOf(context, site)),
      ),
    };
  }

  #results(die: Die, concrete: ConcreteFunction | undefined): VariableSymbol[] {
    if (concrete === undefined || !isGo(die)) return [];
    return this.#context
      .blocks(concrete)
      .root.variables.filter((child) =>
        owner(child, DW_AT.variable_parameter)?.flag(DW_AT.variable_parameter),
      )
      .map((child) => makeVariable(this.#context, child, { functionEntry: concrete.entry }));
  }

  #parameters(die: Die, concrete: ConcreteFunction | undefined): VariableSymbol[] {
    const dies =
      concrete === undefined
        ? [...die.children()].filter((child) => child.tag === DW_TAG.formal_parameter)
        : this.#context.blocks(concrete).root.variables;
    return dies
      .filter((child) => child.tag === DW_TAG.formal_parameter)
      .map((child) => makeVariable(this.#context, child, { functionEntry: concrete?.entry }));
  }

  whyNoArguments(pc: number): string | undefined {
    const { elf, elfSymbols } = this.#context;
    if (elf.sections.some(({ name }) => name.endsWith('.gopclntab')))
      return 'Go passes arguments in a way of its own';
    const symbol = elfSymbols.at(linkAddress(BigInt(pc)));
    const start = this.at(pc)?.entry ?? (symbol === undefined ? undefined : BigInt(pc) - symbol.offset);
    if (start === undefined) return 'no symbol says where the function begins';
    if (isBeforeArgumentsMove(this.#code, Number(start), pc)) return undefined;
    return 'they are known only where a function is entered';
  }

  readonly #code = (at: number, length: number): Uint8Array | undefined =>
    this.#context.elf.bytesAt(BigInt(at), length);

  /** A function of which only the symbol is known. */
  #fromElf(name: string): FunctionSymbol | undefined {
    const symbol = this.#context.elfSymbols.findFunction(name);
    if (symbol === undefined) return undefined;
    const start = Number(symbol.value);
    const entry = linkAddress(symbol.value);
    const code = this.#code;
    return {
      name,
      ranges:
        symbol.size === 0 ? [] : [{ start: entry, end: linkAddress(symbol.value + BigInt(symbol.size)) }],
      entry,
      get afterPrologue() {
        return linkAddress(BigInt(endOfFramePrologue(code, start)));
      },
      inlinedCopies: [],
      returnType: () => ({ kind: 'unknown', detail: `"${name}" has no debug information` }),
      parameters: () => [],
    };
  }
}

function afterPrologueOf({ afterPrologue }: FunctionSymbol): Pick<FunctionSymbol, 'afterPrologue'> {
  return afterPrologue === undefined ? {} : { afterPrologue };
}
