/** What gdb shows of `rust-values`, with and without rustc's providers, and our documents in the same form: the leaves of each variable. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ValueDocument, VariableDocument } from '../../controller/types/value-document.js';
import { repositoryRoot } from './paths.js';
import type { RustRun } from './rust-program.js';

export type Leaves = readonly string[];
/** Why gdb gave none. */
export interface GdbRefusal {
  readonly error: string;
}

/** By `family::name`. */
export function gdbLeaves(
  run: RustRun,
  how: 'providers' | 'raw',
): Readonly<Record<string, Leaves | GdbRefusal>> {
  const dump = join(dirname(run.core), `gdb-${how}.json`);
  const script = join(repositoryRoot, 'test', 'support', 'rust-gdb.py');
  const commands = ['-ex', `set $dump="${dump}"`, '-x', script];
  execFileSync(
    how === 'providers' ? 'rust-gdb' : 'gdb',
    ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off', ...commands, run.program, run.core],
    { stdio: 'ignore' },
  );
  return JSON.parse(readFileSync(dump, 'utf8')) as Record<string, Leaves | GdbRefusal>;
}

/** Pointers that are declared are not followed; those that own an object are, and what they tell of it comes last. */
export function leavesOf(document: ValueDocument): string[] {
  const { kind, value, text, fields, elements, target } = document;
  if (document.absent !== undefined) return [`absent ${document.absent.reason}`];
  if (kind === 'string') return [`text ${text ?? ''}`];
  if (kind === 'enum') return [`variant ${text ?? value ?? ''}`];
  if (kind === 'pointer') {
    const facts = factsIn(text);
    if (facts === undefined || target === undefined) return [`pointer ${value ?? ''}`];
    return [...leavesOf(target), ...facts];
  }
  const facts = kind === 'variant' ? undefined : factsIn(text);
  if (value !== undefined) {
    const shown = kind === 'float' ? `${Number(value)}` : value;
    return [shown, ...(facts ?? [])];
  }
  if (kind === 'variant') {
    const [held] = fields ?? [];
    if (held === undefined) return [`variant ${text ?? ''}`];
    return [`variant ${held.name}`, ...leavesOf(held)];
  }
  const inner = (fields ?? elements ?? []).flatMap((each) => {
    const name = fields === undefined ? '' : (each as VariableDocument).name;
    const isVariant = name !== '' && each.type === `${document.type}::${name}`;
    return [...(isVariant ? [`variant ${name}`] : []), ...leavesOf(each)];
  });
  return [...inner, ...(facts ?? [])];
}

/** The numbers of `{strong=2, weak=1}`. A cell's two are one in the library: writers are counted downwards. */
function factsIn(text: string | undefined): string[] | undefined {
  const facts = /\{(?<facts>\w+=[^}]*)\}$/.exec(text ?? '')?.groups?.['facts'];
  if (facts === undefined) return undefined;
  const numbers = new Map(
    facts.split(', ').map((fact) => {
      const [name = '', number = ''] = fact.split('=');
      return [name, number] as const;
    }),
  );
  const borrowed = numbers.get('borrow');
  if (borrowed === undefined) return [...numbers.values()];
  return [`${Number(borrowed) - Number(numbers.get('borrow_mut') ?? 0)}`];
}

/** gdb's floats are Python's. */
export const normalised = (leaves: Leaves): Leaves =>
  leaves.map((leaf) => (/^-?\d+\.\d+(?:e[+-]\d+)?$/.test(leaf) ? `${Number(leaf)}` : leaf));
