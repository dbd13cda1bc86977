/** What gdb says of a core: the other opinion in tests of unwinding and values. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from './paths.js';

export interface GdbValue {
  readonly value?: string;
  /** As gdb prints it: 9, 17, 18 or 36 digits. */
  readonly float?: string;
  readonly complex?: string;
  /** An enumeration as gdb prints it. */
  readonly enumerator?: string;
  readonly fields?: readonly (readonly [string | null, GdbValue])[];
  readonly elements?: readonly GdbValue[];
  readonly length?: number;
  /** Of a function, and of a pointer to one: `name` or `name+12`; null when gdb knows none. */
  readonly function?: string | null;
  /** What a pointer to characters leads to, up to NUL; `cut` when there was none. */
  readonly string?: { readonly bytes: string; readonly cut?: boolean };
  readonly target?: GdbValue;
  readonly void?: boolean;
  readonly absent?: string;
  /** What the script does not compare, and why. */
  readonly skipped?: string;
}

export interface GdbLocal {
  readonly name: string;
  readonly parameter: boolean;
  readonly shadowed: boolean;
  /** Null where gdb writes out the members of an anonymous type. */
  readonly type: string | null;
  readonly value: GdbValue;
}

export interface GdbFrame {
  readonly kind: 'normal' | 'inline' | 'signal' | 'tailcall' | 'other';
  readonly pc: string;
  readonly function: string | null;
  readonly file?: string;
  readonly line?: number;
  readonly registers: Readonly<Record<string, string>>;
  readonly locals: readonly GdbLocal[];
  /** With `more`: the globals of its file, where no inner frame had that file; and answers to expressions. */
  readonly globals?: readonly GdbLocal[];
  readonly expressions?: readonly (readonly [string, GdbValue])[];
}

export interface GdbThread {
  readonly tid: number;
  readonly frames: readonly GdbFrame[];
}

export interface GdbOptions {
  /** How many pointers are followed. */
  readonly depth?: number;
  /** Globals and expressions too. */
  readonly more?: boolean;
  /** Where separate debug files are; without it none are looked for. */
  readonly debugDirectory?: string;
  /** Callers of `main` too. */
  readonly pastMain?: boolean;
  /** For cores of other machines: `gdb-multiarch`. */
  readonly gdb?: string;
  readonly sysroot?: string;
}

/**
 * Threads of a core as gdb sees them: to `main`, unless `pastMain`. It is kept from separate debug files but those asked for, so that
 * it knows what the program itself carries.
 */
export function gdbThreads(program: string, core: string, options: GdbOptions = {}): readonly GdbThread[] {
  const { gdb = 'gdb', sysroot } = options;
  const folder = mkdtempSync(join(tmpdir(), 'gdb-'));
  try {
    const out = join(folder, 'dump.json');
    const settings = [
      'set debuginfod enabled off',
      `set debug-file-directory ${options.debugDirectory ?? '/nonexistent'}`,
      ...(options.pastMain === true ? ['set backtrace past-main on', 'set backtrace past-entry on'] : []),
      'set print frame-arguments none',
      'set print entry-values no',
      'set print elements 4',
      `set $depth = ${options.depth ?? 0}`,
      `set $more = ${options.more === true ? 1 : 0}`,
      `set $dump = "${out}"`,
      ...(sysroot === undefined ? [] : [`set sysroot ${sysroot}`]),
    ];
    const script = join(repositoryRoot, 'test', 'support', 'gdb-dump.py');
    const args = ['-q', '-nx', '-batch', ...settings.flatMap((each) => ['-iex', each]), program, core];
    const run = spawnSync(gdb, [...args, '-x', script], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      timeout: 120_000,
    });
    if (!existsSync(out))
      throw new Error(`gdb gave no threads: ${run.stdout.slice(-500)}${run.stderr.slice(-1000)}`);
    const dump: unknown = JSON.parse(readFileSync(out, 'utf8'));
    if (!isDump(dump)) throw new Error(`gdb gave no threads: ${run.stderr}`);
    return dump.threads;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isDump(dump: unknown): dump is { readonly threads: readonly GdbThread[] } {
  return typeof dump === 'object' && dump !== null && 'threads' in dump && Array.isArray(dump.threads);
}
