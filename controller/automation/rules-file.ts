/**
 * Rules files: read, parsed, checked. All that is wrong is told, each with file, line and column. Nothing here runs a rule, so that the
 * same check serves `rules check`, a start and a reload.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StillframeError } from '../../format/error.js';
import type { Rule } from './rule.js';
import { ruleFromRaw } from './rule-from-raw.js';
import { parseRawRule, type SchemaIssue } from './rule-schema.js';
import { checkTemplates } from './rule-templates.js';
import { maxFileBytes, parseYaml, type Path, type Place, type Places } from './rule-yaml.js';

export const maxFiles = 200;
export const maxRules = 500;

export interface RuleCheck {
  readonly files: readonly RuleFile[];
  /** Of files without an error, in the order of the files. */
  readonly rules: readonly Rule[];
  /** Of all files. */
  readonly errors: readonly RuleError[];
}

export interface RuleFile {
  readonly file: string;
  readonly rules: readonly Rule[];
  readonly errors: readonly RuleError[];
}

export interface RuleError {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `rules[0].when.prometheus.above`; empty where the file as a whole is meant. */
  readonly path: string;
  readonly message: string;
}

/** `FILE:LINE:COL: path: message` */
export function renderRuleError({ file, line, column, path, message }: RuleError): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** A file, or all *.yaml and *.yml of a directory. Throws `not-found`, `denied` or `system` where there is nothing to check. */
export function checkRules(path: string): RuleCheck {
  return checkTexts(listRuleFiles(path).map((file) => ({ file, ...readRuleFile(file) })));
}

/** Sorted by name. Throws as `checkRules`. */
export function listRuleFiles(path: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => /^[^.].*\.ya?ml$/.test(name))
      .toSorted()
      .map((name) => join(path, name));
  } catch (error) {
    throw readFailure(path, error);
  }
}

export type RuleText = { readonly text: string } | { readonly unreadable: string };

export function readRuleFile(file: string): RuleText {
  try {
    const descriptor = openSync(file, 'r');
    try {
      if (!fstatSync(descriptor).isFile()) return { unreadable: 'it is no regular file' };
      const bytes = Buffer.alloc(maxFileBytes + 1);
      let length = 0;
      for (let read = 1; read > 0 && length < bytes.length; length += read) {
        read = readSync(descriptor, bytes, length, bytes.length - length, null);
      }
      if (length > maxFileBytes) return { unreadable: `it has more than ${maxFileBytes / 1024} KiB` };
      return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length)) };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof TypeError) return { unreadable: 'it is not UTF-8' };
    return { unreadable: readFailure(file, error).message };
  }
}

export function checkTexts(texts: readonly ({ readonly file: string } & RuleText)[]): RuleCheck {
  const files: RuleFile[] = [];
  const standing = new Map<string, Rule>();
  for (const [i, entry] of texts.entries()) {
    const { file } = entry;
    if (i >= maxFiles || standing.size > maxRules) {
      const message = i >= maxFiles ? `more than ${maxFiles} files` : `more than ${maxRules} rules`;
      files.push({ file, rules: [], errors: [{ file, line: 1, column: 1, path: '', message }] });
      break;
    }
    const checked = checkText(entry, standing);
    if (checked.errors.length === 0) for (const rule of checked.rules) standing.set(rule.name, rule);
    files.push(checked);
  }
  return {
    files,
    rules: files.flatMap(({ rules, errors }) => (errors.length === 0 ? rules : [])),
    errors: files.flatMap(({ errors }) => errors),
  };
}

function checkText(entry: { readonly file: string } & RuleText, others: ReadonlyMap<string, Rule>): RuleFile {
  const { file } = entry;
  const errors: RuleError[] = [];
  const fail = (place: Place, path: Path, message: string): void => {
    errors.push({ file, ...place, path: pathText(path), message });
  };
  if ('unreadable' in entry) {
    fail({ line: 1, column: 1 }, [], entry.unreadable);
    return { file, rules: [], errors };
  }
  const { value, errors: syntax, places } = parseYaml(entry.text);
  for (const { place, path, message } of syntax) fail(place, path, message);
  if (errors.length > 0) return { file, rules: [], errors };

  const list = entriesOf(value, (path, message) => fail(places.ofKey(path), path, message));
  const rules: Rule[] = [];
  const names = new Map<string, Place>();
  for (const [i, item] of list.entries()) {
    const path = ['rules', i];
    noteName(item, [...path, 'name']);
    const parsed = parseRawRule(item);
    const issues = parsed.issues ?? checkTemplates(parsed.raw);
    for (const issue of issues) fail(placeOf(places, path, issue), [...path, ...issue.path], issue.message);
    if (parsed.issues === undefined) {
      rules.push(ruleFromRaw(parsed.raw, { file, line: places.of(path).line }));
    }
  }
  return { file, rules, errors: errors.toSorted((a, b) => a.line - b.line || a.column - b.column) };

  /** Also where the rest of the rule is wrong. */
  function noteName(item: unknown, path: Path): void {
    const name: unknown = isMap(item) ? item['name'] : undefined;
    if (typeof name !== 'string') return;
    const place = places.of(path);
    const other = others.get(name);
    const before = names.get(name) ?? (other === undefined ? undefined : { line: other.line });
    names.set(name, place);
    if (before === undefined) return;
    fail(place, path, `another rule is named "${name}": ${other?.file ?? file}:${before.line}`);
  }
}

function entriesOf(value: unknown, fail: (path: Path, message: string) => void): readonly unknown[] {
  if (!isMap(value)) {
    fail(
      [],
      value === undefined || value === null ? 'the file is empty: it needs "rules"' : 'must hold "rules"',
    );
    return [];
  }
  for (const key of Object.keys(value)) {
    if (key !== 'rules') fail([key], 'there is no such key: a rules file has only "rules"');
  }
  const { rules } = value;
  if (Array.isArray(rules)) {
    if (rules.length > maxRules) fail(['rules'], `more than ${maxRules} rules`);
    return rules.slice(0, maxRules);
  }
  if (!('rules' in value)) fail([], 'the file needs "rules"');
  else fail(['rules'], 'must be a list of rules');
  return [];
}

const isMap = (value: unknown): value is Record<string, unknown> & { readonly rules?: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function placeOf(places: Places, path: Path, issue: SchemaIssue): Place {
  const whole = [...path, ...issue.path];
  if (issue.atKey) return places.ofKey(whole);
  return issue.position === undefined ? places.of(whole) : places.within(whole, issue.position);
}

function pathText(path: Path): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${part}`))
    .join('');
}

function readFailure(path: string, error: unknown): StillframeError {
  const errno = (error as NodeJS.ErrnoException).code;
  const detail = { file: path, ...(errno === undefined ? {} : { errnoName: errno }) };
  if (errno === 'ENOENT') {
    return new StillframeError('not-found', `cannot read rules: there is no "${path}"`, { detail });
  }
  const code = errno === 'EACCES' || errno === 'EPERM' ? 'denied' : 'system';
  const reason = error instanceof Error ? error.message : String(error);
  return new StillframeError(code, `cannot read rules "${path}": ${reason}`, { detail, cause: error });
}
