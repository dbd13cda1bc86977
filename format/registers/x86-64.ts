/**
 * x86-64 register numbering: DWARF numbers (System V psABI figure 3.36) against the layout of the kernel's
 * `user_regs_struct` (arch/x86/include/asm/user_64.h), which is also what NT_PRSTATUS and PTRACE_GETREGSET carry.
 */
import { EM } from '../elf/constants.js';
import { registerView, type Machine, type NamedRegisterView } from './machine.js';

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

/** DWARF register numbers in the order in which instructions encode registers (Intel SDM volume 2, table 3-1). */
export const dwarfOfEncoded = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15] as const;

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

/** `$rax`, `$eax`, `$ax`, `$al`, `$ah`, as gdb names them. */
function viewsOf(name: UserRegisterName, register: number): NamedRegisterView[] {
  if (name === 'rip') return [registerView(name, register, 'code')];
  const whole = registerView(name, register, name === 'rsp' || name === 'rbp' ? 'data' : 'long');
  if (/^r\d/.test(name)) {
    return [
      whole,
      registerView(`${name}d`, register, 'int'),
      registerView(`${name}w`, register, 'short'),
      registerView(`${name}l`, register, 'byte'),
    ];
  }
  const stem = name.slice(1);
  const letter = stem.replace(/x$/, '');
  const parts = [
    whole,
    registerView(`e${stem}`, register, 'int'),
    registerView(stem, register, 'short'),
    registerView(`${letter}l`, register, 'byte'),
  ];
  return stem.endsWith('x') ? [...parts, registerView(`${letter}h`, register, 'byte', 8)] : parts;
}

export const x86_64Machine: Machine = {
  number: EM.EM_X86_64,
  name: 'x86-64',
  userRegistersBytes,
  registers: new Map(
    dwarfRegisterNames.map((name, number) => [number, { name, offset: userRegisterOffset(name) }]),
  ),
  programCounter: dwarfRip,
  stackPointer: dwarfRsp,
  framePointer: dwarfRbp,
  // rdi, rsi, rdx, rcx, r8, r9: System V psABI 3.2.3.
  argumentRegisters: [5, 4, 1, 2, 8, 9],
  wideFloat: 'x87',
  viewsHint: '$rax to $r15, $rsp, $rip',
  views: [
    ...dwarfRegisterNames.flatMap(viewsOf),
    // NB: `$sp` is the stack pointer here as in gdb, not its low 16 bits: what stands last counts.
    registerView('pc', dwarfRip, 'code'),
    registerView('sp', dwarfRsp, 'data'),
    registerView('fp', dwarfRbp, 'data'),
  ],
};
