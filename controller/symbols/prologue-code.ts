/** Prologues by their instructions (amd64-tdep.c `amd64_analyze_prologue`): for code of gcc, and for code without line tables. */

/** Code bytes at a link address; undefined where the file has not all of them. */
export type CodeReader = (address: number, length: number) => Uint8Array | undefined;

/** After `endbr64; push %rbp; mov %rsp,%rbp`; the start where the function sets up no frame like that. */
export function endOfFramePrologue(code: CodeReader, start: number): number {
  let pc = afterStackAlignment(code, start);
  if (matches(code(pc, 4), [0xf3, 0x0f, 0x1e, 0xfa])) pc += 4;
  if (!matches(code(pc, 1), [0x55])) return start;
  const move = code(pc + 1, 3);
  return matches(move, [0x48, 0x89, 0xe5]) || matches(move, [0x48, 0x8b, 0xec]) ? pc + 4 : start;
}

/** Whether an address is a function's start, or stands behind an instruction of `endbr64; push %rbp; mov %rsp,%rbp` there: arguments are where the caller put them. */
export function isBeforeArgumentsMove(code: CodeReader, start: number, address: number): boolean {
  if (address === start) return true;
  const pushes = matches(code(start, 4), [0xf3, 0x0f, 0x1e, 0xfa]) ? start + 4 : start;
  if (address === pushes) return true;
  if (!matches(code(pushes, 1), [0x55])) return false;
  return address === pushes + 1 || (address === pushes + 4 && endOfFramePrologue(code, start) === address);
}

function matches(bytes: Uint8Array | undefined, expected: readonly number[]): boolean {
  return bytes !== undefined && expected.every((byte, i) => bytes[i] === byte);
}

/** After `lea 8(%rsp),%reg; and $-N,%rsp; push -8(%reg)`, with `push %reg` before it or not: the stack is realigned. */
function afterStackAlignment(code: CodeReader, start: number): number {
  const bytes = code(start, 18);
  if (bytes === undefined) return start;
  const at = (i: number): number => bytes[i] ?? 0;
  let offset = 0;
  let register: number;
  if ((at(0) & 0xfb) === 0x48 && at(1) === 0x8d && at(3) === 0x24 && at(4) === 0x8) {
    if ((at(2) & 0xc7) !== 0x44) return start;
    register = ((at(2) >> 3) & 7) + (at(0) === 0x4c ? 8 : 0);
    offset = 5;
  } else {
    if ((at(0) & 0xf8) === 0x50) register = 0;
    else if ((at(0) & 0xf6) === 0x40 && (at(1) & 0xf8) === 0x50) {
      register = (at(0) & 1) === 0 ? 0 : 8;
      offset = 1;
    } else return start;
    register += at(offset) & 7;
    offset++;
    const lea = (at(offset) & 0xfb) === 0x48 && at(offset + 1) === 0x8d && at(offset + 3) === 0x24;
    if (!lea || at(offset + 4) !== 0x10 || (at(offset + 2) & 0xc7) !== 0x44) return start;
    const second = ((at(offset + 2) >> 3) & 7) + (at(offset) === 0x4c ? 8 : 0);
    if (second !== register) return start;
    offset += 5;
  }
  if (register === 4 || register === 5) return start;
  const and = at(offset) === 0x48 && at(offset + 2) === 0xe4;
  if (!and || (at(offset + 1) !== 0x81 && at(offset + 1) !== 0x83)) return start;
  offset += at(offset + 1) === 0x81 ? 7 : 4;
  let pushed = 0;
  if (at(offset) === 0xff) offset++;
  else if ((at(offset) & 0xf6) === 0x40 && at(offset + 1) === 0xff) {
    if ((at(offset) & 1) !== 0) pushed = 8;
    offset += 2;
  } else return start;
  if (at(offset + 1) !== 0xf8 || (at(offset) & 0xf8) !== 0x70) return start;
  pushed += at(offset) & 7;
  return pushed === register ? start + offset + 2 : start;
}

/** Whether `test %al,%al; je` before an address guards saves of %xmm0 to %xmm7: the prologue of a variadic function of gcc. */
export function endOfVectorPrologue(code: CodeReader, address: number): boolean {
  const bytes = code(address - 4, 4 + 8 * 7);
  if (bytes === undefined || !matches(bytes, [0x84, 0xc0, 0x74])) return false;
  let offset = 4;
  for (let register = 0; register < 8; register++) {
    const modrm = bytes[offset + 2] ?? 0;
    if (!matches(bytes.subarray(offset), [0x0f, 0x29]) || (modrm & 0x3f) !== ((register << 3) | 5)) {
      return false;
    }
    if ((modrm & 0xc0) === 0x40) offset += 4;
    else if ((modrm & 0xc0) === 0x80) offset += 7;
    else return false;
  }
  return offset - 4 === bytes[3];
}
