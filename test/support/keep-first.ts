/** Files of a cache that several test files make at the same time. */
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Gives what was made its name, unless another was quicker: nothing takes the place of a program that runs somewhere already.
 */
export function keepFirst(made: string, kept: string): void {
  try {
    linkSync(made, kept);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  rmSync(made);
}

/** Whole at every moment: another test's compiler may be reading it. */
export function writeWhole(path: string, text: string): void {
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, text);
  renameSync(unfinished, path);
}
