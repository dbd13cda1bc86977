/** Which files' lines may be watched; a value, so that the thread that reads them can be given it. */
import { patternOf } from './pattern.js';

export interface LogFileRule {
  /** As refusals call it: `policy "/etc/stillframe.json"`. */
  readonly name: string;
  /** Of real paths, `*` for any characters. Undefined: all of them. */
  readonly patterns: readonly string[] | undefined;
}

/** Why lines of the file may not be watched; undefined where they may. `path`: as it is when all symbolic links are followed. */
export function logFileRefusal({ name, patterns }: LogFileRule, path: string): string | undefined {
  if (patterns === undefined || patterns.some((pattern) => patternOf(pattern).test(path))) return undefined;
  return `${name} does not allow "${path}" (not in logFiles)`;
}
