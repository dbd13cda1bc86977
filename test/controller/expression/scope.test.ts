import { expect, test } from 'vitest';
import { checkExpression } from '../../../controller/expression/check.js';
import { moduleScope } from '../../../controller/expression/scope.js';
import type {
  FunctionSymbol,
  ModuleSymbols,
  SourceFrame,
  VariableSymbol,
} from '../../../controller/symbols/module-symbols.js';
import type { Type } from '../../../controller/types/type.js';
import { absent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import { toStillframeError } from '../../../format/error.js';
import * as t from '../../support/types.js';

function variable(name: string, type: Type, at: number, file?: string, shadowed = false): VariableSymbol {
  return {
    name,
    parameter: false,
    type: () => type,
    shadowed,
    ...(file === undefined ? {} : { declaredFile: file }),
    locationAt: () => ({ kind: 'expression', expression: Uint8Array.of(0x03, at, 0, 0, 0, 0, 0, 0, 0) }),
    availableRanges: () => undefined,
  };
}

function fn(name: string, entry: bigint, file: string): FunctionSymbol {
  const address = linkAddress(entry);
  return {
    name,
    file,
    ranges: [{ start: address, end: linkAddress(entry + 16n) }],
    entry: address,
    inlinedCopies: [],
    returnType: () => t.int,
    parameters: () => [],
  };
}

const globals = [
  variable('hits', t.int, 1, '/src/a.c'),
  variable('hits', t.long, 2, '/src/b.c'),
  variable('once', t.short, 3, '/src/a.c'),
  variable('twice', t.char, 4, '/src/a.c'),
  variable('twice', t.char, 4, '/src/b.c'),
];
const functions = [
  fn('start', 0x10n, '/src/a.c'),
  fn('start', 0x20n, '/src/b.c'),
  fn('main', 0x30n, '/src/a.c'),
];
const color = t.enumeration('color', { RED: 0 });

const missing = (): never => {
  throw new Error('not part of this test');
};

const symbols: ModuleSymbols = {
  path: '/bin/program',
  buildId: '',
  get elf(): never {
    return missing();
  },
  hasDebugInfo: true,
  frames: { findRow: () => absent('unwind-failed', 'none') },
  findFunctions: (name) => functions.filter((each) => each.name === name),
  functionsNamed: (name) => functions.filter((each) => each.name === name),
  functionNames: () => functions.map((each) => each.name),
  sourceFiles: missing,
  findLine: missing,
  linesWithCode: missing,
  sourceStack: missing,
  functionAt: missing,
  whyNoArguments: missing,
  findGlobals: (name, file) =>
    globals.filter(
      (each) => each.name === name && (file === undefined || (each.declaredFile ?? '').endsWith(file)),
    ),
  globalNames: () => globals.map((each) => each.name),
  findType: () => undefined,
  findEnumerator: (name) => (name === 'RED' ? { type: color, value: 0n } : undefined),
  typeOfRustVtable: missing,
  symbolAt: missing,
  findSymbol: (name) => (name === '_start' ? { address: linkAddress(0x40n), size: 1 } : undefined),
};

const frame = (file: string, ...variables: VariableSymbol[]): SourceFrame => ({
  function: 'f',
  file,
  inlined: false,
  scope: { variables, frameBase: undefined, callSite: () => undefined },
});

/** The type that a name has in a frame, or what is wrong with it. */
function typeOf(text: string, at?: SourceFrame): string {
  try {
    const node = checkExpression(text, moduleScope(symbols, at === undefined ? {} : { frame: at }));
    return node.kind === 'function'
      ? `function at ${node.address}`
      : `${node.kind} ${'name' in node.type ? node.type.name : ''}`;
  } catch (thrown) {
    const { message, detail, candidates, hint } = toStillframeError(thrown);
    return `${detail.position}: ${message}; ${hint}; ${candidates.join(' ')}`;
  }
}

test('locals come before globals, the innermost first', () => {
  const inner = frame(
    '/src/a.c',
    variable('once', t.double, 9),
    variable('once', t.float, 8, undefined, true),
  );
  expect(typeOf('once', inner)).toBe('variable double');
  expect(typeOf('::once', inner)).toBe('variable short');
  expect(typeOf('once')).toBe('variable short');
});

test("a static of the frame's own file comes before those of others", () => {
  expect(typeOf('hits', frame('/src/a.c'))).toBe('variable int');
  expect(typeOf('hits', frame('/src/b.c'))).toBe('variable long');
  expect(typeOf("'b.c'::hits", frame('/src/a.c'))).toBe('variable long');
});

test('to take any of several would be to guess', () => {
  const several = (name: string): string =>
    `4: "${name}" is declared in 2 files; say which file, as the candidates do; 'a.c'::${name} 'b.c'::${name}`;
  expect(typeOf('1 + hits')).toBe(several('hits'));
  expect(typeOf('0 ? start : 0', frame('/src/c.c'))).toBe(several('start'));
  expect(typeOf('twice')).toBe('variable char');
});

test('functions, enumerators and symbols', () => {
  expect(typeOf('start', frame('/src/b.c'))).toBe('function at 32');
  expect(typeOf("'a.c'::start", frame('/src/b.c'))).toBe('function at 16');
  expect(typeOf('_start')).toBe('function at 64');
  expect(typeOf("'a.c'::_start")).toBe(`0: no variable "_start" in file "a.c"; did you mean "start"?; start`);
  expect(typeOf('RED')).toBe('constant color');
  expect(typeOf('mian')).toBe('0: no variable "mian" in scope; did you mean "main"?; main');
});
