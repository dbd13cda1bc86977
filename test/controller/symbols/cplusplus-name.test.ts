/** Mangled names of classes, as far as they are taken apart; names of the standard library without its inline namespaces. */
import { describe, expect, test } from 'vitest';
import { isOneName, memberPrefixes, plainClassName } from '../../../controller/symbols/cplusplus-name.js';
import { scopesOf, withoutArguments } from '../../../controller/symbols/called.js';
import { libraryName } from '../../../controller/types/cplusplus/library-name.js';

test.each<[string, string | undefined]>([
  ['6Circle', 'Circle'],
  ['N4shop6CircleE', 'shop::Circle'],
  ['St13runtime_error', 'std::runtime_error'],
  ['NSt3__15mutexE', 'std::__1::mutex'],
  ['N12_GLOBAL__N_16HiddenE', '(anonymous namespace)::Hidden'],
  ['N4shop6CircleB5cxx11E', 'shop::Circle'],
  ['N4shop3BoxIiLi2EEE', undefined],
  ['Z4mainE5Local', undefined],
  ['NS_6CircleE', undefined],
  ['99Circle', undefined],
  ['0Circle', undefined],
  ['', undefined],
])('the class of %s is %s', (encoding, name) => {
  expect(plainClassName(encoding)).toBe(name);
});

test.each<[string, string[]]>([
  ['6Circle', ['_ZN6Circle', '_ZNK6Circle']],
  ['N4shop3BoxIiLi2EEE', ['_ZN4shop3BoxIiLi2EE', '_ZNK4shop3BoxIiLi2EE']],
  ['Z4mainE5Local', ['_ZZ4mainEN5Local', '_ZZ4mainENK5Local']],
])('names of members of %s begin with %s', (encoding, prefixes) => {
  expect(memberPrefixes(encoding)).toEqual(prefixes);
});

test.each<[string, boolean]>([
  ['4areaEv', true],
  ['D2Ev', true],
  ['C1ERKS_', true],
  ['eqERKS_', true],
  ['4areaB5cxx11Ev', true],
  ['5Inner4areaEv', false],
  ['5InnerIiE4areaEv', false],
  ['', false],
])('%s is one name: %s', (rest, expected) => {
  expect(isOneName(rest)).toBe(expected);
});

describe('names as people write them', () => {
  test.each<[string, string | undefined]>([
    ['std::vector<int, std::allocator<int> >', 'vector'],
    ['std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >', 'basic_string'],
    ['std::__1::chrono::duration<long long, std::__1::ratio<1, 1000> >', 'chrono::duration'],
    ['std::filesystem::__cxx11::path', 'filesystem::path'],
    ['std::function<void (int)>', 'function'],
    ['std::function<auto (int) -> int>', 'function'],
    ['std::vector<int>::iterator', undefined],
    ['mine::vector<int>', undefined],
    ['vector<int>', undefined],
    ['std::vector<int', undefined],
  ])('%s is %s of the library', (name, expected) => {
    expect(libraryName(name)).toBe(expected);
  });

  test('scopes of a function, innermost first', () => {
    expect(scopesOf('shop::Counter::get')).toEqual(['shop::Counter::', 'shop::']);
    expect(scopesOf('shop::(anonymous namespace)::Box<ns::T, 2>::area')).toEqual([
      'shop::(anonymous namespace)::Box<ns::T, 2>::',
      'shop::(anonymous namespace)::',
      'shop::',
    ]);
    expect(scopesOf('main')).toEqual([]);
  });

  test('templates by their bare names', () => {
    expect(withoutArguments('shop::Box<ns::T<int>, 2>::area')).toBe('shop::Box::area');
    expect(withoutArguments('shop::operator<')).toBe('shop::operator<');
    expect(withoutArguments('shop::Box<int')).toBe('shop::Box<int');
  });
});
