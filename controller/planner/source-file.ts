/** Source files by the end of their path. */
import { nearMatches } from '../expression/near-match.js';

export interface FoundFile {
  readonly found?: string;
  /** More than one fits. */
  readonly ambiguous: readonly string[];
  /** None fits; these nearly do. */
  readonly near: readonly string[];
}

/** The file whose path is `wanted` or ends with it; of several, those with code count. */
export function findFile(
  files: readonly string[],
  wanted: string,
  hasCode: (file: string) => boolean,
): FoundFile {
  const suffix = wanted.replace(/^(\.\/)+/, '');
  const exact = files.find((file) => file === wanted);
  if (exact !== undefined) return { found: exact, ambiguous: [], near: [] };
  let fitting = [...new Set(files.filter((file) => file.endsWith(`/${suffix}`) || file === suffix))];
  if (fitting.length > 1) {
    const withCode = fitting.filter((file) => hasCode(file));
    if (withCode.length > 0) fitting = withCode;
  }
  const [only, ...more] = fitting;
  if (only !== undefined && more.length === 0) return { found: only, ambiguous: [], near: [] };
  const names = files.map((file) => file.slice(file.lastIndexOf('/') + 1));
  const near = fitting.length > 0 ? [] : nearMatches(suffix.slice(suffix.lastIndexOf('/') + 1), names);
  return { ambiguous: fitting.toSorted(), near };
}

/** The shortest ends of paths that tell them apart. */
export function shortNames(files: readonly string[]): readonly string[] {
  return files.map((file) => {
    const parts = file.split('/');
    for (let count = 1; count < parts.length; count++) {
      const end = parts.slice(-count).join('/');
      if (files.every((other) => other === file || !other.endsWith(`/${end}`))) return end;
    }
    return file;
  });
}
