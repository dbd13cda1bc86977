/** The same program with its debug information in every place where compilers and distributions put it. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import { findDebugFiles } from '../../../controller/symbols/find-debug-files.js';
import type { ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { openModuleSymbols } from '../../../controller/symbols/open.js';
import { linkAddress } from '../../../format/address.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import { defaultLimits } from '../../../format/limits.js';
import { gdbLayouts, gdbScopes } from '../../support/gdb-symbols.js';
import { layoutOf, scopeAt, sorted } from '../../support/gdb-view.js';
import { allStatements } from '../../support/symbols.js';
import { source, typeNames } from './programs.js';

const root = mkdtempSync(join(tmpdir(), 'stillframe-packagings-'));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;

function newFolder(): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  return folder;
}

function run(folder: string, command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Compiles in a folder of its own, in two steps, for that is how `.dwo` files come about. */
function compile(compiler: string, ...flags: readonly string[]): string {
  return compileAs('everything', newFolder(), compiler, flags);
}

function compileAs(name: string, folder: string, compiler: string, flags: readonly string[]): string {
  writeFileSync(join(folder, 'everything.c'), source);
  run(folder, compiler, '-O2', '-g', ...flags, '-c', 'everything.c', '-o', `${name}.o`);
  run(folder, compiler, ...flags, '-pthread', '-o', name, `${name}.o`);
  return join(folder, name);
}

/** A program whose units are split, and one that is the same but for that, which gdb is asked about. */
function compileSplit(args: readonly (string | undefined)[]): { program: string; whole: string } {
  const [compiler = '', ...flags] = args.filter((arg) => arg !== undefined);
  const folder = newFolder();
  const plain = flags.filter((flag) => !flag.startsWith('-gsplit-dwarf'));
  return {
    program: compileAs('everything', folder, compiler, ['-gsplit-dwarf', ...flags]),
    whole: compileAs('whole', folder, compiler, plain),
  };
}

function open(program: string, directories: readonly string[] = []): ModuleSymbols {
  const elf = openElf(bufferSource(program, readFileSync(program)));
  const files = findDebugFiles(elf, program, { directories });
  return openModuleSymbols(elf, program, openCallFrames(elf), defaultLimits, files);
}

/** `reader` sees of `program` what gdb sees of `known`, where the debug information is in the program itself or gdb finds it. */
function expectLikeGdb(reader: ModuleSymbols, known: string): void {
  const addresses = allStatements(reader);
  expect(addresses.length).toBeGreaterThan(25);
  const mine = addresses.map((address) => scopeAt(reader, address));
  expect(mine).toEqual(gdbScopes(known, addresses).map(sorted));
  const layouts = Object.fromEntries(typeNames.map((name) => [name, layoutOf(reader, name)]));
  expect(layouts).toEqual(gdbLayouts(known, typeNames));
  expect(reader.findGlobals('hidden').map((each) => each.locationAt(linkAddress(0n)))).toEqual([
    expect.objectContaining({ kind: 'expression' }),
  ]);
}

/** Splits the debug information off: the stripped program stays, and the file is moved to where `place` says. */
function separate(program: string, place: (program: string) => string): string {
  const whole = `${program}.whole`;
  copyFileSync(program, whole);
  const debug = place(program);
  mkdirSync(dirname(debug), { recursive: true });
  run(dirname(program), 'objcopy', '--only-keep-debug', program, debug);
  run(dirname(program), 'strip', program);
  return whole;
}

const buildIdOf = (program: string): string =>
  openElf(bufferSource(program, readFileSync(program))).buildId ?? '';

const byBuildId =
  (directory: string) =>
  (program: string): string => {
    const id = buildIdOf(program);
    return join(directory, '.build-id', id.slice(0, 2), `${id.slice(2)}.debug`);
  };

describe('separate debug files', () => {
  test('by build id', () => {
    const program = compile('gcc');
    const directory = newFolder();
    const whole = separate(program, byBuildId(directory));
    expectLikeGdb(open(program, ['/nowhere', directory]), whole);
  });

  test.each([
    ['beside the program', (program: string): string => join(dirname(program), 'everything.debug')],
    ['in .debug', (program: string): string => join(dirname(program), '.debug', 'everything.debug')],
    [
      'below a debug directory',
      (program: string): string => join(root, 'debug', dirname(program), 'everything.debug'),
    ],
  ])('by link: %s', (_, place) => {
    const program = compile('gcc', '-Wl,--build-id=none');
    const whole = separate(program, place);
    run(dirname(program), 'objcopy', `--add-gnu-debuglink=${place(program)}`, program);
    expectLikeGdb(open(program, [join(root, 'debug')]), whole);
  });

  test('of eu-strip', () => {
    const program = compile('clang');
    const whole = `${program}.whole`;
    copyFileSync(program, whole);
    run(dirname(program), 'eu-strip', '-f', 'everything.debug', 'everything');
    expectLikeGdb(open(program), whole);
  });

  test('one with another checksum is not used, and that is told', () => {
    const program = compile('gcc', '-Wl,--build-id=none');
    const debug = join(dirname(program), 'everything.debug');
    separate(program, () => debug);
    run(dirname(program), 'objcopy', `--add-gnu-debuglink=${debug}`, program);
    const bytes = readFileSync(debug);
    writeFileSync(debug, Buffer.concat([bytes, Buffer.from('x')]));
    const symbols = open(program);
    expect(symbols.hasDebugInfo).toBe(false);
    expect(symbols.problems).toEqual([
      expect.stringMatching(/everything\.debug" has CRC 0x[0-9a-f]+, and 0x[0-9a-f]+ is meant$/),
    ]);
  });

  test('one of another build id is not used, and that is told', () => {
    const program = compile('gcc');
    const directory = newFolder();
    const place = byBuildId(directory)(program);
    separate(program, () => place);
    const other = compile('gcc', '-DOTHER', '-O1');
    run(dirname(program), 'objcopy', '--only-keep-debug', other, place);
    const symbols = open(program, [directory]);
    expect(symbols.hasDebugInfo).toBe(false);
    expect(symbols.problems).toEqual([
      `"${place}" has build id ${buildIdOf(other)}, and ${buildIdOf(program)} is meant`,
    ]);
  });

  test('.gnu_debugdata gives the names of functions', () => {
    const program = compile('gcc');
    const folder = dirname(program);
    const before = open(program);
    const known = ['leaf', 'search', 'by_pointer', 'main'].map(
      (name) => [name, before.findSymbol(name)] as const,
    );
    run(
      folder,
      'objcopy',
      '-S',
      '-K',
      'leaf',
      '-K',
      'search',
      '-K',
      'by_pointer',
      '-K',
      'main',
      program,
      'mini',
    );
    run(folder, 'xz', '-k', 'mini');
    run(folder, 'strip', program);
    run(folder, 'objcopy', '--add-section', '.gnu_debugdata=mini.xz', program);
    const symbols = open(program);
    expect(symbols.hasDebugInfo).toBe(false);
    for (const [name, symbol] of known) {
      expect(symbol).toBeDefined();
      expect(symbols.findSymbol(name)).toEqual(symbol);
      expect(symbols.symbolAt(symbol?.address ?? linkAddress(0n))).toEqual({ name, offset: 0n });
    }
  });
});

describe('split units', () => {
  const kinds = [
    ['gcc', '-gdwarf-4'],
    ['gcc', '-gdwarf-5'],
    ['gcc', '-gdwarf-4', '-fdebug-types-section'],
    ['gcc', '-gdwarf-5', '-fdebug-types-section'],
    ['clang', '-gdwarf-4'],
    ['clang', '-gdwarf-5'],
    ['clang', '-gdwarf-4', '-fdebug-types-section'],
    ['clang', '-gdwarf-5', '-fdebug-types-section'],
    ['clang', '-gdwarf-5', '-gsplit-dwarf=single'],
  ] as const;

  test.each(kinds)('%s %s %s', (...args) => {
    const { program, whole } = compileSplit(args);
    expectLikeGdb(open(program), whole);
  });

  test.each(kinds.filter((kind) => kind[2] !== '-gsplit-dwarf=single'))(
    'in a package: %s %s %s',
    (...args) => {
      const { program, whole } = compileSplit(args);
      run(dirname(program), 'llvm-dwp', '-e', program, '-o', `${program}.dwp`);
      rmSync(join(dirname(program), 'everything.dwo'));
      expectLikeGdb(open(program), whole);
    },
  );

  test('one that is missing costs its variables, not its lines, and that is told', () => {
    const program = compile('gcc', '-gsplit-dwarf');
    const before = open(program);
    const [address = 0n] = allStatements(before);
    const { line } = scopeAt(before, address);
    for (const name of readdirSync(dirname(program)))
      if (name.endsWith('.dwo')) rmSync(join(dirname(program), name));
    const symbols = open(program);
    const [frame] = symbols.sourceStack(linkAddress(address));
    expect(frame).toMatchObject({ file: join(dirname(program), 'everything.c'), line });
    expect(frame?.absent).toEqual({
      absent: 'no-debug-info',
      detail: `"everything.dwo", compiled in "${dirname(program)}", was not found`,
    });
    expect(frame?.scope).toBeUndefined();
    expect(symbols.findType('struct node')).toBeUndefined();
    expect(symbols.problems).toEqual([frame?.absent?.detail]);
  });

  test('one of another build is not used', () => {
    const program = compile('gcc', '-gsplit-dwarf');
    const other = compile('gcc', '-gsplit-dwarf', '-DOTHER', '-O1');
    const dwo = (path: string): string =>
      join(dirname(path), readdirSync(dirname(path)).find((name) => name.endsWith('.dwo')) ?? '');
    copyFileSync(dwo(other), dwo(program));
    expect(
      open(program)
        .findFunctions('search')
        .flatMap((each) => each.parameters()),
    ).toEqual([]);
  });
});

describe('type units', () => {
  test.each([
    ['gcc', '-gdwarf-4'],
    ['gcc', '-gdwarf-5'],
    ['clang', '-gdwarf-4'],
    ['clang', '-gdwarf-5'],
  ])('%s %s', (compiler, flag) => {
    const program = compile(compiler, flag, '-fdebug-types-section');
    expectLikeGdb(open(program), program);
  });
});

describe('dwz', () => {
  test.each(['-gdwarf-4', '-gdwarf-5'])('partial units of one file: %s', (flag) => {
    const program = compile('gcc', flag);
    const whole = `${program}.whole`;
    copyFileSync(program, whole);
    run(dirname(program), 'dwz', program);
    expectLikeGdb(open(program), whole);
  });

  test.each([
    ['-gdwarf-4', []],
    ['-gdwarf-5', []],
    ['-gdwarf-5', ['--dwarf-5']],
  ] as const)('a supplementary file of several: %s %j', (flag, options) => {
    const program = compile('gcc', flag);
    const other = compile('gcc', flag, '-DOTHER', '-O1');
    const whole = `${program}.whole`;
    copyFileSync(program, whole);
    run(root, 'dwz', ...options, '-m', join(dirname(program), 'common.debug'), program, other);
    expectLikeGdb(open(program), whole);
    rmSync(join(dirname(program), 'common.debug'));
    const without = open(program);
    const [address = 0n] = allStatements(without);
    expect(scopeAt(without, address).line).toBeGreaterThan(0);
    expect(without.findType('struct node')).toBeUndefined();
  });
});
