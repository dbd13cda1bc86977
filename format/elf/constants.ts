/** Constants of the System V gABI (chapters 4 and 5) and its GNU and Linux supplements, spelled as there. */
export const ET = { ET_NONE: 0, ET_REL: 1, ET_EXEC: 2, ET_DYN: 3, ET_CORE: 4 } as const;
export const EM = { EM_386: 3, EM_X86_64: 62, EM_AARCH64: 183 } as const;

export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;

/** Sizes of the ELF64 structures. */
export const ehdrBytes = 64;
export const phdrBytes = 56;
export const shdrBytes = 64;
export const symBytes = 24;
export const nhdrBytes = 12;

/** `e_phnum` when the true count is in `sh_info` of section 0. */
export const PN_XNUM = 0xffff;

export const PT = {
  PT_NULL: 0,
  PT_LOAD: 1,
  PT_DYNAMIC: 2,
  PT_INTERP: 3,
  PT_NOTE: 4,
  PT_SHLIB: 5,
  PT_PHDR: 6,
  PT_TLS: 7,
  PT_GNU_EH_FRAME: 0x6474e550,
  PT_GNU_STACK: 0x6474e551,
  PT_GNU_RELRO: 0x6474e552,
  PT_GNU_PROPERTY: 0x6474e553,
} as const;

export const PF = { PF_X: 1, PF_W: 2, PF_R: 4 } as const;

export const SHT = {
  SHT_NULL: 0,
  SHT_PROGBITS: 1,
  SHT_SYMTAB: 2,
  SHT_STRTAB: 3,
  SHT_RELA: 4,
  SHT_HASH: 5,
  SHT_DYNAMIC: 6,
  SHT_NOTE: 7,
  SHT_NOBITS: 8,
  SHT_REL: 9,
  SHT_DYNSYM: 11,
  SHT_SYMTAB_SHNDX: 18,
} as const;

export const SHF = {
  SHF_WRITE: 0x1n,
  SHF_ALLOC: 0x2n,
  SHF_EXECINSTR: 0x4n,
  SHF_COMPRESSED: 0x800n,
} as const;

export const SHN = {
  SHN_UNDEF: 0,
  SHN_LORESERVE: 0xff00,
  SHN_ABS: 0xfff1,
  SHN_COMMON: 0xfff2,
  SHN_XINDEX: 0xffff,
} as const;

export const ELFCOMPRESS = { ELFCOMPRESS_ZLIB: 1, ELFCOMPRESS_ZSTD: 2 } as const;

export const STT = {
  STT_NOTYPE: 0,
  STT_OBJECT: 1,
  STT_FUNC: 2,
  STT_SECTION: 3,
  STT_FILE: 4,
  STT_COMMON: 5,
  STT_TLS: 6,
  STT_GNU_IFUNC: 10,
} as const;
export const STB = { STB_LOCAL: 0, STB_GLOBAL: 1, STB_WEAK: 2, STB_GNU_UNIQUE: 10 } as const;

/** Note types of the owner `GNU`. */
export const NT_GNU_BUILD_ID = 3;
/** Note types of the owners `CORE` and `LINUX` in cores. */
export const NT = {
  NT_PRSTATUS: 1,
  NT_FPREGSET: 2,
  NT_PRPSINFO: 3,
  NT_AUXV: 6,
  NT_SIGINFO: 0x53494749,
  NT_FILE: 0x46494c45,
  NT_X86_XSTATE: 0x202,
} as const;

/** Indices into `e_ident`, and its length. */
export const EI = { EI_CLASS: 4, EI_DATA: 5, EI_VERSION: 6, EI_NIDENT: 16 } as const;
