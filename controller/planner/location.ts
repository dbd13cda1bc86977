/**
 * LOCATION of CLI.md to addresses of one module: `file.c:42`, `function`, `file.c:function`, `*0x401136`; whoever
 * knows the process has cut `lib.so!` off. Addresses are link addresses at the beginning of an instruction: every inlined copy, after the prologue.
 */
import { hex, type LinkAddress, linkAddress } from '../../format/address.js';
import { type ErrorCode, type ErrorOptions, StillframeError } from '../../format/error.js';
import { didYouMean, nearMatches } from '../expression/near-match.js';
import { lookUpFunctions, signatureOf } from '../symbols/function-lookup.js';
import type { FunctionSymbol, ModuleSymbols } from '../symbols/module-symbols.js';
import { boundaryFault } from './boundary.js';
import { type FunctionExit, functionExits, type UnseenExit } from './exits.js';
import { findFile, shortNames } from './source-file.js';

export interface LocatedSite {
  readonly address: LinkAddress;
  /** The function that the location is in, as its source names it. */
  readonly function: string;
  readonly inlined: boolean;
  /** True when the point was moved from the function's first instruction to the one after the prologue. */
  readonly afterPrologue: boolean;
  /** The address that the location means, where another one costs less and is the same. */
  readonly movedFrom?: LinkAddress;
  /** Loads lie between that place and this one. */
  readonly pastLoads?: boolean;
  /** Where it would cost less past loads, which was not asked for. */
  readonly cheaper?: LinkAddress;
  /** Where the function is left, of `function:return`. */
  readonly exit?: FunctionExit;
}

export interface Located {
  /** Ascending. */
  readonly sites: readonly LocatedSite[];
  /** Of `function:return`: where the function is left, or may be, and no probe can be. */
  readonly unseen: readonly (UnseenExit & { readonly function: string })[];
}

export type ParsedLocation =
  | { readonly kind: 'line'; readonly file: string; readonly line: number }
  | { readonly kind: 'function' | 'return'; readonly name: string; readonly file?: string }
  | { readonly kind: 'address'; readonly address: LinkAddress };

/** Reads the text of a location; throws `usage` or `unsupported`. */
export function parseLocation(text: string): ParsedLocation {
  const rest = text.trim();
  if (rest === '') throw failure('usage', text, 'it is empty');
  if (rest.startsWith('*')) {
    const digits = rest.slice(1).trim();
    if (!/^(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(digits)) {
      throw failure('usage', text, `"${digits}" is not an address`, {
        hint: 'write an address as *0x401136',
      });
    }
    return { kind: 'address', address: linkAddress(BigInt(digits)) };
  }
  if (rest.endsWith(':return') && !rest.endsWith('::return')) {
    const of = parseLocation(rest.slice(0, -':return'.length));
    if (of.kind === 'function') return { ...of, kind: 'return' };
    throw failure('usage', text, 'only functions return', { hint: 'write FUNCTION:return' });
  }
  const line = /^(.+[^:]):(\d+)$/.exec(rest);
  if (line?.[1] !== undefined && line[2] !== undefined) {
    const number = Number(line[2]);
    if (number < 1 || number > 0xffff_ffff) throw failure('usage', text, `there is no line ${line[2]}`);
    return { kind: 'line', file: line[1], line: number };
  }
  const inFile = /^([^:]+\.[^:]+):([^:].*)$/.exec(rest);
  if (inFile?.[1] !== undefined && inFile[2] !== undefined) {
    return { kind: 'function', file: inFile[1], name: inFile[2] };
  }
  return { kind: 'function', name: rest };
}

/** Addresses of a location in this module, ascending; throws `not-found` or `ambiguous` with candidates. */
export function resolveLocation(symbols: ModuleSymbols, text: string): readonly LocatedSite[] {
  return locate(symbols, text).sites;
}

/** As `resolveLocation`, with what no probe can see. */
export function locate(symbols: ModuleSymbols, text: string): Located {
  const parsed = parseLocation(text);
  const { sites, unseen } =
    parsed.kind === 'return'
      ? returnSites(symbols, text, parsed)
      : { sites: sitesOf(symbols, text, parsed), unseen: [] };
  const distinct = new Map(sites.map((site) => [site.address, site]));
  return { sites: [...distinct.values()].toSorted((a, b) => (a.address < b.address ? -1 : 1)), unseen };
}

function returnSites(
  symbols: ModuleSymbols,
  text: string,
  { name, file: wantedFile }: { readonly name: string; readonly file?: string },
): Located {
  const functions = functionsNamed(
    symbols,
    name,
    wantedFile === undefined ? undefined : fileOrThrow(symbols, text, wantedFile),
  );
  if (functions.length === 0) {
    // Says what there is of that name.
    symbolSite(symbols, text, name, wantedFile);
    throw failure(
      'unsupported',
      text,
      'the function has no debug information, so where it ends is not known',
    );
  }
  refuseSeveral(text, name, functions);
  const sites: LocatedSite[] = [];
  const unseen: Located['unseen'][number][] = [];
  for (const found of functions) {
    for (const copy of found.inlinedCopies) {
      unseen.push({
        address: copy.entry,
        function: copy.into,
        reason: `inlined into "${copy.into}": it ends without an instruction of its own`,
      });
    }
    if (found.entry === undefined) continue;
    const exits = functionExits(symbols, found);
    if (typeof exits === 'string') throw failure('unsupported', text, exits);
    for (const exit of exits.exits) {
      sites.push({ address: exit.address, function: found.name, inlined: false, afterPrologue: false, exit });
    }
    unseen.push(...exits.unseen.map((each) => ({ ...each, function: found.name })));
  }
  if (sites.length > 0) return { sites, unseen };
  const [first] = unseen;
  throw failure('unsupported', text, first === undefined ? 'the function never returns' : first.reason, {
    hint: 'name the lines of its return statements',
  });
}

function sitesOf(symbols: ModuleSymbols, text: string, parsed: ParsedLocation): readonly LocatedSite[] {
  switch (parsed.kind) {
    case 'line':
      return lineSites(symbols, text, parsed.file, parsed.line);
    case 'function':
      return functionSites(symbols, text, parsed.name, parsed.file);
    case 'return':
    case 'address':
      break;
  }
  if (parsed.kind !== 'address') return [];
  const fault = boundaryFault(symbols, parsed.address);
  if (fault !== undefined) {
    const nearest = (fault.nearest ?? []).map((address) => hex(address));
    throw failure('not-found', text, fault.reason, {
      detail: { address: parsed.address },
      candidates: nearest.map((address) => `*${address}`),
      ...(nearest.length === 0 ? {} : { hint: `instructions begin at ${nearest.join(' and ')}` }),
    });
  }
  const [innermost] = symbols.sourceStack(parsed.address);
  const name = innermost?.function ?? symbols.symbolAt(parsed.address)?.name ?? '';
  return [
    {
      address: parsed.address,
      function: name,
      inlined: innermost?.inlined ?? false,
      afterPrologue: false,
    },
  ];
}

function lineSites(
  symbols: ModuleSymbols,
  text: string,
  wanted: string,
  line: number,
): readonly LocatedSite[] {
  const file = fileOrThrow(symbols, text, wanted);
  const found = symbols.findLine(file, line);
  if (found.length === 0) throw noCode(symbols, text, file, wanted, line);
  return found.map(({ address, function: name, inlined }) => {
    // As gdb does: the line of a function's opening means the function, and its variables live only after the prologue.
    const concrete = inlined ? undefined : symbols.functionAt(address);
    const behind = concrete?.afterPrologue;
    const moved = concrete?.entry === address ? (behind ?? address) : address;
    const [innermost] = symbols.sourceStack(moved);
    const isOther = innermost?.line !== undefined && innermost.line !== line;
    const afterPrologue = moved !== address || (moved === behind && isOther);
    return { address: moved, function: name, inlined, afterPrologue };
  });
}

function noCode(
  symbols: ModuleSymbols,
  text: string,
  file: string,
  wanted: string,
  line: number,
): StillframeError {
  const lines = symbols.linesWithCode(file);
  const before = lines.findLast((candidate) => candidate < line);
  const after = lines.find((candidate) => candidate > line);
  const nearest = [before, after].filter((candidate) => candidate !== undefined);
  const hint =
    nearest.length === 0
      ? `no line of "${wanted}" has any`
      : nearest.length === 1
        ? `the nearest line that has some is ${nearest.join()}`
        : `the nearest lines that have some are ${nearest.join(' and ')}`;
  return failure('not-found', text, `line ${line} of "${wanted}" has no code`, {
    hint,
    candidates: nearest.map((candidate) => `${wanted}:${candidate}`),
  });
}

function fileOrThrow(symbols: ModuleSymbols, text: string, wanted: string): string {
  if (!symbols.hasDebugInfo) throw noDebugInfo(symbols, text);
  const { found, ambiguous, near } = findFile(
    symbols.sourceFiles(),
    wanted,
    (file) => symbols.linesWithCode(file).length > 0,
  );
  if (found !== undefined) return found;
  if (ambiguous.length > 0) {
    const tail = text.trim().slice(text.trim().lastIndexOf(':'));
    throw failure('ambiguous', text, `${ambiguous.length} source files are named "${wanted}"`, {
      hint: 'say more of the path',
      candidates: shortNames(ambiguous).map((name) => `${name}${tail}`),
    });
  }
  const hint = didYouMean(near);
  throw failure('not-found', text, `"${symbols.path}" has no source file "${wanted}"`, {
    candidates: near,
    ...(hint === undefined ? {} : { hint }),
  });
}

function functionSites(
  symbols: ModuleSymbols,
  text: string,
  name: string,
  wantedFile?: string,
): readonly LocatedSite[] {
  const file = wantedFile === undefined ? undefined : fileOrThrow(symbols, text, wantedFile);
  const functions = functionsNamed(symbols, name, file);
  if (functions.length === 0) return symbolSite(symbols, text, name, wantedFile);
  refuseSeveral(text, name, functions);
  return functions.flatMap((found) => [
    ...(found.entry === undefined
      ? []
      : [
          {
            address: found.afterPrologue ?? found.entry,
            function: found.name,
            inlined: false,
            afterPrologue: found.afterPrologue !== undefined && found.afterPrologue !== found.entry,
          },
        ]),
    ...found.inlinedCopies.map((copy) => ({
      address: copy.entry,
      function: found.name,
      inlined: true,
      afterPrologue: false,
    })),
  ]);
}

function functionsNamed(
  symbols: ModuleSymbols,
  name: string,
  file: string | undefined,
): readonly FunctionSymbol[] {
  return lookUpFunctions(symbols, name)
    .filter((candidate) => file === undefined || candidate.file === file)
    .filter((candidate) => candidate.entry !== undefined || candidate.inlinedCopies.length > 0);
}

/** Functions of one name that stand in several places of the source are several functions. */
function refuseSeveral(text: string, name: string, functions: readonly FunctionSymbol[]): void {
  const places = new Map<string, FunctionSymbol>();
  for (const each of functions) {
    // Instances of a template stand in one place, and are several all the same.
    const instance = each.name.endsWith('>') ? each.name : '';
    places.set(`${each.file ?? ''}:${each.line ?? ''} ${instance}`, each);
  }
  if (places.size < 2) return;
  const signatures = new Set([...places.values()].map((each) => signatureOf(each)));
  // Names with what they stand in, and their parameters, tell overloads and instances apart.
  const isScoped = [...places.values()].some((each) => each.name !== name || /::|[<.]/.test(each.name));
  if (signatures.size === places.size && isScoped) {
    throw failure('ambiguous', text, `${places.size} functions are named "${name}"`, {
      hint: 'say which, as the candidates do',
      candidates: [...signatures].toSorted(),
    });
  }
  const files = [...new Set([...places.values()].map((each) => each.file ?? ''))];
  const short = shortNames(files);
  const candidates = [...places.values()].map((each) => {
    const shown = short[files.indexOf(each.file ?? '')] ?? '';
    if (shown === '') return each.entry === undefined ? name : `*${hex(each.entry)}`;
    return files.length === places.size ? `${shown}:${name}` : `${shown}:${each.line ?? '?'}`;
  });
  throw failure('ambiguous', text, `${places.size} functions are named "${name}"`, {
    hint: 'say which file',
    candidates: candidates.toSorted(),
  });
}

/** A function that only the symbol table knows. */
function symbolSite(
  symbols: ModuleSymbols,
  text: string,
  name: string,
  wantedFile: string | undefined,
): readonly LocatedSite[] {
  const symbol = wantedFile === undefined ? symbols.findSymbol(name) : undefined;
  if (symbol !== undefined && isExecutable(symbols, symbol.address)) {
    return [{ address: symbol.address, function: name, inlined: false, afterPrologue: false }];
  }
  const near = nearMatches(name, symbols.functionNames());
  const hint = didYouMean(near);
  const where = wantedFile === undefined ? `"${symbols.path}"` : `"${wantedFile}"`;
  throw failure('not-found', text, `${where} has no function "${name}"`, {
    candidates: near,
    ...(hint === undefined ? {} : { hint }),
  });
}

function isExecutable(symbols: ModuleSymbols, address: bigint): boolean {
  return symbols.elf.segments.some(
    (segment) =>
      segment.type === 1 &&
      (segment.flags & 1) !== 0 &&
      address >= segment.virtualAddress &&
      address < segment.virtualAddress + segment.memorySize,
  );
}

function noDebugInfo(symbols: ModuleSymbols, text: string): StillframeError {
  return failure('not-found', text, `"${symbols.path}" has no debug information`, {
    hint: 'build it with -g, or name a function of its symbol table',
  });
}

function failure(code: ErrorCode, text: string, reason: string, options?: ErrorOptions): StillframeError {
  return new StillframeError(code, `cannot resolve location "${text}": ${reason}`, options);
}
