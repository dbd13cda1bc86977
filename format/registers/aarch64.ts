/**
 * AArch64 register numbering: DWARF numbers (AADWARF64 4.1) against the layout of the kernel's `user_pt_regs`
 * (arch/arm64/include/uapi/asm/ptrace.h), which is what NT_PRSTATUS carries.
 */
import { EM } from '../elf/constants.js';
import { registerView, type Machine, type NamedRegisterView } from './machine.js';

export const dwarfX29 = 29;
/** The link register, x30. */
export const dwarfLr = 30;
export const dwarfSp = 31;
export const dwarfPc = 32;
/** v0 to v31 stand from here on. */
export const dwarfV0 = 64;

const generalNames = [...Array.from({ length: 31 }, (_, number) => `x${number}`), 'sp', 'pc'];

function views(): NamedRegisterView[] {
  const named: NamedRegisterView[] = [];
  for (let number = 0; number <= dwarfLr; number++) {
    named.push(registerView(`x${number}`, number, 'long'));
    // NB: the low half; an instruction that writes it clears the other.
    named.push(registerView(`w${number}`, number, 'int'));
  }
  return [
    ...named,
    registerView('fp', dwarfX29, 'data'),
    registerView('lr', dwarfLr, 'long'),
    registerView('sp', dwarfSp, 'data'),
    registerView('pc', dwarfPc, 'code'),
  ];
}

export const aarch64Machine: Machine = {
  number: EM.EM_AARCH64,
  name: 'AArch64',
  // x0 to x30, sp, pc, pstate.
  userRegistersBytes: 272,
  registers: new Map(generalNames.map((name, number) => [number, { name, offset: number * 8 }])),
  programCounter: dwarfPc,
  stackPointer: dwarfSp,
  framePointer: dwarfX29,
  // AAPCS64 6.8.2.
  argumentRegisters: [0, 1, 2, 3, 4, 5, 6, 7],
  wideFloat: 'binary128',
  viewsHint: '$x0 to $x30, $sp, $pc',
  views: views(),
};
