/** What gdb says of a core: the other opinion in tests of unwinding and values. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from './paths.js';

export interface GdbValue {
  readonly value?: string;
  readonly float?: string;
  readonly fields?: readonly (readonly [string | null, GdbValue])[];
  readonly elements?: readonly GdbValue[];
  readonly length?: number;
  readonly absent?: string;
  readonly skipped?: boolean;
}

export interface GdbLocal {
  readonly name: string;
  readonly parameter: boolean;
  readonly shadowed: boolean;
  readonly type: string;
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
}

export interface GdbThread {
  readonly tid: number;
  readonly frames: readonly GdbFrame[];
}

export interface GdbOptions {
  /** For cores of other machines: `gdb-multiarch`. */
  readonly gdb?: string;
  readonly sysroot?: string;
}

/** Threads of a core as gdb sees them. It is kept from separate debug files, so that it knows what the program itself carries. */
export function gdbThreads(
  program: string,
  core: string,
  { gdb = 'gdb', sysroot }: GdbOptions = {},
): readonly GdbThread[] {
  const folder = mkdtempSync(join(tmpdir(), 'gdb-'));
  try {
    const out = join(folder, 'dump.json');
    const settings = [
      'set debuginfod enabled off',
      'set debug-file-directory /nonexistent',
      'set backtrace past-main on',
      'set backtrace past-entry on',
      'set print frame-arguments none',
      'set print entry-values no',
      `set $dump = "${out}"`,
      ...(sysroot === undefined ? [] : [`set sysroot ${sysroot}`]),
    ];
    const script = join(repositoryRoot, 'test', 'support', 'gdb-dump.py');
    const args = ['-q', '-nx', '-batch', ...settings.flatMap((each) => ['-iex', each]), program, core];
    const run = spawnSync(gdb, [...args, '-x', script], { encoding: 'utf8', maxBuffer: 1 << 28 });
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
