/** Names and addresses of the ELF symbol tables, for what debug information does not say. */
import { type LinkAddress, linkAddress } from '../../format/address.js';
import type { ElfFile, ElfSymbol } from '../../format/elf/file.js';
import { StillframeError } from '../../format/error.js';
import { mergeSymbols } from '../../format/elf/symbol.js';
import { type GoFunctions, openGoFunctions } from '../dwarf/go-functions.js';
import { toPc } from '../dwarf/sections.js';
import { pltSymbols } from './plt-symbols.js';

const STT = { none: 0, object: 1, function: 2, threadLocal: 6, ifunc: 10 } as const;
const STB_LOCAL = 0;
const STB_GLOBAL = 1;

interface Placed {
  readonly symbol: ElfSymbol;
  readonly start: number;
  /** After the symbol's last byte; where the next one starts when it has no size. */
  readonly end: number;
}

export class ElfSymbols {
  readonly #files: readonly ElfFile[];
  #go: GoFunctions | undefined;
  #goRead = false;
  #placed: readonly Placed[] | undefined;
  #byName: Map<string, ElfSymbol> | undefined;
  #names: Map<bigint, string[]> | undefined;
  #threadLocal: ReadonlyMap<string, ElfSymbol> | undefined;

  /** What Go's runtime knows; undefined where the file is not Go's. A malformed table costs what is in it. */
  get goFunctions(): GoFunctions | undefined {
    if (!this.#goRead) {
      this.#goRead = true;
      const [elf] = this.#files;
      try {
        this.#go = elf === undefined ? undefined : openGoFunctions(elf);
      } catch (error) {
        if (!(error instanceof StillframeError)) throw error;
      }
    }
    return this.#go;
  }

  /** Functions of a stripped program of Go. */
  #fromGo(): ElfSymbol[] {
    const go = this.goFunctions;
    if (go === undefined || this.#files.some((elf) => elf.findSection('.symtab') !== undefined)) return [];
    const symbols: ElfSymbol[] = [];
    for (let i = 0; i < go.count; i++) {
      const { name, start, end } = go.at(i);
      const size = Math.max(0, end - start);
      symbols.push({ name, value: BigInt(start), size, type: STT.function, binding: 0, sectionIndex: 1 });
    }
    return symbols;
  }

  /** The module's file, and files that have symbols of it as well: what an earlier one says of a name and a value counts. */
  constructor(files: readonly ElfFile[]) {
    this.#files = files;
  }

  #guardedFromGo(): ElfSymbol[] {
    try {
      return this.#fromGo();
    } catch (error) {
      if (error instanceof StillframeError) return [];
      throw error;
    }
  }

  #symbolsOf(elf: ElfFile): readonly ElfSymbol[] {
    try {
      return elf.symbols();
    } catch (error) {
      // A malformed table of one file costs the names in it; the module's own is asked for aloud.
      if (error instanceof StillframeError && elf !== this.#files[0]) return [];
      throw error;
    }
  }

  /** Defined functions and objects; not thread-local ones, whose values are no addresses. */
  #defined(): ElfSymbol[] {
    const all = this.#files
      .map((elf) => this.#symbolsOf(elf))
      .reduce((known, more) => mergeSymbols(known, more));
    const [own] = this.#files;
    const plt = own === undefined ? [] : pltSymbols(own);
    return [...all, ...plt, ...this.#guardedFromGo()].filter(
      ({ type, sectionIndex, name }) =>
        name !== '' &&
        sectionIndex !== 0 &&
        (type === STT.none || type === STT.object || type === STT.function || type === STT.ifunc),
    );
  }

  /** Of those that other files see; the value of a thread-local symbol is its offset in the module's block. */
  findThreadLocal(name: string): ElfSymbol | undefined {
    this.#threadLocal ??= new Map(
      this.#files
        .flatMap((elf) => this.#symbolsOf(elf))
        .filter(
          ({ type, sectionIndex, binding }) =>
            type === STT.threadLocal && sectionIndex !== 0 && binding !== STB_LOCAL,
        )
        .map((symbol) => [symbol.name, symbol]),
    );
    return this.#threadLocal.get(name);
  }

  at(address: LinkAddress): { readonly name: string; readonly offset: bigint } | undefined {
    this.#placed ??= place(this.#defined(), this.#files[0]);
    const pc = toPc(address);
    const table = this.#placed;
    let low = 0;
    let high = table.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((table[middle]?.start ?? 0) <= pc) low = middle + 1;
      else high = middle;
    }
    return covering(table, low - 1, pc, address);
  }

  /** All names of one address. */
  namesAt(address: LinkAddress): readonly string[] {
    if (this.#names === undefined) {
      this.#names = new Map();
      for (const { name, value } of this.#defined()) {
        const known = this.#names.get(value);
        if (known === undefined) this.#names.set(value, [name]);
        else if (!known.includes(name)) known.push(name);
      }
    }
    return this.#names.get(address) ?? [];
  }

  /** Whether a name is that of one address only; local symbols of several files can have one name. */
  isOfOneAddress(name: string, address: LinkAddress): boolean {
    const own = this.namesAt(address);
    for (const names of this.#names?.values() ?? []) if (names !== own && names.includes(name)) return false;
    return own.includes(name);
  }

  find(name: string): ElfSymbol | undefined {
    if (this.#byName === undefined) {
      this.#byName = new Map();
      for (const symbol of this.#defined()) {
        const known = this.#byName.get(symbol.name);
        if (known === undefined || rank(symbol) < rank(known)) this.#byName.set(symbol.name, symbol);
      }
    }
    return this.#byName.get(name);
  }

  /** The function of a name; no object. */
  findFunction(name: string): ElfSymbol | undefined {
    const found = this.find(name);
    return found !== undefined && isFunction(found) ? found : undefined;
  }

  *functionNames(): Iterable<string> {
    for (const symbol of this.#defined()) if (isFunction(symbol)) yield symbol.name;
  }

  address(symbol: ElfSymbol): LinkAddress {
    return linkAddress(symbol.value);
  }
}

/** Symbols that are looked at for one address. */
const maxInner = 256;

/**
 * As gdb (lookup_minimal_symbol_by_pc_section): the nearest symbol that has a size, or one around it that reaches further; a label
 * without a size only where there is none.
 */
function covering(
  table: readonly Placed[],
  from: number,
  pc: number,
  address: LinkAddress,
): { readonly name: string; readonly offset: bigint } | undefined {
  const asFound = ({ symbol }: Placed): { readonly name: string; readonly offset: bigint } => ({
    name: symbol.name,
    offset: address - symbol.value,
  });
  let label: Placed | undefined;
  for (let i = from; i >= 0 && i > from - maxInner; i--) {
    const found = table[i];
    if (found === undefined) break;
    if (found.symbol.size === 0) label ??= found;
    else if (pc < found.end) return asFound(found);
    else if (pc >= (table[i - 1]?.end ?? 0) || table[i - 1]?.symbol.size === 0) break;
  }
  return label !== undefined && pc < label.end ? asFound(label) : undefined;
}

function isFunction(symbol: ElfSymbol): boolean {
  return symbol.type === STT.function || symbol.type === STT.ifunc;
}

/** Of several names of one address: functions before objects before labels, then global before weak before local. */
function rank(symbol: ElfSymbol): number {
  const kind = isFunction(symbol) ? 0 : symbol.type === STT.object ? 1 : 2;
  const binding = symbol.binding === STB_GLOBAL ? 0 : symbol.binding === 0 ? 2 : 1;
  return kind * 3 + binding;
}

/** Which of several names of one address gdb shows: one that has a size, then the last by the alphabet. */
function preferred(a: ElfSymbol, b: ElfSymbol): number {
  if ((a.size === 0) !== (b.size === 0)) return a.size === 0 ? 1 : -1;
  return a.name < b.name ? 1 : a.name > b.name ? -1 : 0;
}

function place(symbols: readonly ElfSymbol[], elf: ElfFile | undefined): Placed[] {
  const sorted = symbols
    .map((symbol) => ({ symbol, start: toPc(symbol.value) }))
    .filter(({ start }) => start !== Infinity)
    .toSorted((a, b) => a.start - b.start || preferred(a.symbol, b.symbol));
  const placed: Placed[] = [];
  for (const [i, { symbol, start }] of sorted.entries()) {
    if (sorted[i - 1]?.start === start) continue; // a lesser name of the same address
    const section = elf?.sections[symbol.sectionIndex];
    const limit = section === undefined ? Infinity : toPc(section.address) + section.size;
    let next = i + 1;
    while (sorted[next]?.start === start) next++;
    const following = sorted[next]?.start ?? Infinity;
    const end = symbol.size > 0 ? start + symbol.size : Math.min(following, limit);
    if (end !== Infinity && end > start) placed.push({ symbol, start, end });
  }
  return placed;
}
