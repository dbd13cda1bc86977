/** What the pieces of one module's symbols share: the units, their lines, functions and types, each made once. */
import { linkAddress } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import type { ElfFile } from '../../format/elf/file.js';
import type { Limits } from '../../format/limits.js';
import { findMachine } from '../../format/registers/machines.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { rangesOf } from '../dwarf/range-list.js';
import { type PcRange, toPc } from '../dwarf/sections.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';
import type { Type } from '../types/type.js';
import { type FunctionBlocks, buildBlocks } from './block.js';
import type { DebugFiles } from './debug-files.js';
import type { ElfSymbols } from './elf-symbols.js';
import { expressionUnitOf } from './expression-unit.js';
import type { AddressRange, ExpressionUnit, VariableSymbol } from './module-symbols.js';
import { FileIndex, type OpenedIndex } from './file-index.js';
import { KIND } from './file-names.js';
import { openNameAccelerator } from './name-accelerator.js';
import { NameIndex } from './name-index.js';
import { once } from './once.js';
import { qualifiedNameOf, viewLanguage } from './origin.js';
import { unqualified } from './qualified-name.js';
import { TypeReader } from './types.js';
import { UnitLines } from './statements.js';
import { concreteSubprograms } from './subprograms.js';
import { RangeTable, UnitRanges } from './units.js';
import { type VariableContext, makeVariable } from './variable.js';

/** A function with code of its own. */
export interface ConcreteFunction {
  readonly die: Die;
  readonly ranges: readonly PcRange[];
  readonly entry: number;
}

interface FunctionRange extends PcRange {
  readonly function: ConcreteFunction;
}

/** Gives the index of a file with debug information; undefined when there is none yet. */
export type OpenIndex = (elf: ElfFile, info: DebugInfo) => OpenedIndex | undefined;

function indexOf(files: DebugFiles, open: OpenIndex): FileIndex | undefined {
  const { main } = files;
  if (files.units.some((unit) => unit.info !== main) || main.units.length !== files.units.length)
    return undefined;
  const opened = open(files.elf, main);
  return opened === undefined ? undefined : new FileIndex(main, opened);
}

export class ModuleContext implements VariableContext {
  readonly elf: ElfFile;
  readonly files: DebugFiles;
  readonly limits: Limits;
  readonly names: NameIndex;
  readonly types: TypeReader;
  /** Undefined where the cache has none, or the debug information lies in several files. */
  readonly index: () => FileIndex | undefined;
  readonly elfSymbols: ElfSymbols;
  readonly #unitRanges: UnitRanges;
  readonly #lines = new Map<Unit, UnitLines>();
  readonly #functions = new Map<Unit, RangeTable<FunctionRange>>();
  readonly #blocks = new Map<number, FunctionBlocks>();
  readonly #expressionUnits = new Map<Unit, ExpressionUnit>();
  /** Set by whoever knows globals; variables that are only declared ask it. */
  findGlobal: ((name: string, die: Die) => VariableSymbol | undefined) | undefined;

  constructor(
    elf: ElfFile,
    files: DebugFiles,
    limits: Limits,
    elfSymbols: ElfSymbols,
    openIndex: OpenIndex = () => undefined,
  ) {
    this.index = once(() => indexOf(files, openIndex));
    this.elf = elf;
    this.files = files;
    this.limits = limits;
    this.names = new NameIndex(files, () => openNameAccelerator(files.elf, files.main), this.index);
    const find = {
      definition: (declaration: Die) => this.#definitionOfType(declaration),
      named: (name: string) => this.#typeNamed(name),
    };
    this.types = new TypeReader(find, findMachine(elf.machine));
    this.elfSymbols = elfSymbols;
    this.#unitRanges = new UnitRanges(files.main);
  }

  /** NB: two namespaces can have types of one name. */
  #definitionOfType(declaration: Die): Die | undefined {
    const { tag, name } = declaration;
    if (name === undefined) return undefined;
    const whole = once(() => qualifiedNameOf(declaration));
    const kind = tag === DW_TAG.enumeration_type ? KIND.enumeration : KIND.type;
    for (const die of this.names.findKnown(kind, name)) {
      if (die.tag !== tag || die.flag(DW_AT.declaration)) continue;
      if (viewLanguage(declaration.unit.language) === undefined || qualifiedNameOf(die) === whole())
        return die;
    }
    return undefined;
  }

  #typeNamed(name: string): Type | undefined {
    for (const kind of [KIND.type, KIND.enumeration]) {
      for (const die of this.names.find(kind, unqualified(name))) {
        if (!die.flag(DW_AT.declaration) && qualifiedNameOf(die) === name) return this.types.typeAt(die);
      }
    }
    return undefined;
  }

  /** The unit whose code an address is: a skeleton where its `.dwo` file is missing. */
  unitAt(pc: number): Unit | undefined {
    const unit = this.#unitRanges.find(pc);
    return unit === undefined ? undefined : this.files.resolve(unit);
  }

  lines(of: Unit): UnitLines {
    const unit = of.lineUnit;
    let lines = this.#lines.get(unit);
    if (lines === undefined) this.#lines.set(unit, (lines = new UnitLines(unit)));
    return lines;
  }

  /** The concrete function whose code an address is. */
  functionAt(pc: number): ConcreteFunction | undefined {
    const unit = this.unitAt(pc);
    return unit === undefined ? undefined : this.#functionsOf(unit).find(pc)?.function;
  }

  #functionsOf(unit: Unit): RangeTable<FunctionRange> {
    let table = this.#functions.get(unit);
    if (table === undefined) {
      const ranges: FunctionRange[] = [];
      const dies = unit.info === this.files.main ? this.index()?.subprograms(unit) : undefined;
      for (const die of dies ?? concreteSubprograms(unit)) {
        const found = this.concrete(die);
        if (found === undefined) continue;
        for (const { start, end } of found.ranges) ranges.push({ start, end, function: found });
      }
      table = new RangeTable(ranges);
      this.#functions.set(unit, table);
    }
    return table;
  }

  /** A subprogram DIE as a function with code; undefined for declarations, abstract instances, and code that was thrown away. */
  concrete(die: Die): ConcreteFunction | undefined {
    if (!die.has(DW_AT.low_pc) && !die.has(DW_AT.ranges)) return undefined;
    const ranges = rangesOf(die).filter((range) => range.start > 1);
    const [first] = ranges;
    return first === undefined ? undefined : { die, ranges, entry: first.start };
  }

  blocks(found: ConcreteFunction): FunctionBlocks {
    let blocks = this.#blocks.get(found.die.key);
    if (blocks === undefined) {
      blocks = buildBlocks(found.die, this.limits.maxNesting);
      this.#blocks.set(found.die.key, blocks);
    }
    return blocks;
  }

  typeOf(die: Die): Type {
    return this.types.typeOf(die);
  }

  path(die: Die, fileIndex: number): string | undefined {
    // NB: 0 means "no file" before version 5, and the unit's own file since.
    try {
      return this.lines(die.unit).path(fileIndex);
    } catch (error) {
      // A broken line table costs the names of files, not the variables that are declared in them.
      if (error instanceof StillframeError) return undefined;
      throw error;
    }
  }

  expressionUnit(die: Die): ExpressionUnit {
    let unit = this.#expressionUnits.get(die.unit);
    if (unit === undefined) {
      this.#expressionUnits.set(
        die.unit,
        (unit = expressionUnitOf(die.unit, {
          variableOf: (of) => makeVariable(this, of),
          unitOf: (of) => this.expressionUnit(of),
          declaredAt: (address) => this.#declaredAt(toPc(address)),
        })),
      );
    }
    return unit;
  }

  #declaredAt(pc: number): readonly Die[] {
    const found = this.functionAt(pc);
    return found === undefined ? [] : this.blocks(found).root.variables;
  }

  findDefinition(name: string, die: Die): VariableSymbol | undefined {
    return this.findGlobal?.(name, die);
  }

  describeRange(start: number, end: number): string | undefined {
    const unit = this.unitAt(start);
    if (unit === undefined) return undefined;
    const lines = this.lines(unit);
    const first = lines.positionAt(start);
    const last = lines.positionAt(end - 1);
    if (first === undefined || last === undefined) return undefined;
    const file = first.file.slice(first.file.lastIndexOf('/') + 1);
    if (first.file !== last.file || first.line >= last.line) return `${file}:${first.line}`;
    return `${file}:${first.line}-${last.line}`;
  }
}

export function toAddressRanges(ranges: readonly PcRange[]): AddressRange[] {
  return ranges
    .filter((range) => range.end !== Infinity)
    .map(({ start, end }) => ({ start: linkAddress(BigInt(start)), end: linkAddress(BigInt(end)) }));
}
