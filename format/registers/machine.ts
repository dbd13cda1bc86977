/**
 * A machine as ELF files, core files and DWARF number it: the part of the architecture seam that needs no process and no unwinding.
 * One file a machine beside this one; `controller/unwind/architecture.ts` has what unwinding adds.
 */

/** How a person's name of a register reads it: its type, and which bits. */
export type RegisterView = 'code' | 'data' | 'long' | 'int' | 'short' | 'byte';

export interface NamedRegisterView {
  /** Without the `$`. */
  readonly name: string;
  /** DWARF number. */
  readonly register: number;
  /** First bit. */
  readonly shift: number;
  readonly view: RegisterView;
}

export interface RegisterPlace {
  readonly name: string;
  /** Byte offset in the general registers that NT_PRSTATUS carries. */
  readonly offset: number;
}

export interface Machine {
  /** `e_machine`. */
  readonly number: number;
  readonly name: string;
  /** Of `pr_reg` in NT_PRSTATUS: `user_regs_struct`, `user_pt_regs`. */
  readonly userRegistersBytes: number;
  /** General registers by DWARF number, 64 bits each. */
  readonly registers: ReadonlyMap<number, RegisterPlace>;
  readonly programCounter: number;
  readonly stackPointer: number;
  readonly framePointer: number;
  /** Where the calling convention passes the first arguments that are integers or pointers, by DWARF number. */
  readonly argumentRegisters: readonly number[];
  /** How 16 bytes of floating point are laid out where the type's name does not say. */
  readonly wideFloat: 'x87' | 'binary128';
  /** For messages: which general registers there are. */
  readonly viewsHint: string;
  /** Names that expressions may use, as gdb has them. */
  readonly views: readonly NamedRegisterView[];
}

export function registerView(
  name: string,
  register: number,
  view: RegisterView,
  shift = 0,
): NamedRegisterView {
  return { name, register, shift, view };
}
