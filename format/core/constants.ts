/** Note types of core files (include/uapi/linux/elf.h) and the places and sizes of what they carry. */
export const NT = {
  NT_PRSTATUS: 1,
  NT_PRFPREG: 2,
  NT_PRPSINFO: 3,
  NT_AUXV: 6,
  NT_X86_XSTATE: 0x202,
  NT_ARM_TLS: 0x401,
  NT_ARM_PAC_MASK: 0x406,
  NT_SIGINFO: 0x53494749,
  NT_FILE: 0x46494c45,
} as const;

/** Where the parts of `struct elf_prstatus` are, the same on every machine; after the registers an `int`, then alignment. */
export const prstatusSignalOffset = 12;
export const prstatusPidOffset = 32;
export const prstatusParentOffset = 36;
export const prstatusRegistersOffset = 112;
/** `sizeof(struct elf_prpsinfo)`. */
export const prpsinfoBytes = 136;
/** `sizeof(struct user_fpregs_struct)` of x86-64. */
export const fpRegistersBytes = 512;

export const pageBytes = 4096;
