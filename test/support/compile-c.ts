import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { keepFirst, writeWhole } from './keep-first.js';
import { cacheFolder } from './paths.js';

export interface CompileOptions {
  /** The program's file name, and so its comm. */
  readonly name: string;
  /** gcc's flags; `-g -O1` unless told. */
  readonly flags?: readonly string[];
  readonly compiler?: string;
}

/** Compiles C source to a program and gives its path; cached by the hash of source and flags, safe under several workers. */
export function compileC(source: string, options: CompileOptions): string {
  const { name, flags = ['-g', '-O1'], compiler = 'gcc' } = options;
  const hash = createHash('sha256')
    .update(JSON.stringify([source, flags, compiler]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder, 'programs', hash);
  const program = join(folder, name);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.c`);
  writeWhole(file, source);
  const unfinished = `${program}.${process.pid}`;
  execFileSync(compiler, [...flags, '-pthread', '-o', unfinished, file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  keepFirst(unfinished, program);
  return program;
}
