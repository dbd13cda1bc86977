/**
 * What unwinding must know of x86-64 and of nothing else: registers and who preserves them (System V psABI 3.2.1, figure 3.36), how
 * a call, a signal return and a PLT entry look.
 */
import { absent, type Absent } from '../../format/absent.js';
import { NT } from '../../format/core/constants.js';
import {
  dwarfRegisterNames,
  readUserRegister,
  userRegistersBytes,
  x86_64Machine,
  type UserRegisterName,
} from '../../format/registers/x86-64.js';
import type { Architecture, PrologueState, ThreadLocalBlock, ThreadState } from './architecture.js';
import { FrameRegisters, type RegisterBytes, type RegisterValue } from './frame-registers.js';

const firstXmm = 17;
const firstSt = 33;

function nameOf(dwarfNumber: number): string {
  if (dwarfNumber >= firstXmm && dwarfNumber < firstXmm + 16) return `xmm${dwarfNumber - firstXmm}`;
  if (dwarfNumber >= firstSt && dwarfNumber < firstSt + 8) return `st${dwarfNumber - firstSt}`;
  return dwarfRegisterNames[dwarfNumber] ?? `${dwarfNumber}`;
}

function threadRegisters(thread: ThreadState): FrameRegisters {
  const { provenance } = thread;
  const unknown = new Set(thread.unknownRegisters);
  const values = new Map<number, RegisterValue | Absent>();
  for (const [number, name] of dwarfRegisterNames.entries()) {
    const known = !unknown.has(name) && thread.registers.length >= userRegistersBytes;
    values.set(
      number,
      known
        ? { value: readUserRegister(thread.registers, name), provenance }
        : absent('not-captured', `register ${name} was not captured`),
    );
  }
  const wide = new Map<number, RegisterBytes>();
  const fp = thread.fpRegisters;
  // FXSAVE: st0 to st7 from 32 on, xmm0 to xmm15 from 160 on, 16 bytes each.
  if (fp !== undefined && fp.length >= 416) {
    for (let i = 0; i < 8; i++)
      wide.set(firstSt + i, { bytes: fp.subarray(32 + i * 16, 48 + i * 16), provenance });
    for (let i = 0; i < 16; i++) {
      const low = fp.subarray(160 + i * 16, 176 + i * 16);
      const high = upperHalf(thread.registerSets?.get(NT.NT_X86_XSTATE), i);
      wide.set(firstXmm + i, { bytes: high === undefined ? low : Buffer.concat([low, high]), provenance });
    }
  }
  for (let number = firstXmm; number < firstSt + 8; number++) {
    if (!wide.has(number))
      values.set(number, absent('not-captured', `register ${nameOf(number)} was not captured`));
  }
  return new FrameRegisters({ values, wide, nameOf, otherwise: 'is not one that a frame has' });
}

/** XSAVE, standard format (Intel SDM volume 1, 13.4): what the processor has, in `sw_reserved` as the kernel tells it; which parts are not all zeros; the parts. */
const xsave = { features: 464, present: 512, avx: 576, avxBit: 4, end: 832 } as const;

/** Bits 128 to 255 of a vector register; undefined where the processor has none or the core does not tell. */
function upperHalf(xstate: Uint8Array | undefined, register: number): Uint8Array | undefined {
  if (xstate === undefined || xstate.length < xsave.end) return undefined;
  if (((xstate[xsave.features] ?? 0) & xsave.avxBit) === 0) return undefined;
  // A part in its initial state is not written.
  if (((xstate[xsave.present] ?? 0) & xsave.avxBit) === 0) return new Uint8Array(16);
  return xstate.subarray(xsave.avx + register * 16, xsave.avx + register * 16 + 16);
}

/** Whether code that ends at a return address ends with a call instruction: `e8 rel32`, or `ff /2` in any addressing mode. */
function endsWithCall(code: Uint8Array): boolean {
  const at = (back: number): number | undefined => code[code.length - back];
  if (at(5) === 0xe8) return true;
  for (const length of [2, 3, 4, 6, 7]) {
    const modrm = at(length - 1);
    if (at(length) !== 0xff || modrm === undefined || ((modrm >> 3) & 7) !== 2) continue;
    if (callBytes(modrm, at(length - 2) ?? 0) === length) return true;
  }
  return false;
}

/** Length of `ff modrm …` without prefixes. */
function callBytes(modrm: number, sib: number): number {
  const mode = modrm >> 6;
  const rm = modrm & 7;
  if (mode === 3) return 2;
  const hasSib = rm === 4;
  const base = hasSib ? 3 : 2;
  if (mode === 1) return base + 1;
  if (mode === 2) return base + 4;
  const absolute = hasSib ? (sib & 7) === 5 : rm === 5;
  return absolute ? base + 4 : base;
}

/** `[f3 0f 1e fa] [f2] ff 25`: a jump through the GOT; `68`: its relocation index still to be pushed; `e9`: pushed. */
function pltCfaOffset(code: Uint8Array): bigint | undefined {
  const endbr = code[0] === 0xf3 && code[1] === 0x0f && code[2] === 0x1e && code[3] === 0xfa;
  let at = endbr ? 4 : 0;
  if (code[at] === 0xf2) at++;
  if (code[at] === 0xff && code[at + 1] === 0x25) return 8n;
  if (code[at] === 0x68) return 8n;
  if (code[at] === 0xe9 && !endbr) return 16n;
  return undefined;
}

/** `ret`, `rep ret`, `bnd ret`, `ret imm16`. */
function isReturn(code: Uint8Array): boolean {
  const at = code[0] === 0xf3 || code[0] === 0xf2 ? 1 : 0;
  return code[at] === 0xc3 || code[at] === 0xc2;
}

/** `[endbr64] push %rbp; mov %rsp, %rbp`, as gdb looks for it (amd64_analyze_prologue). */
function prologueState(code: Uint8Array, executed: number): PrologueState {
  const endbr = code[0] === 0xf3 && code[1] === 0x0f && code[2] === 0x1e && code[3] === 0xfa;
  const push = endbr ? 4 : 0;
  if (executed <= push || code[push] !== 0x55) return 'none';
  const [a, b, c] = code.subarray(push + 1);
  const moves = a === 0x48 && ((b === 0x89 && c === 0xe5) || (b === 0x8b && c === 0xec));
  return moves && executed > push + 1 ? 'framed' : 'pushed';
}

function threadPointer(thread: ThreadState): bigint | Absent {
  if (thread.unknownRegisters.includes('fs_base'))
    return absent('not-captured', 'thread-local variables need register fs_base, which was not captured');
  return readUserRegister(thread.registers, 'fs_base');
}

/** Variant II: the block's end touches the thread pointer, which is aligned as the block is, as far as alignment allows. */
function threadLocalOffset({ virtualAddress, memorySize, align }: ThreadLocalBlock): bigint {
  const unit = align > 0n ? align : 1n;
  const misaligned = BigInt.asUintN(64, -(virtualAddress % unit)) % unit;
  const size = ((memorySize - misaligned + unit - 1n) / unit) * unit + misaligned;
  return -size;
}

/** Order of `sigcontext` (arch/x86/include/uapi/asm/sigcontext.h), which stands 40 bytes into `ucontext`. */
const sigcontextNames: readonly UserRegisterName[] = [
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
  ...(['rdi', 'rsi', 'rbp', 'rbx', 'rdx', 'rax', 'rcx', 'rsp', 'rip'] as const),
];

export const x86_64: Architecture = {
  ...x86_64Machine,
  carried: dwarfRegisterNames.map((_, number) => number),
  preserved: new Set(
    ['rbx', 'rbp', 'r12', 'r13', 'r14', 'r15'].map((name) =>
      dwarfRegisterNames.findIndex((each) => each === name),
    ),
  ),
  nameOf,
  threadRegisters,
  maxCallBytes: 7,
  endsWithCall,
  signalReturn: {
    // mov $15, %rax; syscall
    code: Uint8Array.of(0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05),
    savedAt: new Map(
      sigcontextNames.map((name, i) => [
        dwarfRegisterNames.findIndex((each) => each === name),
        40n + BigInt(i) * 8n,
      ]),
    ),
  },
  linkRegister: undefined,
  entryCfaOffset: 8n,
  pltCfaOffset,
  maxPltBytes: 16,
  isReturn,
  prologueState,
  maxPrologueBytes: 8,
  frameRecordBytes: 16n,
  signatureBits: () => 0n,
  threadPointer,
  threadPointerIsDescriptor: true,
  threadLocalOffset,
};
