/** What gdb says of a program's symbols: the other opinion in tests of debug information. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from './paths.js';

export interface GdbScope {
  readonly file: string | null;
  readonly line: number;
  /** Innermost inlined function first; names in the order of gdb's tables, which is not that of the source. */
  readonly levels: readonly {
    readonly function: string;
    readonly variables: readonly (readonly [name: string, isParameter: boolean])[];
  }[];
}

export interface GdbLayout {
  readonly size: number;
  /** Name, bit position (an enumerator's value), size in bits of bit fields. */
  readonly fields: readonly (readonly [name: string | null, at: number, bitSize: number])[];
}

/** Addresses of `break SPEC`, or gdb's message. */
export function gdbBreakpoints(
  program: string,
  specs: readonly string[],
): Readonly<Record<string, readonly number[] | string>> {
  return ask(program, 'breakpoints', specs) as Record<string, readonly number[] | string>;
}

export function gdbScopes(program: string, addresses: readonly bigint[]): readonly GdbScope[] {
  return ask(program, 'scopes', addresses.map(Number)) as GdbScope[];
}

export function gdbLayouts(
  program: string,
  names: readonly string[],
): Readonly<Record<string, GdbLayout | string>> {
  return ask(program, 'layouts', names) as Record<string, GdbLayout | string>;
}

function ask(program: string, kind: string, items: readonly unknown[]): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'gdb-symbols-'));
  try {
    const question = join(folder, 'ask.json');
    const answer = join(folder, 'answer.json');
    writeFileSync(question, JSON.stringify({ kind, items }));
    const settings = [
      'set debuginfod enabled off',
      'set debug-file-directory /nonexistent',
      `set $ask = "${question}"`,
      `set $answer = "${answer}"`,
    ];
    const script = join(repositoryRoot, 'test', 'support', 'gdb-symbols.py');
    const args = [
      '-q',
      '-nx',
      '-batch',
      ...settings.flatMap((each) => ['-iex', each]),
      program,
      '-x',
      script,
    ];
    const run = spawnSync('gdb', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
    try {
      return JSON.parse(readFileSync(answer, 'utf8'));
    } catch {
      throw new Error(`gdb gave no answer: ${run.stderr}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
