import { describe, expect, test } from 'vitest';
import {
  collapseRecursion,
  signatureOf,
  type SignatureFrame,
} from '../../../controller/automation/stack-signature.js';

/** One letter a frame. */
const frames = (letters: string): SignatureFrame[] =>
  letters.split('').map((letter) => ({ key: letter, text: letter }));
const collapse = (letters: string): string =>
  collapseRecursion(frames(letters))
    .map(({ key }) => key)
    .join('');

describe('recursion', () => {
  test.each([
    ['', ''],
    ['abc', 'abc'],
    ['abbc', 'abc'],
    ['abbbbbc', 'abc'],
    // In rounds of two and three.
    ['xababm', 'xabm'],
    ['xabababm', 'xabm'],
    ['xabcabcm', 'xabcm'],
    // A round with a round in it.
    ['xaabaabm', 'xabm'],
    ['xaabm', 'xabm'],
    // Frames that come again later are no round.
    ['abcba', 'abcba'],
    ['abxab', 'abxab'],
    // A round longer than is looked for stays as it is.
    ['abcdefghiabcdefghi', 'abcdefghiabcdefghi'],
    ['abcdefghabcdefgh', 'abcdefgh'],
    ['ababa', 'aba'],
  ])('%s is %s', (letters, expected) => {
    expect(collapse(letters)).toBe(expected);
  });

  test('ten thousand frames are done at once', () => {
    const deep = 'ab'.repeat(5000);
    const before = performance.now();
    expect(collapse(`x${deep}m`)).toBe('xabm');
    expect(performance.now() - before).toBeLessThan(10_000);
  });
});

describe('a signature', () => {
  test('is equal for equal frames, whatever their text', () => {
    const a = signatureOf([{ key: 'k', text: 'one' }], undefined);
    const b = signatureOf([{ key: 'k', text: 'two' }], undefined);
    expect(a.key).toBe(b.key);
    expect(a.key).toMatch(/^[0-9a-f]{32}$/);
    expect(a.frames).toEqual(['one']);
  });

  test.each([
    ['another frame', signatureOf(frames('abc'), undefined), signatureOf(frames('abd'), undefined)],
    ['another order', signatureOf(frames('ab'), undefined), signatureOf(frames('ba'), undefined)],
    ['one that breaks off', signatureOf(frames('ab'), undefined), signatureOf(frames('ab'), '(not known)')],
    [
      'frames that read as one',
      signatureOf([{ key: 'ab', text: '' }], undefined),
      signatureOf(frames('ab'), undefined),
    ],
  ])('differs for %s', (_, a, b) => {
    expect(a.key).not.toBe(b.key);
  });

  test('holds the innermost frames of a deep stack, and says that there are more', () => {
    const letters = Array.from({ length: 100 }, (_, i) => ({ key: `f${i}`, text: `f${i}` }));
    const { frames: kept } = signatureOf(letters, '(the callers are not known: not captured)');
    expect(kept).toHaveLength(65);
    expect(kept[63]).toBe('f63');
    expect(kept[64]).toBe('(the outer frames of more than 64)');
  });

  test('says why the callers are not known', () => {
    expect(signatureOf(frames('ab'), '(the callers are not known: limit)').frames).toEqual([
      'a',
      'b',
      '(the callers are not known: limit)',
    ]);
  });
});
