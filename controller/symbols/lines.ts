/** From a line of a source file to addresses, as gdb's `break FILE:LINE` finds them (linespec.c). */
import { linkAddress } from '../../format/address.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import { tablesNaming } from '../dwarf/line-search.js';
import type { Unit } from '../dwarf/unit.js';
import { type Block, innermostBlock } from './block.js';
import type { ConcreteFunction, ModuleContext } from './module-context.js';
import type { LineAddress } from './module-symbols.js';
import { functionNameOf } from './origin.js';
import { prologueEnd } from './prologue.js';

export class LineFinder {
  readonly #context: ModuleContext;
  #unitsByFile: ReadonlyMap<string, readonly Unit[]> | undefined;
  /** By last path component. */
  readonly #unitsByName = new Map<string, ReadonlyMap<string, readonly Unit[]>>();

  constructor(context: ModuleContext) {
    this.#context = context;
  }

  /** Normalised paths of all line tables; headers alone are read for it. */
  files(): readonly string[] {
    return [...this.#units().keys()];
  }

  #units(): ReadonlyMap<string, readonly Unit[]> {
    this.#unitsByFile ??= this.#group(this.#context.files.main.units);
    return this.#unitsByFile;
  }

  /** All files of the last path component that a file has, and no doubt others, with the units whose tables name them. */
  #unitsNear(file: string): ReadonlyMap<string, readonly Unit[]> {
    if (this.#unitsByFile !== undefined) return this.#unitsByFile;
    const baseName = file.slice(file.lastIndexOf('/') + 1);
    let near = this.#unitsByName.get(baseName);
    if (near === undefined) {
      const units = this.#context.index()?.unitsNaming(baseName) ?? this.#unitsWithTable(baseName);
      near = units === undefined ? this.#units() : this.#group(units);
      this.#unitsByName.set(baseName, near);
    }
    return near;
  }

  /** Undefined where all headers must be read to know. */
  #unitsWithTable(baseName: string): Unit[] | undefined {
    const { main } = this.#context.files;
    const tables = tablesNaming(main.sections, baseName);
    if (tables === undefined) return undefined;
    const found = new Set<Unit>();
    for (const table of tables) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(table);
      for (const at of main.search(bytes)) {
        const unit = main.unitContaining(at);
        if (unit !== undefined && unit.root.sectionOffset(DW_AT.stmt_list) === table) found.add(unit);
      }
    }
    return [...found].toSorted((a, b) => a.offset - b.offset);
  }

  #group(units: readonly Unit[]): Map<string, Unit[]> {
    const byFile = new Map<string, Unit[]>();
    for (const unit of units) {
      // Partial units share the table of one that has code.
      if (unit.isTypeUnit || unit.root.tag === DW_TAG.partial_unit) continue;
      for (const path of new Set(this.#context.lines(unit).paths())) {
        const list = byFile.get(path);
        if (list === undefined) byFile.set(path, [unit]);
        else list.push(unit);
      }
    }
    return byFile;
  }

  /** The known path that is meant: the same, or the only one that ends like it. */
  #pathOf(file: string): string | undefined {
    const units = this.#unitsNear(file);
    if (units.has(file)) return file;
    const fitting = [...units.keys()].filter((path) => path.endsWith(`/${file}`));
    return fitting.length === 1 ? fitting[0] : undefined;
  }

  linesWithCode(file: string): readonly number[] {
    const path = this.#pathOf(file);
    if (path === undefined) return [];
    const lines = new Set<number>();
    for (const unit of this.#unitsNear(path).get(path) ?? []) {
      for (const { line, isStatement } of this.#context.lines(unit).tables.get(path) ?? [])
        if (isStatement && line !== 0) lines.add(line);
    }
    return [...lines].toSorted((a, b) => a - b);
  }

  /**
   * The first statement of the line in each block; in a function's prologue it stands for the end of that. NB: gdb takes the
   * split-off cold part of a function for its prologue when it lies before the rest. We do not.
   */
  find(file: string, line: number): readonly LineAddress[] {
    const path = this.#pathOf(file);
    if (path === undefined) return [];
    const found = new Map<number, LineAddress>();
    const seen = new Set<Block>();
    for (const unit of this.#unitsNear(path).get(path) ?? []) {
      for (const address of this.#context.lines(unit).statementsOf(path, line)) {
        const concrete = this.#context.functionAt(address);
        const block = concrete === undefined ? undefined : this.#block(concrete, address);
        if (block !== undefined) {
          if (seen.has(block)) continue;
          seen.add(block);
        }
        const pc = concrete === undefined ? address : this.#afterPrologue(concrete, address);
        if (!found.has(pc)) found.set(pc, describe(this.#context, concrete, pc));
      }
    }
    return [...found.values()].toSorted((a, b) => (a.address < b.address ? -1 : 1));
  }

  /** gdb has no blocks for those that declare nothing. */
  #block(concrete: ConcreteFunction, address: number): Block {
    let block = innermostBlock(this.#context.blocks(concrete).root, address);
    while (block.kind === 'lexical' && !block.hasSymbols && block.parent !== undefined) block = block.parent;
    return block;
  }

  #afterPrologue(concrete: ConcreteFunction, address: number): number {
    if (address < concrete.entry) return address;
    return Math.max(address, prologueEnd(this.#context, concrete));
  }
}

function describe(context: ModuleContext, concrete: ConcreteFunction | undefined, pc: number): LineAddress {
  const address = linkAddress(BigInt(pc));
  if (concrete === undefined) {
    return { address, function: context.elfSymbols.at(address)?.name ?? '', inlined: false };
  }
  let block: Block | undefined = innermostBlock(context.blocks(concrete).root, pc);
  while (block.kind === 'lexical' && block.parent !== undefined) block = block.parent;
  return { address, function: functionNameOf(block.die) ?? '', inlined: block.kind === 'inlined' };
}
