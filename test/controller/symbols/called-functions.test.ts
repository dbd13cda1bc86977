/** Functions as people name them. */
import { expect, test } from 'vitest';
import { openSymbols } from '../../support/open-symbols.js';
import { cplusplusProgram, rustProgram } from './other-languages.js';

test.each<[string, () => string, string, readonly string[]]>([
  ['a path of Rust', () => rustProgram('-g'), 'shapes::total', ['shapes::total']],
  ['a name of Rust', () => rustProgram('-g'), 'total', ['shapes::total']],
  ['a method of a trait', () => rustProgram('-g'), '{impl#0}::area', ['shapes::{impl#0}::area']],
  ['another path', () => rustProgram('-g'), 'other::total', []],
  ['a method', () => cplusplusProgram('g++', '-g', '-O0'), 'Order::total', ['shop::Order::total']],
  [
    'all of its path',
    () => cplusplusProgram('g++', '-g', '-O0'),
    'shop::Order::total',
    ['shop::Order::total'],
  ],
  ['a class that is none', () => cplusplusProgram('g++', '-g', '-O0'), 'rder::total', []],
  [
    'of a template',
    () => cplusplusProgram('g++', '-g', '-O0'),
    'Box<int, 4>::price',
    ['shop::Box<int, 4>::price'],
  ],
  [
    'of a function template without its arguments',
    () => cplusplusProgram('g++', '-g', '-O0'),
    'std::make_unique',
    ['std::make_unique<shop::Box<double, 2> >', 'std::make_unique<shop::Box<int, 4> >'],
  ],
])('%s', { timeout: 60_000 }, (_, program, name, found) => {
  const names = openSymbols(program())
    .findFunctions(name)
    .map((each) => each.name);
  expect([...new Set(names)].toSorted()).toEqual(found);
});

test.each([
  ['_ZNK4shop5Order5totalEv', ['shop::Order::total']],
  ['total', ['shop::Order::total']],
  ['Order::total', []],
  ['make_unique', []],
])('as debug information has them: %s', (name, found) => {
  const known = openSymbols(cplusplusProgram('g++', '-g', '-O0')).functionsNamed(name);
  expect([...new Set(known.map((each) => each.name))]).toEqual(found);
});
