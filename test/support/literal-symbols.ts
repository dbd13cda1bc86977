/** A module's debug information out of literals: what a test of the planner is about, and nothing else. */
import { absent } from '../../format/absent.js';
import { linkAddress } from '../../format/address.js';
import type { ElfFile } from '../../format/elf/file.js';
import type {
  FunctionSymbol,
  LineAddress,
  ModuleSymbols,
  SourceFrame,
  VariableSymbol,
} from '../../controller/symbols/module-symbols.js';
import type { Type } from '../../controller/types/type.js';

export interface LiteralModule {
  readonly path?: string;
  readonly hasDebugInfo?: boolean;
  /** Instructions from this address on; file offsets are addresses less 0x400000. */
  readonly code?: { readonly address: bigint; readonly bytes: Uint8Array };
  readonly functions?: readonly FunctionSymbol[];
  readonly files?: Readonly<Record<string, Readonly<Record<number, readonly LineAddress[]>>>>;
  readonly stacks?: ReadonlyMap<bigint, readonly SourceFrame[]>;
  readonly globals?: readonly VariableSymbol[];
  readonly types?: Readonly<Record<string, Type>>;
  /** Names of the symbol table only. */
  readonly symbols?: Readonly<Record<string, bigint>>;
  /** CFA as register and offset, everywhere. */
  readonly cfa?: { readonly register: number; readonly offset: bigint };
}

export function literalSymbols(module: LiteralModule): ModuleSymbols {
  const { path = '/usr/bin/app', functions = [], files = {}, globals = [], symbols = {}, cfa } = module;
  const covering = (address: bigint): FunctionSymbol | undefined =>
    functions.find((each) => each.ranges.some(({ start, end }) => address >= start && address < end));
  return {
    path,
    buildId: 'c0ffee',
    elf: literalElf(path, module.code),
    hasDebugInfo: module.hasDebugInfo ?? true,
    frames: {
      findRow: () =>
        cfa === undefined
          ? absent('unwind-failed', 'no call frame information covers it')
          : {
              cfa: { kind: 'register', ...cfa },
              rules: new Map(),
              returnAddressRegister: 16,
              signalFrame: false,
            },
    },
    findFunctions: (name) => functions.filter((each) => each.name === name),
    functionsNamed: (name) => functions.filter((each) => each.name === name),
    functionNames: () => functions.map((each) => each.name),
    sourceFiles: () => Object.keys(files),
    findLine: (file, line) => files[file]?.[line] ?? [],
    linesWithCode: (file) => Object.keys(files[file] ?? {}).map(Number),
    sourceStack: (address) => {
      const found = module.stacks?.get(address);
      const inside = covering(address);
      return found ?? (inside === undefined ? [] : [{ function: inside.name, inlined: false }]);
    },
    functionAt: covering,
    whyNoArguments: () => 'not part of this test',
    findGlobals: (name) => globals.filter((each) => each.name === name),
    globalNames: () => globals.map((each) => each.name),
    findType: (name) => module.types?.[name],
    findEnumerator: (name) => {
      for (const type of Object.values(module.types ?? {})) {
        const found =
          type.kind === 'enum' ? type.enumerators().find((each) => each.name === name) : undefined;
        if (found !== undefined) return { type, value: found.value };
      }
      return undefined;
    },
    typeOfRustVtable: () => undefined,
    symbolAt: () => undefined,
    findSymbol: (name) => {
      const address = symbols[name];
      return address === undefined ? undefined : { address: linkAddress(address), size: 0 };
    },
  };
}

/** `functionSymbol('main', 0x401000n, 0x401020n)`. */
export function functionSymbol(
  name: string,
  start: bigint,
  end: bigint,
  more: Partial<FunctionSymbol> = {},
): FunctionSymbol {
  return {
    name,
    ranges: [{ start: linkAddress(start), end: linkAddress(end) }],
    entry: linkAddress(start),
    inlinedCopies: [],
    returnType: () => ({ kind: 'void' }),
    parameters: () => [],
    ...more,
  };
}

export function lineAddress(address: bigint, name: string, inlined = false): LineAddress {
  return { address: linkAddress(address), function: name, inlined };
}

/** A variable with one location everywhere, or none. */
export function variable(
  name: string,
  type: Type,
  expression: Uint8Array | undefined,
  more: Partial<VariableSymbol> = {},
): VariableSymbol {
  return {
    name,
    parameter: false,
    type: () => type,
    shadowed: false,
    locationAt: () =>
      expression === undefined
        ? absent('optimized-out', 'optimised out')
        : { kind: 'expression', expression },
    availableRanges: () => undefined,
    ...more,
  };
}

/** A function's level of a source stack with these variables. */
export function sourceFrame(
  name: string,
  variables: readonly VariableSymbol[],
  more: Partial<SourceFrame> = {},
): SourceFrame {
  return {
    function: name,
    inlined: false,
    // DW_OP_call_frame_cfa
    scope: { variables, frameBase: Uint8Array.of(0x9c), callSite: () => undefined },
    ...more,
  };
}

function literalElf(name: string, code: LiteralModule['code']): ElfFile {
  const { address = 0x401000n, bytes = new Uint8Array(0x1000).fill(0x90) } = code ?? {};
  return {
    source: { name, size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) },
    type: 3,
    machine: 62,
    entry: address,
    segments: [
      {
        type: 1,
        flags: 5,
        offset: Number(address - 0x400000n),
        virtualAddress: address,
        fileSize: bytes.length,
        memorySize: BigInt(bytes.length),
        align: 0x1000n,
      },
    ],
    sections: [],
    buildId: 'c0ffee',
    findSection: () => undefined,
    sectionBytes: () => undefined,
    allSectionBytes: () => undefined,
    notes: () => [],
    symbols: () => [],
    fileOffsetOf: (link) =>
      link >= address && link < address + BigInt(bytes.length) ? Number(link - 0x400000n) : undefined,
    bytesAt: (link, length) => {
      const start = Number(link - address);
      return start < 0 || start + length > bytes.length ? undefined : bytes.subarray(start, start + length);
    },
  };
}
