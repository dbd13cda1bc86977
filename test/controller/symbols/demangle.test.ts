import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { demangled } from '../../../controller/symbols/demangle.js';

test.each([
  ['_ZN4shop5OrderC1Ev', 'shop::Order::Order()'],
  ['_Znwm', 'operator new(unsigned long)'],
  ['_ZNSolsEi', 'std::ostream::operator<<(int)'],
  ['_ZNSt6vectorIiSaIiEE9push_backEOi', 'std::vector<int, std::allocator<int> >::push_back(int&&)'],
  ['_ZNK4shop5Order5totalEv', 'shop::Order::total() const'],
  ['_ZN4core3fmt5write17h1234567890abcdefE', 'core::fmt::write'],
  ['_RNvCs1234_7mycrate3foo', 'mycrate::foo'],
  ['plain', 'plain'],
  ['main.(*Server).handle', 'main.(*Server).handle'],
  ['_Zbad', '_Zbad'],
  ['_R', '_R'],
])('%s', (name, wanted) => expect(demangled(name)).toBe(wanted));

test('whatever it is given, it ends soon and gives a text that is no longer than is sane', () => {
  const seeds = [
    '_ZNSt6vectorIiSaIiEE9push_backEOi',
    '_RNvCs1234_7mycrate3foo',
    '_ZN4core3fmt5write17h1234567890abcdefE',
  ];
  const pieces = fc.constantFrom(
    'I',
    'E',
    'S_',
    'S0_',
    'T_',
    'N',
    'St',
    '3foo',
    'P',
    'R',
    'F',
    'v',
    'J',
    'Dp',
    'X',
    '9',
    '99',
    'B_',
    'K',
  );
  const name = fc
    .tuple(fc.constantFrom(...seeds), fc.nat({ max: 40 }), fc.array(pieces, { maxLength: 60 }))
    .map(([seed, cut, rest]) => `${seed.slice(0, 2 + cut)}${rest.join('')}`);
  fc.assert(
    fc.property(name, (text) => {
      expect(demangled(text).length).toBeLessThanOrEqual(16 * 1024);
    }),
    { numRuns: 3000 },
  );
  // Nested deeper than its stack.
  for (const deep of ['P', 'I', 'N', 'F', 'Dp', 'S_'])
    expect(demangled(`_Z1f${deep.repeat(1500)}`)).toBeTypeOf('string');
  expect(demangled(`_Z${'1a'.repeat(4000)}`)).toHaveLength(8002);
  expect(demangled('_ZN4shop5OrderC1Ev')).toBe('shop::Order::Order()');
});
