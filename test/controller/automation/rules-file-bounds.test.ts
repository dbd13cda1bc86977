import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkRules, checkTexts, renderRuleError } from '../../../controller/automation/rules-file.js';
import { maxFileBytes } from '../../../controller/automation/rule-yaml.js';
import { thrown } from '../../support/thrown.js';
import { errorsOf, rule } from './rule-text.js';

describe('bounds', () => {
  test.each([
    ['brackets', 'rules: '.padEnd(100_000, '[')],
    ['lists in a line', '- '.repeat(50_000)],
    ['keys in a line', '? '.repeat(50_000)],
    ['maps', '{a: '.repeat(25_000)],
  ])('%s without end are refused, and quickly', (_, text) => {
    const started = performance.now();
    expect(errorsOf(text)).toEqual([expect.stringMatching(/^r\.yaml:1:\d+: nested deeper than 24 levels$/)]);
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  test('aliases that multiply are refused', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 20; i++)
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    const errors = errorsOf(`${lines.join('\n')}\nrules: []\n`);
    expect(errors).toEqual([expect.stringMatching(/^r\.yaml:\d+:\d+: a\d+\[.*: more than 100 aliases$/)]);
  });

  test('an alias shares a part', () => {
    const second = '  - { name: b, when: { manual: {} }, where: name:y, what: [now: {}], limits: *l }\n';
    const text = rule({ rest: 'limits: &l { per-day: 2 }' }) + second;
    const { rules, errors } = checkTexts([{ file: 'r.yaml', text }]);
    expect(errors).toEqual([]);
    expect(rules.map(({ limits: { perDay } }) => perDay)).toEqual([2, 2]);
  });

  test('a wrong part is told where the alias stands', () => {
    const second = '  - { name: b, when: { manual: {} }, where: name:y, what: [now: {}], limits: *l }\n';
    const text = rule({ rest: 'limits: &l { per-day: 0 }' }) + second;
    expect(errorsOf(text)).toEqual([
      'r.yaml:6:27: rules[0].limits.per-day: must be a whole number from 1 to 1000',
      'r.yaml:6:27: rules[1].limits.per-day: must be a whole number from 1 to 1000',
    ]);
  });

  test('too many rules', () => {
    const one = (i: number): string =>
      `  - { name: r${i}, when: { manual: {} }, where: name:y, what: [now: {}] }\n`;
    const many = `rules:\n${Array.from({ length: 501 }, (_, i) => one(i)).join('')}`;
    expect(errorsOf(many)).toEqual(['r.yaml:1:1: rules: more than 500 rules']);
  });

  test('keys that mean something to JavaScript mean nothing here', () => {
    expect(errorsOf(rule({ rest: '__proto__: { enabled: false }' }))).toEqual([
      expect.stringContaining('rules[0].__proto__: there is no such key'),
    ]);
    expect(errorsOf(rule({ where: "'name:{{ labels.constructor }}'" }))).toEqual([
      'r.yaml:4:12: rules[0].where: "constructor" needs an entry in allow, which says what may be filled in',
    ]);
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stillframe-rules-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const put = (name: string, text: string | Uint8Array): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const check = (path = folder): string[] =>
    checkRules(path).errors.map((error) => renderRuleError(error).replaceAll(folder, 'DIR'));

  test('all of a directory, sorted; hidden ones and others are left alone', () => {
    put('b.yaml', rule({ name: 'b' }));
    put('a.yml', rule({ name: 'a' }));
    put('.hidden.yaml', 'x: [');
    put('notes.txt', 'x: [');
    put('c.yaml~', 'x: [');
    expect(
      checkRules(folder).rules.map(({ name, file, line }) => [name, file.slice(folder.length), line]),
    ).toEqual([
      ['a', '/a.yml', 2],
      ['b', '/b.yaml', 2],
    ]);
  });

  test('a name that two files use', () => {
    put('a.yaml', rule());
    put('b.yaml', `\n${rule()}`);
    expect(check()).toEqual([
      'DIR/b.yaml:3:11: rules[0].name: another rule is named "checkout": DIR/a.yaml:2',
    ]);
    expect(checkRules(folder).rules.map(({ file }) => file)).toEqual([join(folder, 'a.yaml')]);
  });

  test('a file with an error does not cost the others', () => {
    put('a.yaml', 'rules: 5\n');
    put('b.yaml', rule());
    expect(check()).toEqual(['DIR/a.yaml:1:1: rules: must be a list of rules']);
    expect(checkRules(folder).rules.map(({ name }) => name)).toEqual(['checkout']);
  });

  test('what cannot be read', () => {
    const big = put('big.yaml', `rules: []\n${'#'.repeat(maxFileBytes)}`);
    expect(check(big)).toEqual(['DIR/big.yaml:1:1: it has more than 128 KiB']);
    expect(check(put('latin.yaml', Uint8Array.of(0x23, 0xe4, 0x0a)))).toEqual([
      'DIR/latin.yaml:1:1: it is not UTF-8',
    ]);
    mkdirSync(join(folder, 'd.yaml'));
    rmSync(big);
    rmSync(join(folder, 'latin.yaml'));
    expect(check()).toEqual(['DIR/d.yaml:1:1: it is no regular file']);
    const missing = join(folder, 'missing.yaml');
    expect(thrown(() => checkRules(missing))).toBe(`not-found: cannot read rules: there is no "${missing}"`);
  });
});
