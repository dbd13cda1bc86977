import { describe, expect, test } from 'vitest';
import { isAbsent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import { ByteCursor } from '../../../format/bytes.js';
import type { FunctionSymbol, ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { sizeOf, stripType } from '../../../controller/types/layout.js';
import { compileC } from '../../support/compile-c.js';
import { symbolsOf } from '../../support/symbols.js';
import { nameOfVariant, program, variants } from './programs.js';

const DW_OP_addr = 0x03;

function only(symbols: ModuleSymbols, name: string): FunctionSymbol {
  const [found, ...more] = symbols.findFunctions(name);
  if (found === undefined || more.length > 0) throw new Error(`${more.length} more functions "${name}"`);
  return found;
}

describe.each(variants.map((variant) => [nameOfVariant(variant), variant] as const))('%s', (_, variant) => {
  const path = program(variant);
  const symbols = symbolsOf(path);

  test('globals lie where the symbol table says, statics are found by file', () => {
    for (const name of ['counter', 'numbers', 'head', 'matrix']) {
      const [found, ...more] = symbols.findGlobals(name);
      expect(more).toEqual([]);
      const location = found?.locationAt(linkAddress(0n));
      if (location === undefined || isAbsent(location) || location.kind !== 'expression') {
        throw new Error(`"${name}" has no location`);
      }
      const address = symbols.findSymbol(name)?.address ?? 0n;
      const bytes = [...location.expression];
      if (bytes[0] === DW_OP_addr) {
        expect(new ByteCursor(location.expression, 'location', 1).u64()).toBe(address);
      } else {
        // DW_OP_addrx: an index of the unit's address table.
        expect(found?.unit?.addressByIndex?.(bytes[1] ?? -1)).toBe(address);
      }
    }
    expect(symbols.findGlobals('hidden', 'everything.c')).toHaveLength(1);
    expect(symbols.findGlobals('hidden', 'other.c')).toEqual([]);
    expect(symbols.findGlobals('nothing')).toEqual([]);
    // Only declared here: the copy of the C library's object that the linker made.
    const [environ] = symbols.findGlobals('environ');
    const address = symbols.findSymbol('environ')?.address ?? 0n;
    if (environ !== undefined && address !== 0n) {
      expect(environ.locationAt(linkAddress(0n))).toMatchObject({ kind: 'expression' });
    }
    expect([...symbols.globalNames()]).toEqual(expect.arrayContaining(['counter', 'hidden', 'per_thread']));
  });

  test('types by any spelling, identical each time; enumerators by name', () => {
    const long = symbols.findType('unsigned long int');
    expect(long).toBe(symbols.findType('long unsigned'));
    expect(long).toMatchObject({ kind: 'base', byteSize: 8, encoding: 'unsigned' });
    expect(symbols.findType('signed')).toMatchObject({ kind: 'base', byteSize: 4, encoding: 'signed' });
    expect(symbols.findType('_Bool')).toMatchObject({ kind: 'base', byteSize: 1, encoding: 'boolean' });
    const node = symbols.findType('struct node');
    expect(node).toBe(symbols.findType('node'));
    expect(symbols.findType('enum node')).toBeUndefined();
    const link = symbols.findType('link');
    expect(link?.kind).toBe('typedef');
    const pointer = link === undefined ? undefined : stripType(link);
    expect(pointer?.kind === 'pointer' ? pointer.target() : undefined).toBe(node);
    expect(symbols.findEnumerator('GREEN')?.value).toBe(5n);
    expect(symbols.findEnumerator('LOW')?.value).toBe(-2n);
    expect(symbols.findEnumerator('BETA')?.value).toBe(201n);
    expect(symbols.findEnumerator('PURPLE')).toBeUndefined();
  });

  test('members: arrays of arrays, flexible arrays, anonymous unions, function pointers', () => {
    const node = symbols.findType('struct node');
    if (node?.kind !== 'struct') throw new Error('no struct node');
    const type = (name: string | undefined): ReturnType<typeof stripType> => {
      const member = node.members().find((each) => each.name === name);
      if (member === undefined) throw new Error(`no member ${name}`);
      return stripType(member.type());
    };
    const grid = type('grid');
    expect(grid).toMatchObject({ kind: 'array', count: 2 });
    expect(grid.kind === 'array' ? grid.element() : undefined).toMatchObject({ kind: 'array', count: 3 });
    const tail = type('tail');
    expect(tail.kind === 'array' ? tail.count : 'no array').toBeUndefined();
    expect(type(undefined)).toMatchObject({ kind: 'union', byteSize: 4 });
    const compare = type('compare');
    const callee = compare.kind === 'pointer' ? stripType(compare.target()) : undefined;
    expect(callee).toMatchObject({ kind: 'function', prototyped: true, variadic: true });
    expect(callee?.kind === 'function' ? callee.parameters().length : -1).toBe(2);
    expect(symbols.findGlobals('handle').map((each) => stripType(each.type()).kind)).toEqual(['pointer']);
  });

  test('inlined copies: where they are and what they stand in', () => {
    const square = only(symbols, 'square');
    expect(square.entry).toBeUndefined();
    expect(square.ranges).toEqual([]);
    expect(square.inlinedCopies.length).toBeGreaterThanOrEqual(2);
    for (const { entry, into } of square.inlinedCopies) {
      expect(into).toBe('folded');
      const stack = symbols.sourceStack(entry);
      expect(stack.map((frame) => [frame.function, frame.inlined])).toEqual([
        ['square', true],
        ['folded', false],
      ]);
      expect(stack[1]?.line).toBeGreaterThan(square.line ?? 0);
    }
  });

  test('functions: ranges, parameters, and what contains an address', () => {
    const search = only(symbols, 'search');
    expect(search.file?.endsWith('/everything.c')).toBe(true);
    const [range] = search.ranges;
    expect(range?.start).toBe(search.entry);
    expect(BigInt(symbols.findSymbol('search')?.size ?? 0)).toBe((range?.end ?? 0n) - (range?.start ?? 0n));
    expect(search.parameters().map((each) => [each.name, sizeOf(each.type())])).toEqual([
      ['node', 8],
      ['wanted', 4],
    ]);
    expect(stripType(search.returnType())).toMatchObject({ kind: 'base', name: 'int' });
    expect(symbols.functionAt(linkAddress((range?.end ?? 1n) - 1n))?.name).toBe('search');
    expect(symbols.functionAt(linkAddress(0x3n))).toBeUndefined();
    expect(symbols.sourceStack(linkAddress(0x3n))).toEqual([]);
    expect(symbols.symbolAt(linkAddress((search.entry ?? 0n) + 1n))).toEqual({ name: 'search', offset: 1n });
    expect(symbols.findFunctions('nothing')).toEqual([]);
  });

  test('an inner variable hides the outer one of its name', () => {
    const lines = symbols.linesWithCode('everything.c');
    const shadowed = lines
      .flatMap((line) => symbols.findLine('everything.c', line))
      .flatMap(({ address }) => symbols.sourceStack(address).flatMap((frame) => frame.scope?.variables ?? []))
      .filter((each) => each.shadowed)
      .map((each) => each.name);
    if (variant.opt === '-O0') expect([...new Set(shadowed)].toSorted()).toEqual(['n', 'value']);
  });
});

test('a location that does not cover an address is optimised out there, and says where it is', () => {
  const path = program({ compiler: 'gcc', opt: '-O2', dwarf: 5 });
  const symbols = symbolsOf(path);
  const texts: string[] = [];
  for (const line of symbols.linesWithCode('everything.c')) {
    for (const { address } of symbols.findLine('everything.c', line)) {
      for (const variable of symbols.sourceStack(address).flatMap((frame) => frame.scope?.variables ?? [])) {
        const location = variable.locationAt(address);
        const ranges = variable.availableRanges();
        const covered = ranges?.some(({ start, end }) => address >= start && address < end) ?? true;
        if (isAbsent(location)) {
          expect(location.absent).toBe('optimized-out');
          texts.push(location.detail);
        }
        expect(covered || isAbsent(location) || address === symbols.functionAt(address)?.entry).toBe(true);
      }
    }
  }
  expect(texts).toContainEqual(
    expect.stringMatching(/^optimized out at 0x[0-9a-f]+; available at everything\.c:\d+(-\d+)?/),
  );
});

test('a call site tells what it calls, what it passes, and what jumps there', () => {
  const path = program({ compiler: 'gcc', opt: '-O2', dwarf: 5 });
  const symbols = symbolsOf(path);
  const main = only(symbols, 'main');
  const leaf = only(symbols, 'leaf');
  const toLeaf = { kind: 'entry', address: leaf.entry, pieces: [leaf.entry] };
  expect(only(symbols, 'tail_call').tailCalls?.()).toEqual([toLeaf]);
  const scope = symbols.sourceStack(main.entry ?? linkAddress(0n))[0]?.scope;
  const sites = main.ranges.flatMap(({ start, end }) => {
    const found = [];
    for (let at = start + 1n; at <= end; at++) found.push(scope?.callSite(linkAddress(at)) ?? []);
    return found.flat();
  });
  const search = only(symbols, 'search');
  expect(sites).toContainEqual(
    expect.objectContaining({
      isTailCall: false,
      target: { kind: 'entry', address: search.entry, pieces: [search.entry] },
    }),
  );
  expect(sites).toContainEqual(expect.objectContaining({ target: { kind: 'name', name: 'calloc' } }));
  // DW_OP_reg4 is %rsi, the second argument: the constant 4.
  const vla = only(symbols, 'vla');
  const toVla = sites.find(({ target }) => target?.kind === 'entry' && target.address === vla.entry);
  const second = toVla?.parameters.find(({ location }) => location[0] === 0x54);
  expect([...(second?.value ?? [])]).toEqual([0x34]);
});

test('a program without debug information still has names and entries', () => {
  const path = compileC('int twice(int x) { return 2 * x; }\nint main(void) { return twice(21); }\n', {
    name: 'bare',
    flags: ['-O0', '-g0'],
  });
  const symbols = symbolsOf(path);
  expect(symbols.hasDebugInfo).toBe(false);
  const twice = only(symbols, 'twice');
  // push %rbp; mov %rsp,%rbp
  expect(twice.afterPrologue).toBe((twice.entry ?? 0n) + 4n);
  expect(twice.parameters()).toEqual([]);
  expect(symbols.functionAt(linkAddress((twice.entry ?? 0n) + 2n))?.name).toBe('twice');
  expect(symbols.sourceStack(linkAddress((twice.entry ?? 0n) + 2n))).toEqual([
    { function: 'twice', inlined: false },
  ]);
  expect(symbols.sourceFiles()).toEqual([]);
  expect(symbols.findLine('bare.c', 1)).toEqual([]);
});
