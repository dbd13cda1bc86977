/** Casts, template names and comparisons as C++ spells them, in cores of one program by both compilers and both libraries; and what gdb says of the same. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { compileNative, cplusplus } from '../../support/compile-native.js';
import { crashCore } from '../../support/core.js';
import { CoreQuestions } from '../../support/core-questions.js';
import { repositoryRoot } from '../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/casts/casts.cc'), 'utf8');

interface Build {
  readonly compiler: 'g++' | 'clang++';
  readonly flags: readonly string[];
}

const gcc: Build = { compiler: 'g++', flags: ['-O0'] };
const clang: Build = { compiler: 'clang++', flags: ['-O0'] };
const libcxx: Build = { compiler: 'clang++', flags: ['-O0', '-stdlib=libc++'] };

function program({ compiler, flags }: Build): string {
  return compileNative(source, 'casts', cplusplus(compiler, '-w', '-std=c++17', ...flags));
}

/** The questions are closed and the core is removed when the test has ended. */
function questions(build: Build): { readonly asked: CoreQuestions; readonly core: string } {
  const core = crashCore(program(build), []);
  onTestFinished(() => core[Symbol.dispose]());
  const asked = new CoreQuestions(core.path, 'main');
  onTestFinished(() => asked[Symbol.dispose]());
  return { asked, core: core.path };
}

const values: readonly (readonly [string, string])[] = [
  ['*(std::vector<int>*)pv', 'std::vector<int, std::allocator<int> > [1, 2, 3]'],
  ['((std::vector<int> *)pv)->size()', 'unsigned long 3'],
  ['((std::map<std::string, std::vector<int>>*)pm)->size()', 'unsigned long 2'],
  [
    '(*(std::map<std::string, std::vector<int> >*)pm)["two"]',
    'std::vector<int, std::allocator<int> > [2, 2]',
  ],
  ['sizeof(std::vector<int>)', 'unsigned long 24'],
  ['sizeof(ns::T<int, 4>)', 'unsigned long 20'],
  ['sizeof(T<int,4>)', 'unsigned long 20'],
  ['sizeof(ns::Box<int>)', 'unsigned long 16'],
  ['sizeof(Box<char,short>)', 'unsigned long 4'],
  ['sizeof(std::map<std::string, std::vector<int>>)', 'unsigned long 48'],
  ['(ns::T<int, 4>&)raw[0]', 'ns::T<int, 4> {a = [10, 11, 12, 13], n = 4}'],
  ['(ns::T<int, 4>&)*raw', 'ns::T<int, 4> {a = [10, 11, 12, 13], n = 4}'],
  ['((ns::T<int, 4> const &)*raw).n', 'int 4'],
  ['*(ns::T<int,4> const *)pt', 'ns::T<int, 4> {a = [10, 11, 12, 13], n = 4}'],
  ['*(const T<int,4>*)pt', 'ns::T<int, 4> {a = [10, 11, 12, 13], n = 4}'],
  ['((T<int>*)pt)->a[1]', 'int 11'],
  ['((ns::Box<int>*)pb)->v', 'long 2'],
  ['((Box<int, long>*)pb)->k', 'int 1'],
  ['ns::T<int, 4>::made', 'int 3'],
  ['T<int,4>::made + 1', 'int 4'],
  ['ns::T<int, 4>::made < 4', 'int 1'],
  ['((struct ns::T<int, 4> *)pt)->n', 'int 4'],
  ['static_cast<Circle*>(shape)->radius', 'double 2.5'],
  ['reinterpret_cast<Circle*>(word)->radius', 'double 2.5'],
  ['reinterpret_cast<unsigned long>(shape) == word', 'int 1'],
  ['reinterpret_cast<Named*>(shape)->label', 'int 1'],
  ['dynamic_cast<Circle*>(shape)->id', 'int 1'],
  ['dynamic_cast<Circle*>(named)->radius', 'double 2.5'],
  ['dynamic_cast<Square*>(shape)', 'Square * NULL'],
  ['dynamic_cast<Square*>(shape) == nullptr', 'int 1'],
  ['dynamic_cast<Named*>(shape)->label', 'int 7'],
  ['dynamic_cast<VBoth*>(vbase)->both', 'int 8'],
  ['dynamic_cast<VRight*>(vleft)->vr', 'int 7'],
  ['dynamic_cast<VBase*>(vleft)->vb', 'int 5'],
  ['dynamic_cast<Circle*>(shape0)', 'Circle * NULL'],
  ['(unsigned long)dynamic_cast<void*>(named) == word', 'int 1'],
  ['dynamic_cast<Circle&>(*shape).radius', 'double 2.5'],
  ['dynamic_cast<Circle*>(owned.get())->radius', 'double 2.5'],
  ['static_cast<int>(d)', 'int 3'],
  ['static_cast<int>(d * 2)', 'int 7'],
  ['static_cast<Color>(5)', 'Color Color::green'],
  ['static_cast<Circle&>(*shape).radius', 'double 2.5'],
  ['static_cast<double>(f)', 'double 1.5'],
  ['const_cast<ns::T<int,4>*>(&t4)->n', 'int 4'],
  ['int(d)', 'int 3'],
  ['int(d) * 2', 'int 6'],
  ['float(d)', 'float 3.75'],
  ['u32(5) - 6', 'unsigned int 4294967295'],
  ['double(u) / 3', 'double 1333333333.3333333'],
  ['Color(5)', 'Color Color::green'],
  ['shape == &circle', 'int 1'],
  ['named == &circle', 'int 1'],
  ['&circle == named', 'int 1'],
  ['shape != &square', 'int 1'],
  ['vbase == &both', 'int 1'],
  ['vbase == vleft', 'int 1'],
  ['vright == vbase', 'int 1'],
  ['shape == shape2', 'int 0'],
  ['shape0 == nullptr', 'int 1'],
  ['(void *)shape == (void *)named', 'int 0'],
  ['((Circle*)shape)->radius', 'double 2.5'],
  ['((Circle&)*shape).radius', 'double 2.5'],
  ['((Circle *)owned)->radius', 'double 2.5'],
  ['((Square &)*shared).side', 'int 4'],
  ['(int&)f', 'int 1069547520'],
  ['any.(std::string)', 'std::string "in any"'],
  ['any_i.(int) + 1', 'int 43'],
  ['var.(std::string).size()', 'unsigned long 3'],
  ['color == Color::green', 'int 1'],
  ['twice<int>', 'int (int) twice<int>'],
  ['twice<double>', 'double (double) twice<double>'],
  ['&twice<int> == twice<int>', 'int 1'],
  ['tref.n', 'int 4'],
  ['v.size() < 4 && 5 > 3', 'int 1'],
  ['v.size() < 4 || v.size() > (3)', 'int 1'],
];

const errors: readonly (readonly [string, string])[] = [
  [
    '(std::vector<long>*)pv',
    `(std::vector<long>*)pv
 ^^^^^^^^^^^^^^^^^
no type "std::vector<long>" in scope`,
  ],
  [
    '*(T*)pt',
    `*(T*)pt
  ^
"T" can be one of 2 types
say which: ns::T<int, 4>, ns::T<long int, 2>`,
  ],
  [
    '(Nothing<int>*)pv',
    `(Nothing<int>*)pv
 ^^^^^^^^^^^^
no type "Nothing<int>" in scope`,
  ],
  [
    '(Point*)&opt',
    `(Point*)&opt
 ^^^^^
"Point" can be one of 2 types
say which: ns::Point, other::Point`,
  ],
  [
    'ns::T<int, 4>::nothing',
    `ns::T<int, 4>::nothing
^^^^^^^^^^^^^^^^^^^^^^
no variable "ns::T<int, 4>::nothing" in scope`,
  ],
  [
    'static_cast<Circle*>(vbase)',
    `static_cast<Circle*>(vbase)
^^^^^^^^^^^^^^^^^^^^^^^^^^^
static_cast cannot turn "VBase *" into "Circle *"
reinterpret_cast takes the bits as they are`,
  ],
  [
    'static_cast<VBoth*>(vbase)',
    `static_cast<VBoth*>(vbase)
^^^^^^^^^^^^^^^^^^^^^^^^^^
cannot cast from "VBase" to "VBoth": it is a virtual base, and where the object around it begins only its vtable says
ask the vtable: dynamic_cast<VBoth *>(vbase)`,
  ],
  [
    'static_cast<Circle*>(word)',
    `static_cast<Circle*>(word)
^^^^^^^^^^^^^^^^^^^^^^^^^^
static_cast cannot turn "unsigned long" into "Circle *"
reinterpret_cast takes the bits as they are`,
  ],
  [
    'static_cast<>(d)',
    `static_cast<>(d)
            ^
expected a type, found ">"`,
  ],
  [
    'static_cast<int>d',
    `static_cast<int>d
                ^
expected "(" before what is cast, found "d"`,
  ],
  [
    'static_cast<int',
    `static_cast<int
           ^
expected a type in "<>", found "<"`,
  ],
  [
    'dynamic_cast<Circle>(shape)',
    `dynamic_cast<Circle>(shape)
^^^^^^^^^^^^^^^^^^^^^^^^^^^
dynamic_cast cannot turn "Shape *" into "Circle": it is for pointers and references to classes`,
  ],
  [
    'dynamic_cast<int*>(shape)',
    `dynamic_cast<int*>(shape)
^^^^^^^^^^^^^^^^^^^^^^^^^
"int" is no class`,
  ],
  [
    'const_cast<int*>(&d)',
    `const_cast<int*>(&d)
^^^^^^^^^^^^^^^^^^^^
cannot cast "double *" to "int *"
const_cast changes no more than "const"`,
  ],
  [
    'reinterpret_cast<double>(shape)',
    `reinterpret_cast<double>(shape)
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
cannot cast "Shape *" to "double"`,
  ],
  [
    '(int&)5',
    `(int&)5
      ^
cannot take the address of a value that is not in memory`,
  ],
  [
    'shape == named',
    `shape == named
      ^^
cannot compare "Shape *" with "Named *": neither is a base of the other
compare addresses: (void *)shape == (void *)named`,
  ],
  [
    'vleft < vright',
    `vleft < vright
      ^
cannot compare "VLeft *" with "VRight *": neither is a base of the other
compare addresses: (void *)vleft < (void *)vright`,
  ],
  [
    'shape->radius',
    `shape->radius
       ^^^^^^
"Shape" has no member "radius"
the object is a "Circle", which has it: ((Circle *)shape)->radius`,
  ],
  [
    'shape->side',
    `shape->side
       ^^^^
"Shape" has no member "side"
of a derived class cast it: ((CLASS *)shape)->side`,
  ],
  [
    'vbase->both',
    `vbase->both
       ^^^^
"VBase" has no member "both"
the object is a "VBoth", which has it: ((VBoth *)vbase)->both`,
  ],
  [
    'owned->radius',
    `owned->radius
       ^^^^^^
"Shape" has no member "radius"
the object is a "Circle", which has it: ((Circle *)owned)->radius`,
  ],
  [
    '(*shape).radius',
    `(*shape).radius
         ^^^^^^
"Shape" has no member "radius"
the object is a "Circle", which has it: ((Circle &)*shape).radius`,
  ],
  [
    'shape->idd',
    `shape->idd
       ^^^
"Shape" has no member "idd"
did you mean "id"?`,
  ],
  [
    'twice',
    `twice
^^^^^
"twice" can be one of 2
say which: twice<double>, twice<int>`,
  ],
  [
    'twice<long>',
    `twice<long>
^^^^^^^^^^^
no variable "twice<long>" in scope
did you mean "twice<int>"?`,
  ],
  [
    'std::vector<int>',
    `std::vector<int>
^^^^^^^^^^^^^^^^
"std::vector<int>" is a type, not a value
cast with (std::vector<int> *)p, or take sizeof(std::vector<int>)`,
  ],
  [
    'Circle(shape)',
    `Circle(shape)
^^^^^^^^^^^^^
cannot cast "Shape *" to "Circle"`,
  ],
];

/** Names that compilers and libraries spell in ways of their own. */
const plain = (text: string): string =>
  text.replaceAll('std::__1::', 'std::').replaceAll('long int', 'long').replaceAll('short int', 'short');

const isOrder = (a: string): string => a.replace('twice<int>, twice<double>', 'twice<double>, twice<int>');

describe('C++', () => {
  test.each([
    ['gcc', gcc],
    ['clang', clang],
    ['clang with libc++', libcxx],
  ])('values, %s', (_, build) => {
    const { asked } = questions(build);
    const answers = values.map(([text]) => [text, plain(asked.answer(text))]);
    expect(answers).toEqual(
      values.map(([text, wanted]) => [
        text,
        // The size of a map is the library's.
        build === libcxx && wanted === 'unsigned long 48' ? 'unsigned long 24' : plain(wanted),
      ]),
    );
  });

  test.each([
    ['gcc', gcc],
    ['clang', clang],
  ])('errors point into the text, %s', (_, build) => {
    const { asked } = questions(build);
    const answers = errors.map(([text]) => [text, isOrder(plain(asked.answer(text)))]);
    expect(answers).toEqual(errors.map(([text, wanted]) => [text, plain(wanted)]));
  });

  test('as gdb', () => {
    const { asked, core } = questions(gcc);
    // gdb 13 reads what `dynamic_cast` to a derived class gives from another place, and does not move a reference to another base; what is right there the
    // program says. It has no `T &` of a value, `float(x)` or names without their scope; it never leaves template arguments out.
    const texts = [
      'sizeof(ns::T<int, 4>)',
      '((ns::T<int, 4>*)pt)->a[1]',
      '(*(ns::T<int, 4>*)pt).n',
      'ns::T<int, 4>::made + 1',
      'static_cast<Circle*>(shape)->radius',
      'reinterpret_cast<Circle*>(word)->radius',
      'reinterpret_cast<Named*>(shape)->label',
      'dynamic_cast<Named*>(shape)->label',
      'dynamic_cast<VBase*>(vleft)->vb',
      'static_cast<int>(d * 2)',
      'static_cast<double>(f)',
      'const_cast<Shape*>(shape)->id',
      '((Circle*)shape)->radius',
      '((Circle&)*shape).radius',
      '(unsigned char)u',
    ];
    const commands = [
      'frame 5',
      ...texts.map((text) => `output ${text}`).flatMap((each) => [each, 'echo \\n']),
    ];
    const run = spawnSync(
      'gdb',
      ['-nx', '-batch', ...commands.flatMap((each) => ['-ex', each]), program(gcc), core],
      { encoding: 'utf8' },
    );
    const theirs = run.stdout.trimEnd().split('\n').slice(-texts.length);
    const ours = texts.map((text) => asked.answer(text).replace(/^(?:unsigned )?\w+ /, ''));
    const scalar = (text: string): string =>
      text.replace(/^(\d+) '.*'$/, '$1').replace(/^'.*' \((\d+)\)$/, '$1');
    expect(ours.map(scalar)).toEqual(theirs.map(scalar));
  });
});
