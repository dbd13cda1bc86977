/** Names of the standard library, whichever of its inline namespaces they stand in. */

/** Namespaces that a person does not write: of ABI versions, of debug modes, of libc++. */
const unwritten: ReadonlySet<string> = new Set([
  '__cxx11',
  '__cxx1998',
  '__debug',
  '__profile',
  '__fs',
  '__8',
  '__1',
  '__2',
  '__ndk1',
  '__cr',
  '_V2',
]);

/**
 * `vector` of `std::vector<int>`, `chrono::duration` of `std::__1::chrono::duration<...>`; undefined of what is not in `std`,
 * and of what is a member of such a template: `std::vector<int>::iterator`.
 */
export function libraryName(name: string): string | undefined {
  if (!name.startsWith('std::')) return undefined;
  const open = name.indexOf('<');
  if (open >= 0 && !closesAtEnd(name, open)) return undefined;
  const path = (open < 0 ? name : name.slice(0, open)).split('::').slice(1);
  return path.filter((part) => !unwritten.has(part)).join('::');
}

/** Whether the bracket that opens there closes at the end of the name. */
function closesAtEnd(name: string, open: number): boolean {
  if (!name.endsWith('>')) return false;
  let depth = 0;
  for (let i = open; i < name.length; i++) {
    const at = name[i];
    if (at === '<' || at === '(') depth++;
    // `->` of a trailing result closes nothing.
    else if (at === ')' || (at === '>' && name[i - 1] !== '-')) depth--;
    if (depth === 0) return i === name.length - 1;
  }
  return false;
}
