/**
 * x86-64 register numbering: DWARF numbers (System V psABI figure 3.36) against the layout of the kernel's
 * `user_regs_struct` (arch/x86/include/asm/user_64.h), which is also what NT_PRSTATUS and PTRACE_GETREGSET carry.
 */

/** Order of `user_regs_struct`, eight bytes each; the first 21 are also `struct pt_regs`. */
export const userRegisterNames = [
  'r15',
  'r14',
  'r13',
  'r12',
  'rbp',
  'rbx',
  'r11',
  'r10',
  'r9',
  'r8',
  'rax',
  'rcx',
  'rdx',
  'rsi',
  'rdi',
  'orig_rax',
  'rip',
  'cs',
  'eflags',
  'rsp',
  'ss',
  'fs_base',
  'gs_base',
  'ds',
  'es',
  'fs',
  'gs',
] as const;
export type UserRegisterName = (typeof userRegisterNames)[number];

/** `sizeof(struct user_regs_struct)`. */
export const userRegistersBytes = 216;
/** `sizeof(struct pt_regs)`. */
export const ptRegsBytes = 168;

/** DWARF register number to name: 0..15 general, 16 the return address (rip). */
export const dwarfRegisterNames: readonly UserRegisterName[] = [
  'rax',
  'rdx',
  'rcx',
  'rbx',
  'rsi',
  'rdi',
  'rbp',
  'rsp',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
  'rip',
];

export const dwarfRsp = 7;
export const dwarfRbp = 6;
export const dwarfRip = 16;

const offsets: ReadonlyMap<string, number> = new Map(userRegisterNames.map((name, i) => [name, i * 8]));

/** Byte offset of a register in `user_regs_struct`. */
export function userRegisterOffset(name: UserRegisterName): number {
  const offset = offsets.get(name);
  if (offset === undefined) throw new RangeError(`no register ${name}`);
  return offset;
}

/** Byte offset in `user_regs_struct` of a DWARF register number; undefined for vector and other registers. */
export function dwarfRegisterOffset(dwarfNumber: number): number | undefined {
  const name = dwarfRegisterNames[dwarfNumber];
  return name === undefined ? undefined : userRegisterOffset(name);
}

/** Reads one register out of the bytes of a `user_regs_struct`. */
export function readUserRegister(registers: Uint8Array, name: UserRegisterName): bigint {
  const view = new DataView(registers.buffer, registers.byteOffset, registers.byteLength);
  return view.getBigUint64(userRegisterOffset(name), true);
}
