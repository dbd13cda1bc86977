/**
 * What an expression needs from the outside: names and types to be checked with, and a frame of a thread to be evaluated in.
 * Neither the checker nor the evaluator knows debug information, cores or processes.
 */
import { isAbsent, type Absent } from '../../format/absent.js';
import { linkAddress, type LinkAddress } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import type { Limits } from '../../format/limits.js';
import type { MemoryReader } from '../../format/memory.js';
import type { Machine } from '../../format/registers/machine.js';
import { lookUpFunctions, signatureOf, spokenName } from '../symbols/function-lookup.js';
import type { ModuleSymbols, SourceFrame, VariableSymbol } from '../symbols/module-symbols.js';
import type { ViewLanguage } from '../types/language.js';
import type { Type } from '../types/type.js';
import type { Place } from '../types/value.js';
import type { ViewContext } from '../types/view.js';
import { findInScopes, type Surroundings } from './language-names.js';
import type { Typed } from './typed.js';

export interface NameScope {
  /** Locals innermost first, parameters, statics of the compile unit, globals. With `file`: statics of that file only. */
  findVariable(name: string, file?: string): VariableSymbol | undefined;
  /** As `findVariable`, passing over what is local. */
  findGlobal(name: string, file?: string): VariableSymbol | undefined;
  findType(name: string): Type | undefined;
  /** The only type that a template of that name became. */
  findInstance?(name: string): Type | undefined;
  /** What an object is that says so itself: the class that its vtable is of. Where there is no process nobody can tell. */
  readonly wholeTypeOf?: (object: Typed) => Type | undefined;
  /** What the code at hand was written in, where that is no C: what `int` and `char` mean there. */
  readonly language?: ViewLanguage;
  findEnumerator(name: string): { readonly type: Type; readonly value: bigint } | undefined;
  /** With `file`: of that file only. */
  findFunction(name: string, file?: string): FunctionName | undefined;
  /** Whose registers `$pc` and its like are: without it x86-64, which is all that agents run on. */
  readonly machine?: Machine;
  /** Why the registers of arguments, `$arg1` and its like, are not what the caller passed; undefined where they are. */
  readonly whyNoArguments?: () => string | undefined;
  /** `$return`, where a function is about to return; a text says why there is none. */
  readonly returnValue?: () => VariableSymbol | string;
  /** Why `$duration` is not known; undefined where the time since the function was entered is. */
  readonly whyNoDuration?: () => string | undefined;
  /** Names of variables and functions, for near matches; locals first. */
  names(): Iterable<string>;
}

export interface FunctionName {
  readonly address: LinkAddress;
  readonly type?: Type;
}

/** One frame of one thread, live or from a core. */
export interface EvaluationFrame {
  readonly memory: MemoryReader;
  /** The value of a DWARF register in this frame. */
  register(dwarfNumber: number): bigint | Absent;
  variablePlace(variable: VariableSymbol): Place;
  /** Where an address of the module that the names came from is in the process. */
  relocate(address: LinkAddress): bigint | Absent;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  /** Since the function was entered, where a point asked for it. */
  readonly durationNs?: bigint | Absent;
  readonly limits: Limits;
  /** What views ask of the process's modules. */
  readonly views?: Pick<ViewContext, 'linkSymbolAt' | 'typeOfDescriptor' | 'dynamicTypeAt'>;
}

export interface ModuleScopeOptions {
  /** The level of the source stack whose locals are seen; without it there are only globals. */
  readonly frame?: SourceFrame;
  /** Where the frame stands: its compile unit's types and statics come first. */
  readonly address?: LinkAddress;
}

/** Statics of several files can have one name; to take any of them would be to guess. */
function theOne(
  found: readonly VariableSymbol[],
  name: string,
  address: LinkAddress,
): VariableSymbol | undefined {
  const places = new Map<string, VariableSymbol>();
  for (const variable of found) {
    const location = variable.locationAt(address);
    if (isAbsent(location)) continue;
    const bytes = location.kind === 'expression' ? location.expression : location.bytes;
    const key = `${location.kind} ${bytes.join(' ')}`;
    if (!places.has(key)) places.set(key, variable);
  }
  if (places.size < 2) return places.values().next().value ?? found[0];
  const variables = [...places.values()];
  const names = new Set(variables.map((variable) => variable.wholeName ?? variable.name));
  if (names.size === variables.length) throw severalNames(name, [...names]);
  throw severalFiles(
    name,
    variables.map((variable) => variable.declaredFile),
  );
}

function severalNames(name: string, candidates: readonly string[]): StillframeError {
  return new StillframeError('bad-expression', `"${name}" can be one of ${candidates.length}`, {
    hint: `say which: ${candidates.join(', ')}`,
    candidates,
  });
}

function oneFunction(
  symbols: ModuleSymbols,
  name: string,
  file: string | undefined,
  here: string | undefined,
): FunctionName | undefined {
  const isOf = (path: string | undefined, wanted: string): boolean =>
    path !== undefined && (path === wanted || path.endsWith(`/${wanted}`));
  const all = lookUpFunctions(symbols, name).filter(({ entry }) => entry !== undefined);
  const own = here === undefined ? [] : all.filter((each) => isOf(each.file, here));
  const fitting =
    file !== undefined ? all.filter((each) => isOf(each.file, file)) : own.length > 0 ? own : all;
  const [found] = fitting;
  if (found?.entry === undefined) {
    const symbol = file === undefined ? symbols.findSymbol(name) : undefined;
    return symbol === undefined ? undefined : { address: symbol.address };
  }
  const entries = [...new Map(fitting.map((each) => [each.entry, each])).values()];
  if (entries.length > 1) {
    const names = new Set(entries.map((each) => each.name));
    const signatures = new Set(entries.map((each) => signatureOf(each)));
    if (names.size === entries.length)
      throw severalNames(
        name,
        entries.map((each) => quotedPath(spokenName(each))),
      );
    if (signatures.size === entries.length) throw severalNames(name, [...signatures]);
    throw severalFiles(
      name,
      entries.map((each) => each.file),
    );
  }
  const type: Type = {
    kind: 'function',
    result: () => found.returnType(),
    parameters: () => found.parameters().map((parameter) => parameter.type()),
    prototyped: true,
    variadic: false,
  };
  return { address: found.entry, type };
}

/** A package of Go as an expression names it: `"crypto/rand".Read`. */
function quotedPath(name: string): string {
  const dot = name.indexOf('.', name.lastIndexOf('/') + 1);
  return name.includes('/') && !name.includes('::') && dot > 0
    ? `"${name.slice(0, dot)}"${name.slice(dot)}`
    : name;
}

function severalFiles(name: string, files: readonly (string | undefined)[]): StillframeError {
  return new StillframeError('bad-expression', `"${name}" is declared in ${files.length} files`, {
    hint: 'say which file, as the candidates do',
    candidates: files.map((file) => `'${file?.split('/').at(-1) ?? '?'}'::${name}`),
  });
}

/** The names of one module, as seen from a frame in it. */
export function moduleScope(symbols: ModuleSymbols, options: ModuleScopeOptions = {}): NameScope {
  const { frame, address } = options;
  const locals = frame?.scope?.variables ?? [];
  const language = address === undefined ? undefined : symbols.languageAt?.(address);
  const around: Surroundings = {
    language,
    function: frame?.function,
    packages: () => symbols.goPackages?.() ?? [],
  };
  const inScopes = <T>(name: string, find: (whole: string) => T | undefined): T | undefined =>
    findInScopes(name, around, find);
  const one = (name: string, file?: string): VariableSymbol | undefined =>
    theOne(symbols.findGlobals(name, file), name, address ?? linkAddress(0n));
  const findGlobal = (name: string, file?: string): VariableSymbol | undefined => {
    if (file !== undefined) return one(name, file);
    // A file's own comes before what is global, but for what the scopes around the code have.
    return inScopes(name, (whole) =>
      whole === name && frame?.file !== undefined ? (one(name, frame.file) ?? one(name)) : one(whole),
    );
  };
  return {
    findGlobal,
    findVariable: (name, file) =>
      (file === undefined
        ? (locals.find((local) => local.name === name && !local.shadowed) ??
          locals.find((local) => local.name === name))
        : undefined) ?? findGlobal(name, file),
    findType: (name) => inScopes(name, (whole) => symbols.findType(whole, address)),
    findInstance: (name) => symbols.findInstance?.(name, address),
    ...(language === undefined ? {} : { language }),
    findEnumerator: (name) => inScopes(name, (whole) => symbols.findEnumerator(whole, address)),
    findFunction: (name, file) =>
      file === undefined
        ? inScopes(name, (whole) =>
            // By the ends of their names functions are found where nobody has to say which scope is meant.
            whole === name || language === 'go' || language === 'rust'
              ? oneFunction(symbols, whole, undefined, frame?.file)
              : undefined,
          )
        : oneFunction(symbols, name, file, frame?.file),
    *names() {
      for (const local of locals) yield local.name;
      yield* symbols.globalNames();
      yield* symbols.functionNames();
    },
  };
}
