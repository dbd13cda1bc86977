/** Programs in other languages than C, for tests of their debug information. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { keepFirst, writeWhole } from './keep-first.js';
import { cacheFolder } from './paths.js';

export interface Toolchain {
  readonly command: string;
  readonly extension: string;
  /** All arguments, given the source and the program. */
  readonly args: (source: string, program: string) => readonly string[];
}

export const rustc = (...flags: readonly string[]): Toolchain => ({
  command: 'rustc',
  extension: 'rs',
  args: (source, program) => ['-g', ...flags, '-o', program, source],
});

export const go = (...flags: readonly string[]): Toolchain => ({
  command: 'go',
  extension: 'go',
  args: (source, program) => ['build', ...flags, '-o', program, source],
});

export const cplusplus = (command: 'g++' | 'clang++', ...flags: readonly string[]): Toolchain => ({
  command,
  extension: 'cc',
  args: (source, program) => ['-g', ...flags, '-o', program, source],
});

/** Compiles source to a program and gives its path; kept by the hash of source and arguments. */
export function compileNative(source: string, name: string, toolchain: Toolchain): string {
  const { command, extension, args } = toolchain;
  const hash = createHash('sha256')
    .update(JSON.stringify([source, name, command, args('', '')]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder, 'native', hash);
  const program = join(folder, name);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.${extension}`);
  writeWhole(file, source);
  // NB: rustc names object files after the crate, and puts them where the program goes.
  const own = join(folder, String(process.pid));
  mkdirSync(own, { recursive: true });
  const unfinished = join(own, name);
  execFileSync(command, args(file, unfinished), {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, GOCACHE: join(cacheFolder, 'go'), GOFLAGS: '', HOME: homedir() },
  });
  keepFirst(unfinished, program);
  rmSync(own, { recursive: true });
  return program;
}
