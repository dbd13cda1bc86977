import { expect, test } from 'vitest';
import { checkCondition, checkExpression } from '../../../controller/expression/check.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { orderProgram } from './order.js';

const program = orderProgram();

/** The error as a person sees it: the text, a line that points into it, the message, the hint. */
function complaint(text: string, check: typeof checkExpression = checkExpression): string {
  try {
    check(text, program);
  } catch (thrown) {
    const error = toStillframeError(thrown);
    if (!(thrown instanceof StillframeError) || error.code !== 'bad-expression') throw thrown;
    const { position = -1, length = 0 } = error.detail;
    const marks = ' '.repeat(Math.max(0, position)) + '^'.repeat(length);
    const hint = error.hint === undefined ? '' : `\n  ${error.hint}`;
    return `${text}\n${marks}\n${error.message}${hint}`;
  }
  return `${text}\nno error`;
}

const cases = String.raw`
ordr->total
^^^^
no variable "ordr" in scope
  did you mean "order"?

order->totl
       ^^^^
"struct order" has no member "totl"
  did you mean "total"?

order->customer->Tier
                 ^^^^
"struct customer" has no member "Tier"
  did you mean "tier"?

order->nonsense
       ^^^^^^^^
"struct order" has no member "nonsense"

zebra + 1
^^^^^
no variable "zebra" in scope

'stats.c'::hist
^^^^^^^^^^^^^^^
no variable "hist" in file "stats.c"

::order
^^^^^^^
no variable "order" in scope

order->
       ^
expected a name after "->", found the end

order->5
       ^
expected a name after "->", found "5"

1 +
   ^
expected a value, found the end

(1 + 2
      ^
expected ")" after the expression, found the end

1 + 2)
     ^
expected an operator, found ")"

1 2
  ^
expected an operator, found "2"

a b
  ^
expected an operator, found "b"

order[1
       ^
expected "]" after the index, found the end

order[]
      ^
expected a value, found "]"

i = 5
  ^
expected an operator, found "="
  compare with "=="; expressions never write to the target

i++
 ^^
expected an operator, found "++"
  expressions never write to the target

i += 1
  ^^
expected an operator, found "+="
  expressions never write to the target

i ? 1
     ^
expected ":" of "?", found the end

"abc
^^^^
no closing " of the string

'ab'
^^^^
'ab' is more than one character
  strings stand in double quotes

''
^^
empty character

"\q"
 ^^
unknown escape "\q"

"\777"
 ^^^^
unknown escape "\777"

L"wide"
^^
wide strings are not supported

12abc
^^^^^
invalid number "12abc"

089
^^^
invalid number "089"

1.5q
^^^^
invalid number "1.5q"

1.2.3
^^^^^
invalid number "1.2.3"

0x
^^
invalid number "0x"

1lul
^^^^
invalid number "1lul"

18446744073709551616
^^^^^^^^^^^^^^^^^^^^
number "18446744073709551616" does not fit 64 bits

1 # 2
  ^
unexpected character "#"

1 + é
    ^
no variable "é" in scope

$
^
expected a register name after "$"

$rpi
^^^^
no register "$rpi"
  did you mean "$rip", "$rdi" or "$rsi"?

$xmm0
^^^^^
no register "$xmm0"
  general registers are $rax to $r15, $rsp, $rip; facts are $tid, $pid, $comm, and at returns $return and $duration

$return
^^^^^^^
$return is not known: there is no frame at hand
  set a point at FUNCTION:return, and look at its innermost frame

$duration
^^^^^^^^^
$duration is not known: there is no frame at hand
  set a point at FUNCTION:return, and look at its innermost frame

strlen(order->customer->name)
^^^^^^
cannot call "strlen": expressions never call into the target
  what can be called: startsWith, contains, matches

order->handler(1)
       ^^^^^^^
cannot call "handler": expressions never call into the target
  what can be called: startsWith, contains, matches

(order->handler)(1)
        ^^^^^^^
cannot call "handler": expressions never call into the target
  what can be called: startsWith, contains, matches

order->customer->name.startsWith()
                      ^^^^^^^^^^
"startsWith" takes a string and a literal
  write s.startsWith("text")

startsWith("a")
^^^^^^^^^^
"startsWith" takes a string and a literal
  write startsWith(s, "text")

startsWith(order->customer->name, order->customer->name)
                                  ^^^^^^^^^^^^^^^^^^^^^
"startsWith" needs a string literal, not "char *"

startsWith(order->total, "1")
           ^^^^^^^^^^^^
cannot compare "long" with a string

order->data == "abc"
^^^^^^^^^^^
cannot compare "void *" with a string
  cast it: (char *)order->data

order->customer->tier == "GOLD"
^^^^^^^^^^^^^^^^^^^^^
cannot compare "enum tier" with a string
  compare with an enumerator, without quotes

order->customer->name < "abc"
                      ^
cannot compare strings with "<"
  strings compare with == and !=, startsWith, contains and matches

order->customer->name == "a\0b"
                         ^^^^^^
a string to compare with cannot hold a NUL

order->customer->name.matches("(")
                              ^^^
invalid regular expression: missing closing ): "("
  patterns are written in RE2's syntax: no look-around, no back-references

order + 1.5
      ^
cannot apply "+" to "struct order *" and "double"

order + order
      ^
cannot apply "+" to "struct order *" and "struct order *"

order * 2
      ^
cannot apply "*" to "struct order *" and "int"

*order + 1
       ^
cannot apply "+" to "struct order" and "int"

order - order->customer
      ^
cannot apply "-" to "struct order *" and "struct customer *"

1.5 % 2
    ^
cannot apply "%" to "double" and "int"

1.5 & 1
    ^
cannot apply "&" to "double" and "int"

1 << 1.0
  ^^
cannot apply "<<" to "int" and "double"

*order == *order
       ^^
cannot compare "struct order" with "struct order"

order == 1.5
      ^^
cannot compare "struct order *" with "double"

!*order
 ^^^^^^
cannot apply "!" to "struct order"

*order && 1
^^^^^^
cannot apply "&&" to "struct order"

-order
 ^^^^^
cannot apply "-" to "struct order *"

~1.5
 ^^^
cannot apply "~" to "double"

*i
 ^
cannot dereference "int": it is not a pointer

*order->data
 ^^^^^^^^^^^
cannot dereference "void *"
  cast it first: *(char *)order->data

order->data[0]
^^^^^^^^^^^^^^
cannot dereference "void *"
  cast the pointer first, for example (char *)p

order->data[0:2]
^^^^^^^^^^^^^^^^
cannot index or move a pointer to it: "void" has no size
  cast the pointer first, for example (char *)p

order->opaque[1]
^^^^^^^^^^^^^
cannot index or move a pointer to it: the size of "struct hidden" is not known

order->opaque->x
               ^
cannot take member "x" of "struct hidden": only its declaration is known

i.x
  ^
cannot take member "x" of "int": it is not a struct or union

i->x
^
"int" is not a pointer

(*order)->id
 ^^^^^^
"struct order" is not a pointer
  use "." for a member of it

order->customer->name->x
                       ^
cannot take member "x" of "char": it is not a struct or union

i[0]
^
cannot index "int": it is not an array or pointer

grid[1.5]
     ^^^
an index must be an integer, not "double"

grid[order]
     ^^^^^
an index must be an integer, not "struct order *"

&5
 ^
cannot take the address of a value that is not in memory

&(i + 1)
  ^^^^^
cannot take the address of a value that is not in memory

&order->open
 ^^^^^^^^^^^
cannot take the address of a bit field

sizeof(order->open)
       ^^^^^^^^^^^
cannot take the size of a bit field

sizeof(struct hidden)
^^^^^^^^^^^^^^^^^^^^^
the size of "struct hidden" is not known

sizeof(main)
^^^^^^^^^^^^
the size of "int (void)" is not known

(struct nobody *)order
 ^^^^^^^^^^^^^
no type "struct nobody" in scope

(order *)order
 ^^^^^
no type "order" in scope
  did you mean "struct order"?

(struct order_t *)order
 ^^^^^^^^^^^^^^
no type "struct order_t" in scope
  did you mean "order_t"?

(short double)1
 ^^^^^^^^^^^^
"short double" is not a type

(long long long)1
 ^^^^^^^^^^^^^^
"long long long" is not a type

(int)*order
^^^^^^^^^^^
cannot cast "struct order" to "int"

(struct order)i
^^^^^^^^^^^^^^^
cannot cast "int" to "struct order"
  read the bytes as that type: *(struct order *)&i

(double)order
^^^^^^^^^^^^^
cannot cast "struct order *" to "double"

(char *)1.5
^^^^^^^^^^^
cannot cast "double" to "char *"

order_t
^^^^^^^
"order_t" is a type, not a value
  cast with (order_t *)p, or take sizeof(order_t)

1 ? order : 1.5
^^^^^^^^^^^^^^^
the two sides of "?:" are "struct order *" and "double"

order[0:]
^^^^^^^^^
the slice needs an end
  the length of "struct order *" is not known; write order[0:10]

grid[3:1]
^^^^^^^^^
a slice of -2 elements

i[0:2]
^
cannot slice "int": it is not an array or pointer

order @ 1.5
        ^^^
a count must be an integer, not "double"

5 @ 2
^
cannot slice "int": it is not an array or pointer

"abc" + 1
^^^^^
a string literal has no address in the target

order->total > 1000o
               ^^^^^
invalid number "1000o"

`;

const all = cases
  .split(/\n\n+/)
  .map((each) => each.replace(/^\n+|\n+$/g, ''))
  .filter((each) => each !== '');

test.each(all.map((each) => [each.split('\n')[0] ?? '', each]))('%s', (text, wanted) => {
  expect(complaint(text)).toBe(wanted);
});

test('candidates come with the error, best first', () => {
  const error = (text: string): StillframeError => {
    try {
      checkExpression(text, program);
    } catch (thrown) {
      return toStillframeError(thrown);
    }
    throw new Error('no error');
  };
  expect(error('ordr').candidates).toEqual(['order']);
  expect(error('totl_orders').candidates).toEqual(['total_orders']);
  expect(error('order->tota').candidates).toEqual(['total']);
  expect(error('(order *)i').candidates).toEqual(['struct order']);
});

test('an empty text, one that is too long, one that is nested too deeply', () => {
  expect(complaint('  ')).toBe('  \n  ^\nexpression is empty');
  const long = `1${' '.repeat(5000)}`;
  expect(complaint(long).split('\n').at(-1)).toBe(
    'expression of 5001 characters is longer than the limit of 4096',
  );
  const deep = '('.repeat(300) + '1' + ')'.repeat(300);
  expect(complaint(deep).split('\n').at(-1)).toBe('expression is nested deeper than 100');
  const minus = '- '.repeat(900) + '1';
  expect(complaint(minus).split('\n').at(-1)).toBe('expression is nested deeper than 100');
  const pointers = `(char ${'('.repeat(400)}*${')'.repeat(400)})i`;
  expect(complaint(pointers).split('\n').at(-1)).toBe('expression is nested deeper than 100');
  const many = `1${'+1'.repeat(600)}`;
  expect(complaint(many).split('\n').at(-1)).toBe('expression has more than 1000 parts');
});

test('a condition is a number or a pointer', () => {
  expect(complaint('*order', checkCondition)).toBe(
    '*order\n^^^^^^\na condition must be a number or a pointer, not "struct order"',
  );
  expect(complaint('order', checkCondition)).toBe('order\nno error');
  expect(complaint('order->customer->name', checkCondition)).toBe('order->customer->name\nno error');
});
