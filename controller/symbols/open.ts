/**
 * Opens the debug information of one ELF file: answers every question of `module-symbols.ts`, each from as little of the file as it
 * needs. Pure given its ElfFile; nothing is read until it is asked for, and what was read is kept.
 */
import type { LinkAddress } from '../../format/address.js';
import { linkAddress } from '../../format/address.js';
import type { ElfFile } from '../../format/elf/file.js';
import { type Limits, defaultLimits } from '../../format/limits.js';
import type { CallFrameTable } from '../dwarf/call-frame.js';
import { toPc } from '../dwarf/sections.js';
import type { ViewLanguage } from '../types/language.js';
import type { Type } from '../types/type.js';
import { type DebugFileOpener, noDebugFiles } from './debug-file-opener.js';
import { DebugFiles } from './debug-files.js';
import { ElfSymbols } from './elf-symbols.js';
import { FunctionFinder } from './functions.js';
import { GoTypes } from './go-types.js';
import { GlobalFinder } from './globals.js';
import { LineFinder } from './lines.js';
import { ModuleContext, type OpenIndex } from './module-context.js';
import type {
  FunctionSymbol,
  LineAddress,
  ModuleSymbols,
  SourceFrame,
  VariableSymbol,
  VtablePlace,
} from './module-symbols.js';
import { once } from './once.js';
import { viewLanguage } from './origin.js';
import { RustVtables } from './rust-vtables.js';
import { CplusplusClasses } from './cplusplus-classes.js';
import { SourceStacks } from './source-stack.js';
import { type FoundEnumerator, TypeFinder } from './type-finder.js';

/** Files beyond the module's own: see {@link ./find-debug-files.ts}. */
export interface ModuleDebugFiles extends DebugFileOpener {
  readonly debug?: ElfFile | undefined;
  readonly mini?: ElfFile | undefined;
  readonly problems?: readonly string[];
  readonly openIndex?: OpenIndex;
}

export function openModuleSymbols(
  elf: ElfFile,
  path: string,
  frames: CallFrameTable,
  limits: Limits = defaultLimits,
  files: ModuleDebugFiles = noDebugFiles,
): ModuleSymbols {
  return new OpenedSymbols(elf, path, frames, limits, files);
}

class OpenedSymbols implements ModuleSymbols {
  readonly path: string;
  readonly elf: ElfFile;
  readonly frames: CallFrameTable;
  readonly #files: DebugFiles;
  readonly #found: ModuleDebugFiles;
  readonly #context: ModuleContext;
  readonly #functions: FunctionFinder;
  readonly #globals: GlobalFinder;
  readonly #types: TypeFinder;
  readonly #rustVtables: RustVtables;
  readonly #lines: LineFinder;
  readonly #stacks: SourceStacks;
  readonly #goTypes: GoTypes;
  readonly #classes: CplusplusClasses;

  constructor(elf: ElfFile, path: string, frames: CallFrameTable, limits: Limits, files: ModuleDebugFiles) {
    this.path = path;
    this.elf = elf;
    this.frames = frames;
    this.#found = files;
    const { debug } = files;
    this.#files = new DebugFiles(debug ?? elf, debug?.source.name ?? path, files);
    const others = [debug, files.mini].filter((each) => each !== undefined);
    this.#context = new ModuleContext(
      elf,
      this.#files,
      limits,
      new ElfSymbols([elf, ...others]),
      files.openIndex,
    );
    this.#functions = new FunctionFinder(this.#context);
    this.#globals = new GlobalFinder(this.#context);
    this.#types = new TypeFinder(this.#context);
    this.#rustVtables = new RustVtables(this.#context);
    this.#lines = new LineFinder(this.#context);
    this.#stacks = new SourceStacks(this.#context);
    this.#goTypes = new GoTypes(this.#context);
    this.#classes = new CplusplusClasses(this.#context);
  }

  get buildId(): string {
    return this.elf.buildId ?? '';
  }

  get problems(): readonly string[] {
    return [...(this.#found.problems ?? []), ...this.#files.problems];
  }

  get hasDebugInfo(): boolean {
    return this.#files.main.units.some((unit) => !unit.isTypeUnit);
  }

  findFunctions(name: string): readonly FunctionSymbol[] {
    return this.#functions.find(name);
  }

  functionsNamed(name: string): readonly FunctionSymbol[] {
    return this.#functions.named(name);
  }

  functionNames(): Iterable<string> {
    return this.#functions.names();
  }

  sourceFiles(): readonly string[] {
    return this.#lines.files();
  }

  findLine(file: string, line: number): readonly LineAddress[] {
    return this.#lines.find(file, line);
  }

  linesWithCode(file: string): readonly number[] {
    return this.#lines.linesWithCode(file);
  }

  sourceStack(address: LinkAddress): readonly SourceFrame[] {
    return this.#stacks.at(address);
  }

  functionAt(address: LinkAddress): FunctionSymbol | undefined {
    return this.#functions.at(toPc(address));
  }

  whyNoArguments(address: LinkAddress): string | undefined {
    return this.#functions.whyNoArguments(toPc(address));
  }

  findGlobals(name: string, file?: string): readonly VariableSymbol[] {
    return this.#globals.find(name, file);
  }

  globalNames(): Iterable<string> {
    return this.#globals.names();
  }

  findType(name: string, from?: LinkAddress): Type | undefined {
    return this.#types.find(name, from);
  }

  findInstance(name: string, from?: LinkAddress): Type | undefined {
    return this.#types.findInstance(name, from);
  }

  languageAt(address: LinkAddress): ViewLanguage | undefined {
    const unit = this.#context.unitAt(toPc(address));
    return unit === undefined ? undefined : viewLanguage(unit.language);
  }

  goPackages(): readonly string[] {
    return this.#goPackages();
  }

  readonly #goPackages = once(() =>
    this.#files.units.flatMap((unit) => (viewLanguage(unit.language) === 'go' ? (unit.root.name ?? []) : [])),
  );

  findEnumerator(name: string, from?: LinkAddress): FoundEnumerator | undefined {
    return this.#types.findEnumerator(name, from);
  }

  typeOfRustVtable(address: LinkAddress): Type | undefined {
    return this.#rustVtables.typeAt(address);
  }

  goTypeAt(descriptor: LinkAddress): Type | undefined {
    return this.#goTypes.at(descriptor);
  }

  goClosureAt(code: LinkAddress): Type | undefined {
    return this.#goTypes.closureOf(code);
  }

  classOfMember(address: LinkAddress): Type | undefined {
    return this.#classes.ofMember(address);
  }

  vtableAt(address: LinkAddress): VtablePlace | undefined {
    return this.#classes.vtableAt(address);
  }

  classOfName(encoding: string): Type | undefined {
    return this.#classes.ofName(encoding);
  }

  symbolAt(address: LinkAddress): { readonly name: string; readonly offset: bigint } | undefined {
    return this.#context.elfSymbols.at(address);
  }

  findSymbol(name: string): { readonly address: LinkAddress; readonly size: number } | undefined {
    const symbol = this.#context.elfSymbols.find(name);
    return symbol === undefined ? undefined : { address: linkAddress(symbol.value), size: symbol.size };
  }
}
