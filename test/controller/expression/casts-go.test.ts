/** Conversions, assertions, promoted members and names of packages as Go spells them, in a core of a program. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { compileNative, go } from '../../support/compile-native.js';
import { crashCore } from '../../support/core.js';
import { CoreQuestions } from '../../support/core-questions.js';
import { repositoryRoot } from '../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/casts/casts.go'), 'utf8');

/** The questions are closed and the core is removed when the test has ended. */
function questions(): CoreQuestions {
  const program = compileNative(source, 'casts', go('-gcflags=-N -l'));
  const core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
  onTestFinished(() => core[Symbol.dispose]());
  const asked = new CoreQuestions(core.path, 'main.handle');
  onTestFinished(() => asked[Symbol.dispose]());
  return asked;
}

const values: readonly (readonly [string, string])[] = [
  ['((*Top)(p)).Title', 'string "title"'],
  ['(*main.Top)(p).Title', 'string "title"'],
  ['(*Top)p == p', 'int 1'],
  ['*(*int)(addr)', 'int 3'],
  ['*(*int)addr', 'int 3'],
  ['*(*int)(up)', 'int 3'],
  ['int(x) + 1', 'int 4'],
  ['float64(x) / 2', 'float64 1.5'],
  ['int32(d)', 'int32 1500000000'],
  ['uint8(x + 254)', 'uint8 1'],
  ['byte(x)', 'uint8 3'],
  ['rune(x)', 'int32 3'],
  ['main.Level(1) == High', 'int 1'],
  ['Level(1)', 'main.Level 1'],
  ['time.Duration(5)', 'time.Duration 5'],
  ['uintptr(up) == addr', 'int 1'],
  ['string(b)', 'string "bytes"'],
  ['string(b) == "bytes"', 'int 1'],
  ['e.(int) + 1', 'int 4'],
  ['es.(string) == "text"', 'int 1'],
  ['shape.(*Circle).Radius', 'float64 2.5'],
  ['shape.(*main.Circle).Radius', 'float64 2.5'],
  ['sq.(Square).Side', 'int 4'],
  ['sq.(*Circle)', '*main.Circle <unreadable: sq holds a "main.Square", not a "*main.Circle">'],
  ['err.(*fmt.wrapError).err.(*NotFound).Key', 'string "key"'],
  ['err != nil', 'int 1'],
  ['none == nil', 'int 1'],
  ['nilmap == nil', 'int 1'],
  ['nilslice == nil', 'int 1'],
  ['nilptr == nil', 'int 1'],
  ['nilchan == nil', 'int 1'],
  ['nilfunc == nil', 'int 1'],
  ['f == nil', 'int 0'],
  ['ch != nil', 'int 1'],
  ['sl != nil', 'int 1'],
  ['global["b"] == nil', 'int 1'],
  ['up == nil', 'int 0'],
  ['e == nil', 'int 0'],
  ['nil == none', 'int 1'],
  ['global["a"][1]', 'int 2'],
  ['main.global["a"][1]', 'int 2'],
  ['total', 'int64 99'],
  ['main.total + 1', 'int64 100'],
  ['"math/rand".globalRand == nil', 'int 0'],
  ['len(ch)', 'long 2'],
  ['cap(ch)', 'long 4'],
  ['ch.closed()', 'long 0'],
  ['len(nilchan)', 'long 0'],
  ['cap(nilchan)', 'long 0'],
  ['len(sl)', 'long 2'],
  ['cap(sl)', 'long 2'],
  ['len(arr)', 'long 3'],
  ['cap(arr)', 'long 3'],
  ['len(pair.First)', 'long 1'],
  ['top.ID', 'int 5'],
  ['top.Name', 'string "base"'],
  ['top.Base.ID', 'int 5'],
  ['top.Mid.Base.Name', 'string "base"'],
  ['top.Extra', 'int 6'],
  ['p.ID', 'int 5'],
  ['p.Name == "base"', 'int 1'],
  ['p.Describe', 'void (*main.Base, string) main.(*Base).Describe'],
  ['p.Base.Describe', 'void (*main.Base, string) main.(*Base).Describe'],
  ['lvl == High', 'int 1'],
  ['lvl == main.High', 'int 1'],
  ['High', 'main.Level 1'],
  ['(*Circle).Area', 'void (*main.Circle, float64) main.(*Circle).Area'],
  ['main.(*Circle).Area', 'void (*main.Circle, float64) main.(*Circle).Area'],
  ['Circle.Area', 'void (*main.Circle, float64) main.(*Circle).Area'],
  ['Square.Area', 'void (main.Square, float64) main.Square.Area'],
  ['main.Square.Area', 'void (main.Square, float64) main.Square.Area'],
  ['"math/rand".Read', 'void ([]uint8, int, error) math/rand.Read'],
  ['sizeof(int)', 'unsigned long 8'],
  ['sizeof(Top)', 'unsigned long 32'],
  ['sizeof(main.Top)', 'unsigned long 32'],
  ['sizeof([]int)', 'unsigned long 24'],
  ['sizeof([3]int)', 'unsigned long 24'],
  ['sizeof(map[string]int)', 'unsigned long 8'],
  ['sizeof(chan int)', 'unsigned long 8'],
  ['sizeof(uint16)', 'unsigned long 2'],
  ['pair.Second', 'int 5'],
  ['b[0] + 200', 'uint8 42'],
  ['b[0] * 2 + 1', 'uint8 197'],
  ['int(b[0]) + 200', 'int 298'],
  ['-b[0]', 'uint8 158'],
  ['lvl + 1', 'main.Level 2'],
  ['d / 2', 'time.Duration 750000000'],
  ['2 * b[0] > 300', 'int 0'],
];

const errors: readonly (readonly [string, string])[] = [
  [
    '(*Nothing)(p)',
    `(*Nothing)(p)
          ^^^
cannot call this: expressions never call into the target`,
  ],
  [
    'rand.Read',
    `rand.Read
^^^^^^^^^
"rand.Read" can be one of 2
say which: "crypto/rand".Read, "math/rand".Read`,
  ],
  [
    'Level()',
    `Level()
^^^^^
cannot call "Level": expressions never call into the target
what can be called: startsWith, contains, matches`,
  ],
  [
    'string(x)',
    `string(x)
^^^^^^^^^
a "int" as a "string" would be a character, which is nowhere in memory`,
  ],
  [
    'top.Missing',
    `top.Missing
    ^^^^^^^
"main.Top" has no member "Missing"`,
  ],
  [
    'p.Titel',
    `p.Titel
  ^^^^^
"main.Top" has no member "Titel"
did you mean "Title"?`,
  ],
  [
    'nothing.Thing',
    `nothing.Thing
^^^^^^^
no variable "nothing" in scope`,
  ],
  [
    'cap(pair)',
    `cap(pair)
^^^
cannot call "cap": expressions never call into the target
what can be called: startsWith, contains, matches`,
  ],
  [
    'len(es)',
    `len(es)
^^^
"interface {}" has no method "len" that can be read
what can be read of it: is_none(), has_value()`,
  ],
  [
    'x.(int)',
    `x.(int)
^
"int" is not an interface, a trait object or a variant`,
  ],
  [
    'Top',
    `Top
^^^
"Top" is a type, not a value
cast with (Top *)p, or take sizeof(Top)`,
  ],
];

describe('Go', () => {
  test('values', () => {
    const asked = questions();
    expect(values.map(([text]) => [text, asked.answer(text)])).toEqual(values);
  });

  test('errors point into the text', () => {
    const asked = questions();
    expect(errors.map(([text]) => [text, asked.answer(text)])).toEqual(errors);
  });
});
