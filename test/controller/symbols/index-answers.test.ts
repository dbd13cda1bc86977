/** Symbols with an index from the cache answer as those without one do, about everything that an index is asked for. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import { openFileSource } from '../../../controller/snapshot/file-source.js';
import { sectionsOf } from '../../../controller/dwarf/sections.js';
import { DebugInfo } from '../../../controller/dwarf/unit.js';
import { buildIndex } from '../../../controller/symbols/build-index.js';
import { noDebugFiles } from '../../../controller/symbols/debug-file-opener.js';
import { identityOf, IndexCache } from '../../../controller/symbols/index-cache.js';
import type { FunctionSymbol, ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { openModuleSymbols } from '../../../controller/symbols/open.js';
import { typeName } from '../../../controller/types/type-name.js';
import { linkAddress } from '../../../format/address.js';
import { openElf } from '../../../format/elf/open.js';
import { defaultLimits } from '../../../format/limits.js';
import { repositoryRoot } from '../../support/paths.js';
import { cplusplusProgram, goProgram, rustProgram } from './other-languages.js';
import { buildRedis } from '../../support/fixtures.js';

let folder: string;
let asked: number;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-index-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Names that are compared; of more, each so many-th. */
const maxNames = 120;

function some<T>(all: Iterable<T>): T[] {
  const list = [...all];
  const step = Math.max(1, Math.ceil(list.length / maxNames));
  return list.filter((_, i) => i % step === 0);
}

function open(program: string, indexed: boolean): ModuleSymbols {
  const elf = openElf(openFileSource(program));
  const cache = new IndexCache({ folder, maxBytes: 1 << 28 }, (message) => expect.unreachable(message));
  return openModuleSymbols(elf, program, openCallFrames(elf), defaultLimits, {
    ...noDebugFiles,
    openIndex: (file) => {
      if (!indexed) return undefined;
      asked += 1;
      const identity = identityOf(file) ?? expect.unreachable('no identity');
      return cache.open(identity);
    },
  });
}

const textOf = (found: FunctionSymbol): unknown => ({
  name: found.name,
  file: found.file,
  line: found.line,
  ranges: found.ranges,
  afterPrologue: found.afterPrologue,
  copies: found.inlinedCopies,
  returns: typeName(found.returnType()),
  parameters: found.parameters().map(({ name, type }) => `${typeName(type())} ${name}`),
});

function answers(symbols: ModuleSymbols, names: Names): unknown {
  return {
    functions: names.functions.map((name) => symbols.findFunctions(name).map(textOf)),
    globals: names.globals.map((name) =>
      symbols
        .findGlobals(name)
        .map((found) => [found.name, found.declaredFile, found.declaredLine, typeName(found.type())]),
    ),
    types: names.types.map((name) => {
      const type = symbols.findType(name);
      return type === undefined ? undefined : typeName(type);
    }),
    enumerators: names.types.map((name) => symbols.findEnumerator(name)?.value),
    lines: names.files.map((file) => {
      const lines = symbols.linesWithCode(file);
      return [
        lines,
        ...some(lines)
          .slice(0, 10)
          .map((line) => symbols.findLine(file, line)),
      ];
    }),
    addresses: names.addresses.map((address) => [
      symbols.functionAt(linkAddress(address))?.name,
      symbols.sourceStack(linkAddress(address)).map(({ function: name, file, line }) => [name, file, line]),
    ]),
    all: [[...symbols.functionNames()].length, [...symbols.globalNames()].length],
  };
}

interface Names {
  readonly functions: readonly string[];
  readonly globals: readonly string[];
  readonly types: readonly string[];
  readonly files: readonly string[];
  readonly addresses: readonly bigint[];
}

function namesOf(symbols: ModuleSymbols): Names {
  const functions = some(symbols.functionNames());
  const files = some(symbols.sourceFiles()).slice(0, 40);
  const addresses = functions.flatMap((name) =>
    symbols.findFunctions(name).flatMap(({ entry }) => entry ?? []),
  );
  const types = functions.flatMap((name) =>
    symbols.findFunctions(name).map((each) => typeName(each.returnType())),
  );
  return {
    functions: [...functions, 'nobody', 'main'],
    globals: [...some(symbols.globalNames()), 'nobody'],
    types: [
      ...new Set([
        ...types,
        'int',
        'unsigned long',
        'OBJ_STRING',
        'red',
        'nobody',
        'Order',
        'shop::Order',
        'robj',
      ]),
    ],
    files: [...files, 'nobody.c', 'main'],
    addresses: some(addresses).slice(0, 200),
  };
}

test.each([
  ['redis', buildRedis],
  ['C++, g++ -O0', (): string => cplusplusProgram('g++')],
  ['C++, g++ -O2', (): string => cplusplusProgram('g++', '-O2')],
  ['C++, clang -O2', (): string => cplusplusProgram('clang++', '-O2')],
  ['C++, type units', (): string => cplusplusProgram('g++', '-O2', '-gdwarf-4', '-fdebug-types-section')],
  ['Rust', (): string => rustProgram()],
  ['Go', (): string => goProgram()],
] as const)('%s', { timeout: 240_000 }, (_, build) => {
  const program = build();
  const elf = openElf(openFileSource(program));
  const identity = identityOf(elf) ?? expect.unreachable('no identity');
  new IndexCache({ folder, maxBytes: 1 << 28 }, (message) => expect.unreachable(message)).write(
    identity,
    buildIndex(new DebugInfo(sectionsOf(elf, program))),
  );
  asked = 0;
  const plain = open(program, false);
  const names = namesOf(plain);
  expect(names.functions.length).toBeGreaterThan(10);
  // Opened anew: what was asked before must not matter.
  expect(answers(open(program, true), names)).toEqual(answers(open(program, false), names));
  expect(asked).toBe(1);
});

test('a process makes the index that it lacks, the next one uses it, and a damaged one is made anew', () => {
  const symbols = join(folder, 'of-processes');
  const child = join(repositoryRoot, 'dist', 'bench', 'reader-child.js');
  const ask = (cache: string): { readonly answer: string; readonly said: string } => {
    const run = spawnSync(process.execPath, [child, buildRedis(), 'setGenericCommand', 't_string.c:85'], {
      env: { ...process.env, STILLFRAME_SYMBOL_CACHE: cache },
      encoding: 'utf8',
    });
    expect(run.status, run.stderr).toBe(0);
    return { answer: run.stdout, said: run.stderr };
  };
  const plain = ask('off');
  expect(plain.answer).toMatch(/^setGenericCommand 0x[0-9a-f]+$/m);
  expect(plain.answer).toContain('  parameter client * c\n');
  expect(ask(symbols)).toEqual({ answer: plain.answer, said: '' });
  const [name = ''] = readdirSync(symbols);
  const made = statSync(join(symbols, name)).mtimeMs;
  expect(ask(symbols)).toEqual({ answer: plain.answer, said: '' });
  expect(statSync(join(symbols, name)).mtimeMs).toBe(made);
  // In each block, so that whichever is read is wrong, and the description is right.
  const bytes = readFileSync(join(symbols, name));
  const start = 24 + bytes.readUInt32LE(12);
  for (let at = start; at < bytes.length; at += 16 * 1024) bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(join(symbols, name), bytes);
  const damaged = ask(symbols);
  expect(damaged.answer).toBe(plain.answer);
  expect(damaged.said).toMatch(
    /^stillframe: cannot use the symbol index ".*": the checksum of block \d+ is wrong: it is made anew\n$/,
  );
  expect(readdirSync(symbols)).toEqual([name]);
  expect(ask(symbols)).toEqual({ answer: plain.answer, said: '' });
});
