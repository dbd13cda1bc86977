import { describe, expect, test } from 'vitest';
import { isAbsent } from '../../../format/absent.js';
import { toStillframeError } from '../../../format/error.js';
import { defaultLimits } from '../../../format/limits.js';
import { inline } from '../../../controller/cli/render-value.js';
import { checkCondition, checkExpression } from '../../../controller/expression/check.js';
import { evaluate, evaluateCondition } from '../../../controller/expression/evaluate.js';
import { isUnlowered, lowerCondition } from '../../../controller/expression/lower.js';
import { renderValue } from '../../../controller/types/render.js';
import { viewProgram } from './views.js';

const program = viewProgram();

/** `int 42`, as a person sees it; what is absent with its whole detail. */
function shown(text: string): string {
  const value = evaluate(checkExpression(text, program), program.frame());
  const { memory } = program;
  const document = renderValue(value, { memory, limits: defaultLimits, path: text, depth: 1 });
  const { absent } = document;
  if (absent !== undefined) return `${document.type} <${absent.reason}: ${absent.detail}>`;
  return `${document.type} ${inline(document)}`;
}

/** The error as a person sees it: the text, a line that points into it, the message, the hint. */
function failure(text: string): string {
  try {
    checkExpression(text, program);
  } catch (thrown) {
    const error = toStillframeError(thrown);
    if (error.code !== 'bad-expression') throw thrown;
    const { position = -1, length = 0 } = error.detail;
    const marks = ' '.repeat(Math.max(0, position)) + '^'.repeat(length);
    return `${text}\n${marks}\n${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}`;
  }
  return 'no error';
}

const outside = (path: string, object: string, count: number, index: number): string =>
  `<unreadable: ${path} is outside of the ${count} elements of ${object}: its index is ${index}>`;

describe('values', () => {
  test.each([
    ['name', 'Text "abc"'],
    ['name == "abc"', 'int 1'],
    ['name != "abc"', 'int 0'],
    ['name == "abcd"', 'int 0'],
    ['name == "ab"', 'int 0'],
    ['"abc" == name', 'int 1'],
    ['name == name', 'int 1'],
    ['name == long_name', 'int 0'],
    ['name != items[0].name', 'int 1'],
    ['items[0].name == shared->name', 'int 1'],
    ['empty == empty', 'int 1'],
    ['name.size()', 'unsigned long 3'],
    ['name.length() > 2', 'int 1'],
    ['len(name)', 'long 3'],
    ['name.empty()', 'int 0'],
    ['empty.empty()', 'int 1'],
    ['empty.is_empty()', 'int 1'],
    ['empty == ""', 'int 1'],
    ['name == ""', 'int 0'],
    ['name.startsWith("ab")', 'int 1'],
    ['startsWith(name, "abc")', 'int 1'],
    ['name.startsWith("abcd")', 'int 0'],
    ['name.contains("bc")', 'int 1'],
    ['name.contains("x")', 'int 0'],
    ['name.matches("^a.c$")', 'int 1'],
    ['name[1]', "char 'b' (98)"],
    ['name.at(1)', "char 'b' (98)"],
    ['name.front()', "char 'a' (97)"],
    ['name.back()', "char 'c' (99)"],
    ["name[0] == 'a'", 'int 1'],
    ['name[3]', `char ${outside('name[3]', 'name', 3, 3)}`],
    ['name[0:2]', 'char [2] "ab"'],
    ['name[1:]', 'char [2] "bc"'],
    ['name @ 2', 'char [2] "ab"'],
    ['name.c_str()', 'char * 0x7f0000000118 "abc"'],
    ['*name.c_str()', "char 'a' (97)"],
    ['name.capacity()', 'unsigned long 15'],
    ['long_name == "a string that is not here"', 'int 1'],
    ['long_name.contains("that")', 'int 1'],
    ['long_name.size()', 'unsigned long 25'],
    ['items[1].name == "sec\\0nd"', 'int 1'],
    ['items[1].name == "sec"', 'int 0'],
    ['items[1].name.size()', 'unsigned long 6'],
    ['items[1].name.contains("nd")', 'int 1'],
    ['wide', 'WideText "a€b"'],
    ['wide == "a€b"', 'int 1'],
    ['wide == "a€"', 'int 0'],
    ['wide.length()', 'unsigned long 3'],
    ['wide.contains("€")', 'int 1'],
    ['wide.startsWith("a€")', 'int 1'],
    ['wide.matches("^.€")', 'int 1'],
    ['wide[1]', "char16_t '€' (8364)"],
    ['numbers', 'Vector [10, 20, 30]'],
    ['numbers.size()', 'unsigned long 3'],
    ['numbers.size() > 10', 'int 0'],
    ['numbers.size() - 4', 'unsigned long 18446744073709551615'],
    ['len(numbers)', 'long 3'],
    ['len(numbers) - 4', 'long -1'],
    ['cap(numbers)', 'long 4'],
    ['std::size(numbers)', 'long 3'],
    ['numbers.capacity()', 'unsigned long 4'],
    ['numbers[1]', 'int 20'],
    ['numbers[i]', 'int 20'],
    ['numbers[i+1] + numbers[0]', 'int 40'],
    ['numbers[3]', `int ${outside('numbers[3]', 'numbers', 3, 3)}`],
    ['numbers[-1]', `int ${outside('numbers[-1]', 'numbers', 3, -1)}`],
    ['numbers[numbers.size() - 1]', 'int 30'],
    ['numbers.front()', 'int 10'],
    ['numbers.back()', 'int 30'],
    ['numbers.at(1)', 'int 20'],
    ['numbers.data()', 'int * 0x7f0000001000 → 10'],
    ['numbers.data()[3]', 'int 40'],
    ['numbers[0:2]', 'int [2] [10, 20]'],
    ['numbers[1:]', 'int [2] [20, 30]'],
    ['numbers[:1]', 'int [1] [10]'],
    ['numbers[0..2]', 'int [2] [10, 20]'],
    ['numbers[1..]', 'int [2] [20, 30]'],
    ['numbers[..i]', 'int [1] [10]'],
    ['numbers[..1]', 'int [1] [10]'],
    ['numbers[:]', 'int [3] [10, 20, 30]'],
    ['numbers[2:100]', 'int [1] [30]'],
    ['numbers[5:6]', 'int [0] []'],
    ['numbers @ 2', 'int [2] [10, 20]'],
    ['numbers.contains(20)', 'int 1'],
    ['numbers.contains(21)', 'int 0'],
    ['numbers.count(20)', 'unsigned long 1'],
    ['sizeof(numbers)', 'unsigned long 24'],
    ['sizeof(numbers[0])', 'unsigned long 4'],
    ['&numbers[1]', 'int * 0x7f0000001004 → 20'],
    ['numbers.begin', 'int * 0x7f0000001000 → 10'],
    ['items[0].name', 'Text "first"'],
    ['items[0].name[0]', "char 'f' (102)"],
    ['items.back().id', 'int 2'],
    ['items[0:1]', 'Item [1] [{id = 1, name = "first"}]'],
    ['vector->size()', 'unsigned long 3'],
    ['vector.size()', 'unsigned long 3'],
    ['(*vector)[2]', 'int 30'],
    ['len(vector)', 'long 3'],
    ['shared', 'Shared 0x7f0000001100 {use_count=2} → {id = 1, name = "first"}'],
    ['*shared', 'Item {id = 1, name = "first"}'],
    ['shared->name', 'Text "first"'],
    ['shared.name', 'Text "first"'],
    ['shared->name == "first"', 'int 1'],
    ['shared->id == 1', 'int 1'],
    ['shared.get()', 'Item * 0x7f0000001100 → {id = 1, name = "first"}'],
    ['shared.get()->id', 'int 1'],
    ['(*shared).id', 'int 1'],
    ['shared.use_count()', 'long 2'],
    ['shared.count', 'long * 0x7f0000001300 → 2'],
    ['shared == nullptr', 'int 0'],
    ['shared != nil', 'int 1'],
    ['shared == shared.get()', 'int 1'],
    ['!shared', 'int 0'],
    ['shared && 1', 'int 1'],
    ['maybe', 'Maybe Some(42)'],
    ['maybe.has_value()', 'int 1'],
    ['maybe.is_some()', 'int 1'],
    ['maybe.is_none()', 'int 0'],
    ['maybe.value()', 'int 42'],
    ['maybe.unwrap() + 1', 'int 43'],
    ['*maybe', 'int 42'],
    ['maybe.Some', 'int 42'],
    ['maybe == None', 'int 0'],
    ['maybe != std::nullopt', 'int 1'],
    ['maybe.index()', 'int 1'],
    ['maybe ? 1 : 2', 'int 1'],
    ['none', 'MaybeItem None'],
    ['none.has_value()', 'int 0'],
    ['none == None', 'int 1'],
    ['!none', 'int 1'],
    ['none->id', 'int <unreadable: none is not Some>'],
    ['none.value().name', 'Text <unreadable: none is not Some>'],
    ['outcome', 'Outcome Ok("fine")'],
    ['outcome.is_ok()', 'int 1'],
    ['outcome.is_err()', 'int 0'],
    ['outcome.unwrap()', 'Text "fine"'],
    ['outcome.value() == "fine"', 'int 1'],
    ['outcome.Ok.size()', 'unsigned long 4'],
    ['outcome.err()', 'int <unreadable: outcome is not Err>'],
    ['failed.is_err()', 'int 1'],
    ['failed.error()', 'int -5'],
    ['failed.unwrap_err()', 'int -5'],
    ['failed.Err < 0', 'int 1'],
    ['counter', 'Cell 7 {borrow=1}'],
    ['counter > 5', 'int 1'],
    ['counter + 1', 'int 8'],
    ['-counter', 'int -7'],
    ['counter << 2', 'int 28'],
    ['counter.load()', 'int 7'],
    ['counter.borrow()', 'long 1'],
    ['(long)counter', 'long 7'],
    ['numbers[counter - 6]', 'int 20'],
    ['list', 'List [100, 200, 300]'],
    ['list.size()', 'unsigned long 3'],
    ['list[1]', 'int 200'],
    ['list[1] + 1', 'int 201'],
    ['list[3]', 'int <unreadable: list[3] is outside of the 3 elements of list>'],
    ['list[-1]', 'int <unreadable: list[-1] has an index below zero>'],
    ['list.front()', 'int 100'],
    ['list.back()', 'int 300'],
    ['list[1:3]', 'List [200, 300]'],
    ['list[2:9]', 'List [300]'],
    ['list @ 1', 'List [100]'],
    ['list.contains(200)', 'int 1'],
    ['list.count(7)', 'unsigned long 0'],
    ['ages', 'Map {"ada": 36, "bob": 41}'],
    ['ages["ada"]', 'int 36'],
    ['ages["ada"] > 30', 'int 1'],
    ['ages.at("bob")', 'int 41'],
    ['ages.contains("bob")', 'int 1'],
    ['ages.contains_key("eve")', 'int 0'],
    ['ages.count("eve")', 'unsigned long 0'],
    ['ages.size()', 'unsigned long 2'],
    ['len(ages)', 'long 2'],
    ['ages.empty()', 'int 0'],
    ['ages[0:1]', 'Map {"ada": 36}'],
    [
      'ages["eve"]',
      'int <unreadable: ages has no such key: it has 2, and none of them is that of ages["eve"]>',
    ],
    ['squares[12]', 'long 144'],
    ['squares[i + 3]', 'long 16'],
    ['squares[5:8]', 'Map {5: 25, 6: 36, 7: 49}'],
    ['squares[18:]', 'Map {18: 324, 19: 361}'],
    ['squares.size() == 20', 'int 1'],
    ['any', 'Any Item {id = 1, name = "first"}'],
    ['any.(Item)', 'Item {id = 1, name = "first"}'],
    ['any.(Item).name', 'Text "first"'],
    ['((Item*)any)->id', 'int 1'],
    ['(any as *Item)->id', 'int 1'],
    ['any.(Circle).radius', 'double <unreadable: any holds a "Item", not a "Circle">'],
    ['any != nil', 'int 1'],
    ['nobody', 'Any nil'],
    ['nobody == nil', 'int 1'],
    ['nobody == null', 'int 1'],
    ['nobody.(Item)', 'Item <unreadable: nobody is nil: it holds no "Item">'],
    ['circle.radius', 'double 2.5'],
    ['circle.Shape', 'Shape {id = 1, colour = 2}'],
    ['circle.Shape.id', 'int 1'],
    ['circle.Named.id', 'int 3'],
    ['circle.Shape::id', 'int 1'],
    ['circle.Named::label', 'int 4'],
    ['circle.ns::Named::label', 'int 4'],
    ['circle.Circle::radius', 'double 2.5'],
    ['circle.colour', 'int 2'],
    ['((Named *)&circle)->id', 'int 3'],
    ['((Circle *)(Named *)&circle)->radius', 'double 2.5'],
    ['(Named *)&circle', 'ns::Named<int> * 0x7f0000000648 → {id = 3, label = 4}'],
    ['(Named *)(Circle *)0', 'ns::Named<int> * NULL'],
    ['radius', 'double 2.5'],
    ['radius > 2 && colour == 2', 'int 1'],
    ['this->label', 'int 4'],
    ['this.Shape::colour', 'int 2'],
    ['tuple.0', 'int 5'],
    ['tuple.1.1', 'int 7'],
    ['tuple.1.0 + .5', 'double 6.5'],
    ['main.total', 'long 99'],
    ['ns::limit', 'int 12'],
    ['name.size() + numbers.size()', 'unsigned long 6'],
    ["numbers.size() ? name[0] : 'x'", 'int 97'],
    [
      'broken.size()',
      'unsigned long <unreadable: broken is corrupt: it says a length of 1, which cannot be>',
    ],
    ['broken[0]', 'int <unreadable: broken is corrupt: it says a length of 1, which cannot be>'],
    ['lost.size()', 'unsigned long 4'],
    ['lost[2] == 3', 'int <not-captured: lost[2] was not captured: 4 bytes at 0x7f7700000008>'],
    ['handle.size()', 'unsigned long 3'],
  ])('%s', (text, expected) => {
    expect(shown(text)).toBe(expected);
  });
});

describe('errors point into the text', () => {
  test.each([
    [
      'numbers.foo()',
      `numbers.foo()
        ^^^
"Vector" has no method "foo" that can be read
what can be read of it: size(), empty(), front(), back(), at(i), data(), contains(x), count(x)`,
    ],
    [
      'numbers.size(1)',
      `numbers.size(1)
        ^^^^
"size" takes no argument`,
    ],
    [
      'ages.contains()',
      `ages.contains()
     ^^^^^^^^
"contains" takes one argument`,
    ],
    [
      'ages[3]',
      `ages[3]
     ^
the keys are strings, not "int"
strings stand in double quotes`,
    ],
    [
      'squares["x"]',
      `squares["x"]
        ^^^
the keys are "long", not strings`,
    ],
    [
      'squares[name]',
      `squares[name]
        ^^^^
"Text" cannot be a key here
keys are numbers or string literals`,
    ],
    [
      'name == 3',
      `name == 3
     ^^
cannot compare "Text" with "int"`,
    ],
    [
      'numbers == "x"',
      `numbers == "x"
^^^^^^^
cannot compare "Vector" with a string`,
    ],
    [
      'numbers + 1',
      `numbers + 1
        ^
cannot apply "+" to "Vector" and "int"`,
    ],
    [
      'numbers[name]',
      `numbers[name]
        ^^^^
an index must be an integer, not "Text"`,
    ],
    [
      'numbers[-1:2]',
      `numbers[-1:2]
        ^^
a slice cannot begin or end at -1`,
    ],
    [
      'name->x',
      `name->x
^^^^
"Text" is not a pointer
use "." for a member of it`,
    ],
    [
      'shared->nam',
      `shared->nam
        ^^^
"struct Item" has no member "nam"
did you mean "name"?`.replace('struct Item', 'Item'),
    ],
    [
      'maybe.Other',
      `maybe.Other
      ^^^^^
"Maybe" has no alternative "Other"
it is one of None, Some`,
    ],
    [
      'maybe.None',
      `maybe.None
      ^^^^
"None" holds no value`,
    ],
    [
      'any.id',
      `any.id
    ^^
what type "any" holds only the process knows
say which: any.(TYPE).id`,
    ],
    [
      'any.(Nothing)',
      `any.(Nothing)
     ^^^^^^^
no type "Nothing" in scope`,
    ],
    [
      'numbers.(Item)',
      `numbers.(Item)
^^^^^^^
"Vector" is not an interface, a trait object or a variant`,
    ],
    [
      'circle.id',
      `circle.id
       ^^
"Circle" has more than one "id"
say of which base: Shape::id, ns::Named<int>::id`,
    ],
    [
      'circle.Square::id',
      `circle.Square::id
       ^^^^^^^^^^
"Circle" has no member "Square::id"`,
    ],
    [
      'id',
      `id
^^
"Circle" has more than one "id"
say of which base: Shape::id, ns::Named<int>::id`,
    ],
    [
      'tuple.7',
      `tuple.7
      ^
"(i32, (i32, i32))" has no member "7"`,
    ],
    [
      'name.matches("(")',
      `name.matches("(")
             ^^^
invalid regular expression: missing closing ): "("
patterns are written in RE2's syntax: no look-around, no back-references`,
    ],
    [
      'squares.push(3)',
      `squares.push(3)
        ^^^^
"Map" has no method "push" that can be read
what can be read of it: size(), empty(), at(key), contains(key), count(key)`,
    ],
    [
      'i.size()',
      `i.size()
  ^^^^
cannot call "size": expressions never call into the target
what can be called: startsWith, contains, matches`,
    ],
  ])('%s', (text, expected) => {
    expect(failure(text)).toBe(expected);
  });
});

describe('the kernel decides', () => {
  test.each([
    'name == "abc"',
    'name != "abc"',
    'name == "abcd"',
    'name == ""',
    'empty == ""',
    'name.startsWith("ab")',
    'name.startsWith("abcd")',
    'name.size() > 2',
    'numbers.size() > 10',
    'long_name == "a string that is not here"',
    'items[1].name == "sec\\0nd"',
    'wide == "a€b"',
    'numbers[1] == 20',
    'numbers[3] == 20',
    'numbers.back() == 30',
    'shared',
    'shared != nullptr && shared->id == 1',
    'shared->name == "first"',
    'shared.use_count() > 1',
    'maybe',
    'maybe.has_value()',
    'maybe.value() == 42',
    'none.has_value()',
    'none->id == 3',
    'outcome.is_ok() && outcome.value() == "fine"',
    'failed.error() < 0',
    'counter > 5',
    'list.size() == 3',
    'ages.size() == 2',
    'any != nil',
    'nobody == nil',
    'circle.Shape::id == 1',
    '((Named *)&circle)->id == 3',
    '((Circle *)(Named *)&circle)->colour == 2',
    'tuple.1.1 == 7',
    'broken.size() == 1',
    'lost[0] == 1',
  ])('%s', (text) => {
    const condition = checkCondition(text, program);
    const code = lowerCondition(condition, program.lowering());
    if (isUnlowered(code)) throw new Error(code.unsupported);
    const wanted = evaluateCondition(condition, program.frame());
    const got = program.run(code);
    expect(isAbsent(got) ? 'absent' : got !== 0n).toBe(isAbsent(wanted) ? 'absent' : wanted);
  });

  test.each([
    [
      'name == long_name',
      'two strings of the target cannot be compared in the kernel; only one with a literal can',
    ],
    ['name.contains("b")', '"contains" cannot run in the kernel; it needs a loop over the whole string'],
    ['list[1] == 200', 'list[1] needs a walk from node to node, which cannot run in the kernel'],
    ['ages["ada"] == 36', 'ages["ada"] needs a walk from node to node, which cannot run in the kernel'],
    ['any.(Item).id == 1', 'what type any holds is not known in the kernel'],
  ])('but not %s', (text, why) => {
    const code = lowerCondition(checkCondition(text, program), program.lowering());
    expect(isUnlowered(code) ? code.unsupported : 'lowered').toBe(why);
  });
});
