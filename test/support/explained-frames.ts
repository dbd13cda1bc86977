/** Where gdb 13 shows frames that are not there, or none where there is one: what is known of it, by what is stepped through. */
const known: Readonly<Record<string, readonly RegExp[]>> = {
  // At the return instruction of code whose table forgets the epilogue, or that has none, gdb goes by the frame pointer that is gone.
  assembly: [
    /^#1 gdb (nothing|0x[0-9a-f]+ normal \S+ (\?:\?|shapes\.c:\d+)); ours 0x[0-9a-f]+ normal assembly shapes\.c/,
  ],
  // Below the first function of a stack that was made by hand gdb takes for frames what lies there.
  contexts: [
    /ours nothing \((no call leads to|no call frame information of|0x[0-9a-f]+ is not in any module)/,
    /gdb 0x[0-9a-f]+ normal stack \?:\?; ours/,
  ],
};

export function isExplained(mode: string, difference: string): boolean {
  return known[mode]?.some((pattern) => pattern.test(difference)) === true;
}
