import { describe, expect, test } from 'vitest';
import { linkAddress } from '../../../format/address.js';
import { StillframeError } from '../../../format/error.js';
import { resolveLocation } from '../../../controller/planner/location.js';
import {
  functionSymbol,
  lineAddress,
  literalSymbols,
  type LiteralModule,
} from '../../support/literal-symbols.js';

const main = functionSymbol('main', 0x401000n, 0x401040n, {
  file: '/src/app/main.c',
  line: 10,
  afterPrologue: linkAddress(0x401004n),
});
const price = functionSymbol('price', 0x401040n, 0x401060n, {
  file: '/src/app/order.c',
  line: 5,
  inlinedCopies: [
    {
      entry: linkAddress(0x401020n),
      into: 'main',
      ranges: [{ start: linkAddress(0x401020n), end: linkAddress(0x401028n) }],
    },
  ],
});
const helperA = functionSymbol('helper', 0x401060n, 0x401070n, { file: '/src/app/a.c', line: 3 });
const helperB = functionSymbol('helper', 0x401070n, 0x401080n, { file: '/src/app/lib/b.c', line: 8 });

const app: LiteralModule = {
  functions: [main, price, helperA, helperB],
  symbols: { start: 0x401080n, table: 0x500000n },
  files: {
    '/src/app/main.c': {
      10: [lineAddress(0x401000n, 'main')],
      12: [lineAddress(0x401020n, 'price', true), lineAddress(0x401008n, 'main')],
      20: [lineAddress(0x401030n, 'main')],
    },
    '/src/app/order.c': { 6: [lineAddress(0x401042n, 'price'), lineAddress(0x401020n, 'price', true)] },
    '/src/app/lib/util.c': { 1: [lineAddress(0x401060n, 'helper')] },
    '/src/other/util.c': { 1: [lineAddress(0x401070n, 'helper')] },
    '/usr/include/util.c': {},
  },
};
const symbols = literalSymbols(app);
const addresses = (text: string): string[] =>
  resolveLocation(symbols, text).map((site) => `0x${site.address.toString(16)}`);

describe('what resolves', () => {
  test.each<[string, string[]]>([
    ['main.c:20', ['0x401030']],
    ['app/main.c:20', ['0x401030']],
    ['./main.c:20', ['0x401030']],
    ['/src/app/main.c:20', ['0x401030']],
    ['lib/util.c:1', ['0x401060']],
    ['main.c:12', ['0x401008', '0x401020']],
    ['order.c:6', ['0x401020', '0x401042']],
    ['main.c:10', ['0x401004']],
    ['main', ['0x401004']],
    [' main ', ['0x401004']],
    ['price', ['0x401020', '0x401040']],
    ['a.c:helper', ['0x401060']],
    ['lib/b.c:helper', ['0x401070']],
    ['start', ['0x401080']],
    ['*0x401005', ['0x401005']],
    ['*4198405', ['0x401005']],
  ])('%s', (text, expected) => {
    const files = { ...app.files, '/src/app/a.c': { 3: [] }, '/src/app/lib/b.c': { 8: [] } };
    const located = resolveLocation(literalSymbols({ ...app, files }), text);
    expect(located.map((site) => `0x${site.address.toString(16)}`)).toEqual(expected);
  });

  test('what is known of a site', () => {
    expect(resolveLocation(symbols, 'price')).toEqual([
      { address: 0x401020n, function: 'price', inlined: true, afterPrologue: false },
      { address: 0x401040n, function: 'price', inlined: false, afterPrologue: false },
    ]);
    expect(resolveLocation(symbols, 'main.c:10')).toEqual([
      { address: 0x401004n, function: 'main', inlined: false, afterPrologue: true },
    ]);
  });
});

describe('what does not', () => {
  test.each<[string, string, string, string | undefined, string[]]>([
    ['', 'usage', 'it is empty', undefined, []],
    ['*0xzz', 'usage', '"0xzz" is not an address', 'write an address as *0x401136', []],
    ['main.c:0', 'usage', 'there is no line 0', undefined, []],
    [
      'main:return',
      'unsupported',
      'the function never returns',
      'name the lines of its return statements',
      [],
    ],
    ['main.c:13:return', 'usage', 'only functions return', 'write FUNCTION:return', []],
    [
      'main.c:15',
      'not-found',
      'line 15 of "main.c" has no code',
      'the nearest lines that have some are 12 and 20',
      ['main.c:12', 'main.c:20'],
    ],
    [
      'main.c:99',
      'not-found',
      'line 99 of "main.c" has no code',
      'the nearest line that has some is 20',
      ['main.c:20'],
    ],
    [
      'include/util.c:3',
      'not-found',
      'line 3 of "include/util.c" has no code',
      'no line of "include/util.c" has any',
      [],
    ],
    [
      'util.c:1',
      'ambiguous',
      '2 source files are named "util.c"',
      'say more of the path',
      ['lib/util.c:1', 'other/util.c:1'],
    ],
    [
      'mian.c:3',
      'not-found',
      '"/usr/bin/app" has no source file "mian.c"',
      'did you mean "main.c"?',
      ['main.c'],
    ],
    ['helper', 'ambiguous', '2 functions are named "helper"', 'say which file', ['a.c:helper', 'b.c:helper']],
    ['prise', 'not-found', '"/usr/bin/app" has no function "prise"', 'did you mean "price"?', ['price']],
    ['nothing_like_it', 'not-found', '"/usr/bin/app" has no function "nothing_like_it"', undefined, []],
    ['table', 'not-found', '"/usr/bin/app" has no function "table"', undefined, []],
    ['*0x10', 'not-found', 'no function of "/usr/bin/app" contains 0x10', undefined, []],
  ])('%s', (text, code, reason, hint, candidates) => {
    let error: unknown;
    try {
      resolveLocation(symbols, text);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof StillframeError)) throw new Error(`no error, but ${addresses(text).join()}`);
    expect(error.message).toBe(`cannot resolve location "${text}": ${reason}`);
    expect([error.code, error.hint, error.candidates]).toEqual([code, hint, candidates]);
  });

  test('without debug information there are functions, and no lines', () => {
    const stripped = literalSymbols({
      functions: [functionSymbol('main', 0x401000n, 0x401040n)],
      hasDebugInfo: false,
    });
    expect(resolveLocation(stripped, 'main')).toMatchObject([{ address: 0x401000n }]);
    expect(() => resolveLocation(stripped, 'main.c:1')).toThrow(
      'cannot resolve location "main.c:1": "/usr/bin/app" has no debug information',
    );
  });

  test('an address inside of an instruction', () => {
    // push %rbp; mov %rsp,%rbp; nop
    const code = { address: 0x401000n, bytes: Uint8Array.of(0x55, 0x48, 0x89, 0xe5, 0x90) };
    const small = literalSymbols({ code, functions: [functionSymbol('f', 0x401000n, 0x401005n)] });
    expect(resolveLocation(small, '*0x401004')).toHaveLength(1);
    expect(() => resolveLocation(small, '*0x401002')).toThrow(
      expect.objectContaining({
        code: 'not-found',
        message: 'cannot resolve location "*0x401002": 0x401002 is inside of an instruction',
        hint: 'instructions begin at 0x401001 and 0x401004',
        candidates: ['*0x401001', '*0x401004'],
      }),
    );
  });
});
