import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { starsOf } from '../../../controller/automation/glob.js';
import { fillTemplate, parseTemplate, type Use } from '../../../controller/automation/template.js';

const allow = new Map([
  ['job', ['checkout', 'cart-*', 'gate*@edge']],
  ['any', ['*']],
  ['annotations.capture', ['order->id', 'total *']],
]);

function fill(text: string, labels: Record<string, string>, use: Use = 'target'): string {
  const annotations = { capture: labels['capture'] ?? 'order->id' };
  const filled = fillTemplate(text, use, { labels, annotations }, allow);
  return 'text' in filled ? `= ${filled.text}` : filled.refusal;
}

describe('what is filled in', () => {
  test.each([
    ['service:{{ labels.job }}', { job: 'checkout' }, '= service:checkout'],
    ['service:{{labels.job}}', { job: 'cart-eu.1' }, '= service:cart-eu.1'],
    ['name:{{ labels.any }}@{{ labels.job }}', { job: 'cart-', any: 'a/b:c_d' }, '= name:a/b:c_d@cart-'],
    ['name:x', {}, '= name:x'],
    ['name:}}', {}, '= name:}}'],
    ['service:{{ labels.job }}', { job: 'gate1@edge' }, '= service:gate1@edge'],
  ])('%s with %j', (text, labels, filled) => {
    expect(fill(text, labels as Record<string, string>)).toBe(filled);
  });
});

describe('what is refused', () => {
  test.each<[string, Record<string, string>, string]>([
    [
      'a value that allow does not have',
      { job: 'payment' },
      'label "job" is "payment", which allow does not have',
    ],
    [
      'a value with more before',
      { job: 'xcheckout' },
      'label "job" is "xcheckout", which allow does not have',
    ],
    [
      'a value with more behind',
      { job: 'checkout2' },
      'label "job" is "checkout2", which allow does not have',
    ],
    ['another case', { job: 'Checkout' }, 'label "job" is "Checkout", which allow does not have'],
    [
      'a star itself',
      { job: 'cart-*' },
      'label "job" is "cart-*": only letters, digits and . _ : / @ - may stand in a target',
    ],
    ['another host', { job: 'cart-a@evil' }, 'label "job" is "cart-a@evil", which allow does not have'],
    [
      'a host in the star before the host',
      { job: 'gate@evil@edge' },
      'label "job" is "gate@evil@edge", which allow does not have',
    ],
    [
      'a shell',
      { job: 'cart-$(id)' },
      'label "job" is "cart-$(id)": only letters, digits and . _ : / @ - may stand in a target',
    ],
    [
      'a space',
      { job: 'cart- x' },
      'label "job" is "cart- x": only letters, digits and . _ : / @ - may stand in a target',
    ],
    [
      'a line feed at the end',
      { job: 'checkout\n' },
      'label "job" is "checkout\\n": only letters, digits and . _ : / @ - may stand in a target',
    ],
    [
      'a NUL',
      { job: 'cart-\0' },
      'label "job" is "cart-\\u0000": only letters, digits and . _ : / @ - may stand in a target',
    ],
    [
      'a letter of another script',
      { job: 'cart-а' },
      'label "job" is "cart-а": only letters, digits and . _ : / @ - may stand in a target',
    ],
    [
      'a template',
      { job: 'cart-{{ labels.any }}' },
      'label "job" is "cart-{{ labels.any }}": only letters, digits and . _ : / @ - may stand in a target',
    ],
    ['nothing', { job: '' }, 'label "job" is empty'],
    ['no such label', {}, 'there is no label "job"'],
    [
      'a long value',
      { job: `cart-${'x'.repeat(124)}` },
      `label "job" is "cart-${'x'.repeat(55)}…": it has 129 characters, at most 128 may stand in a target`,
    ],
  ])('%s', (_, labels, refusal) => {
    expect(fill('service:{{ labels.job }}', labels)).toBe(refusal);
  });

  test('a label that only a prototype has', () => {
    expect(
      fillTemplate('{{ labels.constructor }}', 'target', { labels: {}, annotations: {} }, allow),
    ).toEqual({
      refusal: 'there is no label "constructor"',
    });
  });

  test('in an expression, whatever no entry spells out', () => {
    expect(fill('{{ annotations.capture }}', { capture: 'order->id' }, 'expression')).toBe('= order->id');
    // An entry with a star allows nothing here, not even itself.
    for (const capture of ['total x', 'total *', 'order->secret']) {
      expect(fill('{{ annotations.capture }}', { capture }, 'expression')).toBe(
        `annotation "capture" is "${capture}", which no entry of allow spells out`,
      );
    }
    expect(fill('{{ labels.any }}', { any: 'x' }, 'expression')).toBe(
      'label "any" is "x", which no entry of allow spells out',
    );
  });
});

test.each([
  ['{{', 0],
  ['a{{}}', 1],
  ['{{ labels }}', 0],
  ['{{ labels.a.b }}', 0],
  ['{{ labels.a-b }}', 0],
  ['{{ env.HOME }}', 0],
  ['{{ labels.a }} {{labels . b}}', 15],
  ['{{{ labels.a }}}', 0],
  ['{{ labels.a }', 0],
  ['{{ labels.a + 1 }}', 0],
])('%s is no template', (text, position) => {
  expect(parseTemplate(text)).toEqual({
    position,
    message: 'a template is {{ labels.NAME }} or {{ annotations.NAME }}',
  });
});

describe('properties', () => {
  const value = fc.string({
    unit: fc.constantFrom('a', 'b', '@', ' ', '*', '{', '}', ';', '\n', '/'),
    maxLength: 12,
  });

  test('a target never has a character of a value that a target cannot have, nor a host that allow does not spell', () => {
    fc.assert(
      fc.property(value, (job) => {
        const labels = { job, any: job };
        const filled = fillTemplate('n:{{ labels.any }}', 'target', { labels, annotations: {} }, allow);
        if ('text' in filled) expect(filled.text).toMatch(/^n:[A-Za-z0-9._:/-]+$/);
      }),
    );
  });

  test('a pattern fits what a regular expression would fit', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
    fc.assert(
      fc.property(pattern, text, (glob, candidate) => {
        const expected = new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(candidate);
        expect(starsOf(glob, candidate) !== undefined).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});
