/**
 * What the rest of the controller may ask of one module's debug information. `open` in this folder makes one from an ELF file.
 * All addresses are link addresses. Nothing here touches a process. Units are read lazily.
 */
import type { Absent } from '../../format/absent.js';
import type { LinkAddress } from '../../format/address.js';
import type { UnitContext } from '../../format/dwarf-op/context.js';
import type { ElfFile } from '../../format/elf/file.js';
import type { CallFrameTable } from '../dwarf/call-frame.js';
import type { ViewLanguage } from '../types/language.js';
import type { Type } from '../types/type.js';

export interface ModuleSymbols {
  readonly path: string;
  readonly buildId: string;
  readonly elf: ElfFile;
  /** False when the file has symbols only: names and addresses, no lines, no variables. */
  readonly hasDebugInfo: boolean;
  /** Why debug information that should be there is not: files that are missing, or are not the ones that are meant. */
  readonly problems?: readonly string[];
  /** CFI of `.eh_frame` and `.debug_frame`. */
  readonly frames: CallFrameTable;

  /** Functions that a person means by that name, the end of a path included, out-of-line and inlined-only; empty when there is none. */
  findFunctions(name: string): readonly FunctionSymbol[];
  /** Functions of exactly that linkage or source name. Cheap also where there is none. */
  functionsNamed(name: string): readonly FunctionSymbol[];
  /** Names of functions, for near matches. */
  functionNames(): Iterable<string>;
  /** Source files of the line tables: normalised absolute paths. */
  sourceFiles(): readonly string[];
  /**
   * Addresses of a line: every `is_stmt` row of that line that begins a sequence of rows of it (one for each block and inlined
   * copy), in address order. Empty when the line has no code.
   */
  findLine(file: string, line: number): readonly LineAddress[];
  /** Lines of the file that have code, ascending. */
  linesWithCode(file: string): readonly number[];

  /**
   * The source position of an address, innermost inlined function first. The last entry is the out-of-line function.
   * Empty when nothing is known; a function from the symbol table has no file.
   */
  sourceStack(address: LinkAddress): readonly SourceFrame[];
  /** The concrete function that contains the address. */
  functionAt(address: LinkAddress): FunctionSymbol | undefined;
  /**
   * Undefined where a function begins, or has done no more than set up its frame: its arguments are still in the registers where the
   * calling convention of C puts them. Elsewhere why that is not so.
   */
  whyNoArguments(address: LinkAddress): string | undefined;

  /** A global or file-static variable; `file` narrows statics (`'file.c'::name`). More than one may fit. */
  findGlobals(name: string, file?: string): readonly VariableSymbol[];
  globalNames(): Iterable<string>;
  /** `struct order`, `order` (typedef or struct), `unsigned int`, an enum; base types by any C spelling of them. `from`: prefer the compile unit of this address. */
  findType(name: string, from?: LinkAddress): Type | undefined;
  /** The only type that a template or generic of that name became; throws where there are several. */
  findInstance?(name: string, from?: LinkAddress): Type | undefined;
  /** The language of the code at an address, where that is one with views. */
  languageAt?(address: LinkAddress): ViewLanguage | undefined;
  /** Paths of the packages of Go. */
  goPackages?(): readonly string[];
  /** An enumerator by name, for constants in expressions. */
  findEnumerator(
    name: string,
    from?: LinkAddress,
  ): { readonly type: Type; readonly value: bigint } | undefined;
  /** The type whose vtable for some trait begins at an address, where rustc's debug information says so of one type. */
  typeOfRustVtable(address: LinkAddress): Type | undefined;
  /** The type that a runtime type descriptor of Go is of. */
  goTypeAt?(descriptor: LinkAddress): Type | undefined;
  /** What a function of Go captured, by its entry: the closure that its values point to. Undefined where it captured nothing, or that is not known. */
  goClosureAt?(code: LinkAddress): Type | undefined;
  /** The class of C++ whose member function begins at an address; undefined where it could be that of several. */
  classOfMember?(address: LinkAddress): Type | undefined;
  /** The vtable that objects would have whose first word is that address. */
  vtableAt?(address: LinkAddress): VtablePlace | undefined;
  /** The class of a mangled name: `N4shop6CircleE`. */
  classOfName?(encoding: string): Type | undefined;
  /** The symbol that covers an address: `printf`, and how far into it. For function pointers and frames without debug info. */
  symbolAt(address: LinkAddress): { readonly name: string; readonly offset: bigint } | undefined;
  /** Address of a data or function symbol. */
  findSymbol(name: string): { readonly address: LinkAddress; readonly size: number } | undefined;
}

/** A vtable of C++, as an object points into it. */
export interface VtablePlace {
  /** The mangled name of the class that the whole object is of. */
  readonly encoding: string;
  /** From where an object has its pointer to it to where the whole object begins; not positive. */
  readonly offsetToTop: bigint;
}

export interface FunctionSymbol {
  readonly name: string;
  /** As the linker knows it: of a method of a trait of Rust nothing else says whose it is. */
  readonly linkageName?: string;
  readonly file?: string;
  readonly line?: number;
  /** Address ranges, the entry's first; empty for a function that exists only inlined. */
  readonly ranges: readonly AddressRange[];
  readonly entry?: LinkAddress;
  /** The address after the prologue, as gdb chooses it (second `is_stmt` row of the function, with its exceptions). */
  readonly afterPrologue?: LinkAddress;
  /** Where copies of it were inlined: the entry address of each copy. */
  readonly inlinedCopies: readonly InlinedCopy[];
  readonly returnType: () => Type;
  readonly parameters: () => readonly VariableSymbol[];
  /**
   * Targets of the tail calls in it (call sites with DW_AT_call_tail_call or DW_AT_GNU_tail_call), undefined for one that is not
   * known. A function that can come back to itself by them has no reliable entry values.
   */
  readonly tailCalls?: () => readonly (CallTarget | undefined)[];
  /**
   * Tail calls in it, for finding who left by one. None where debug information does not promise to tell all of them
   * (DW_AT_call_all_calls and the like); undefined for a function of which only the symbol is known.
   */
  readonly tailCallSites?: () => readonly TailCallSite[];
  /** Whether debug information promises to tell all of them. */
  readonly tellsTailCalls?: () => boolean;
  /**
   * The compiler says that this is where the program begins (DW_AT_main_subprogram). `hidden`: a namespace has the same name, as in Rust that
   * of the closures in `main`; gdb 13 finds that instead, and ends a stack neither there nor in the `main` around it.
   */
  readonly beginsProgram?: 'known' | 'hidden';
  /** By what convention it returns; undefined of a function of which only the symbol is known. */
  readonly convention?: ReturnConvention;
}

export interface ReturnConvention {
  readonly language: 'c' | 'c++' | 'rust' | 'go' | 'other';
  /** DW_AT_producer of its unit. */
  readonly producer: string;
  /** Of Go: its results, in order. */
  readonly results: () => readonly VariableSymbol[];
}

export interface TailCallSite {
  /** Right after the jump. */
  readonly returnAddress: LinkAddress;
  readonly target: CallTarget | undefined;
}

export interface InlinedCopy {
  readonly entry: LinkAddress;
  readonly ranges: readonly AddressRange[];
  /** The concrete function that it stands in. */
  readonly into: string;
}

export interface AddressRange {
  readonly start: LinkAddress;
  /** First address after it. */
  readonly end: LinkAddress;
}

export interface LineAddress {
  readonly address: LinkAddress;
  readonly function: string;
  readonly inlined: boolean;
}

/** One level of a source stack. `scope` answers for variables at this level. */
export interface SourceFrame {
  readonly function: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly inlined: boolean;
  readonly scope?: Scope;
  /** Why there is no scope, where debug information exists in a file that could not be had. */
  readonly absent?: Absent;
}

/** Variables visible at an address in one (possibly inlined) function. */
export interface Scope {
  /** Parameters and locals, innermost block first, in declaration order within a block; parameters are of the outermost. */
  readonly variables: readonly VariableSymbol[];
  /** DW_AT_frame_base of the concrete function. */
  readonly frameBase: Uint8Array | undefined;
  /** For the frame base and the values of call sites. */
  readonly unit?: ExpressionUnit;
  /** Call-site parameters of the call that returns to an address, for entry values of the callee. */
  callSite(returnAddress: LinkAddress): CallSite | undefined;
}

/**
 * What the expressions of one compile unit refer to beyond themselves: entries of its `.debug_addr`, its base types, the locations of
 * its DIEs. An evaluator puts them into its context.
 */
export interface ExpressionUnit extends Omit<UnitContext, 'callExpression'> {
  /** For DW_OP_call*, at the address at hand: the location of a DIE by its offset in the unit, or in `.debug_info`. */
  readonly called?: (
    dieOffset: number,
    from: 'unit' | 'section',
    address: LinkAddress,
  ) => CalledLocation | Absent | undefined;
  /** LLVM: what its locations mean by the stack pointer is that of the function's body, wherever pushes have moved it to. */
  readonly countsFromBody?: boolean;
  /** What a DW_OP_implicit_pointer points to: the DIE at an offset of `.debug_info`, or its instance at an address. */
  readonly pointedTo?: (dieOffset: number, address: LinkAddress) => VariableSymbol | Absent;
  /** The parameter whose DIE is at an offset of the unit, as call sites name it: see {@link CallSite.byParameter}. */
  readonly parameterKey?: (dieOffset: number) => number;
  /** The variable whose DIE is at an offset of `.debug_info`: for DW_OP_GNU_variable_value. */
  readonly variable?: (dieOffset: number) => VariableSymbol | undefined;
}

export interface CalledLocation {
  readonly expression: Uint8Array;
  /** Of the DIE, where it is another one than the caller's. */
  readonly unit?: ExpressionUnit;
}

export interface CallSite {
  readonly parameters: readonly CallSiteParameter[];
  /** Values of parameters that are passed nowhere, for the callee was specialised for its callers; by their key. */
  readonly byParameter?: ReadonlyMap<number, Uint8Array>;
  readonly isTailCall: boolean;
  /** What is called. Undefined when unknown: then nothing says that the parameters are those of the frame at hand. */
  readonly target?: CallTarget;
}

export interface CallSiteParameter {
  /** Of a callee's parameter at its entry: `DW_OP_reg5`. */
  readonly location: Uint8Array;
  /** Its value, in the caller's frame. */
  readonly value?: Uint8Array;
  /** DW_AT_call_data_value: the value that the parameter points to. */
  readonly dataValue?: Uint8Array;
}

/** DW_AT_call_origin, as an address or, for a function of another unit or module, by linkage name; or DW_AT_call_target. */
export type CallTarget =
  | {
      readonly kind: 'entry';
      readonly address: LinkAddress;
      /** Where each piece of its code begins; undefined where the call site names an abstract instance, and not this code. */
      readonly pieces?: readonly LinkAddress[];
    }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'expression'; readonly expression: Uint8Array };

export interface VariableSymbol {
  readonly name: string;
  /** Of a global, with the namespaces and classes that it stands in. */
  readonly wholeName?: string;
  readonly parameter: boolean;
  readonly type: () => Type;
  readonly declaredFile?: string;
  readonly declaredLine?: number;
  /** A later declaration in an inner block hides it at the address that was asked about. */
  readonly shadowed: boolean;
  /**
   * The location description that covers an address: a DWARF expression; or constant bytes (DW_AT_const_value); or absent
   * (`optimized-out` with the ranges where it does exist in the detail; `not-in-scope`). For a global any address will do.
   */
  locationAt(address: LinkAddress): VariableLocation | Absent;
  /** For the expressions that `locationAt` gives. */
  readonly unit?: ExpressionUnit;
  /** Ranges where a location exists, for "available at lines …"; undefined when everywhere. */
  readonly availableRanges: () => readonly AddressRange[] | undefined;
}

export type VariableLocation =
  | { readonly kind: 'expression'; readonly expression: Uint8Array }
  | { readonly kind: 'constant'; readonly bytes: Uint8Array };
