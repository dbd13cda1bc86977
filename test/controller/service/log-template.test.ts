import { expect, test } from 'vitest';
import { lineText, parseTemplate } from '../../../controller/service/log-template.js';
import type { ValueDocument } from '../../../controller/types/value-document.js';
import { thrown } from '../../support/thrown.js';

const of = (expression: string, format?: string): object => ({ expression, format });

test.each<[string, object[]]>([
  ['plain', [{ text: 'plain' }]],
  ['', []],
  ['a {x} b', [{ text: 'a ' }, of('x'), { text: ' b' }]],
  ['{x}{y:x}', [of('x'), of('y', 'x')]],
  ['{{{x}}}', [{ text: '{' }, of('x'), { text: '}' }]],
  ['{a::b}', [of('a::b')]],
  ['{a::b:d}', [of('a::b', 'd')]],
  ['{a ? b :c}', [of('a ? b :c')]],
  ['{m["}"]}', [of('m["}"]')]],
  [String.raw`{c == '\''}`, [of(String.raw`c == '\''`)]],
  ['{x:q}', [of('x:q')]],
])('%s', (template, parts) => {
  expect(parseTemplate(template)).toEqual(parts);
});

test.each([
  ['a {x', 'usage: a { without a } in "a {x"'],
  ['a } b', 'usage: a } without a { in "a } b"'],
  ['{ }', 'usage: a {} without an expression in a log line'],
  ['{x}'.repeat(33), 'usage: a log line has at most 32 expressions'],
  ['x'.repeat(4097), 'usage: the text of a log line has at most 4096 characters'],
])('refuses %s', (template, message) => {
  expect(thrown(() => parseTemplate(template))).toBe(message);
});

const absent = { reason: 'not-captured', detail: 'memory at 0x10 was not captured' } as const;

test.each<[ValueDocument, string]>([
  [{ type: 'int', kind: 'int', value: '3' }, '3'],
  [{ type: 'enum e', kind: 'enum', value: '3', text: 'RED' }, 'RED'],
  [{ type: 'string', kind: 'string', text: 'a "b"' }, 'a "b"'],
  [
    { type: 'char *', kind: 'pointer', value: '0x1', text: 'ab', target: { type: 'char', kind: 'char' } },
    'ab',
  ],
  [{ type: 'char *', kind: 'pointer', value: '0x0' }, 'NULL'],
  [{ type: 'int', kind: 'int', absent }, '<memory at 0x10 was not captured>'],
  [{ type: 'string', kind: 'string', text: 'ab', absent }, 'ab<memory at 0x10 was not captured>'],
  [{ type: 's', kind: 'struct', fields: [{ name: 'a', type: 'int', kind: 'int', value: '1' }] }, '{a=1}'],
])('the text of %j', (value, text) => {
  expect(lineText(value)).toBe(text);
});
