/**
 * What unwinding must know of AArch64 and of nothing else: registers and who preserves them (AAPCS64 6.1, AADWARF64 4.1), how a call,
 * a signal return and a PLT entry look, which bits of a return address are its signature.
 */
import { absent, type Absent } from '../../format/absent.js';
import { NT } from '../../format/core/constants.js';
import { aarch64Machine, dwarfLr, dwarfV0 } from '../../format/registers/aarch64.js';
import type { Architecture, ThreadLocalBlock, ThreadState } from './architecture.js';
import { FrameRegisters, type RegisterBytes, type RegisterValue } from './frame-registers.js';

const vectorRegisters = 32;
/** d8 to d15, the low halves of v8 to v15, are preserved over calls. */
const preservedVectors = Array.from({ length: 8 }, (_, i) => dwarfV0 + 8 + i);
const general = [...aarch64Machine.registers.keys()];

function nameOf(dwarfNumber: number): string {
  const vector = dwarfNumber - dwarfV0;
  if (vector >= 0 && vector < vectorRegisters) return `v${vector}`;
  return aarch64Machine.registers.get(dwarfNumber)?.name ?? `${dwarfNumber}`;
}

function threadRegisters(thread: ThreadState): FrameRegisters {
  const { provenance, registers, fpRegisters } = thread;
  const unknown = new Set(thread.unknownRegisters);
  const values = new Map<number, RegisterValue | Absent>();
  const view = new DataView(registers.buffer, registers.byteOffset, registers.byteLength);
  const complete = registers.length >= aarch64Machine.userRegistersBytes;
  for (const [number, { name, offset }] of aarch64Machine.registers) {
    const known = complete && !unknown.has(name);
    values.set(number, known ? { value: view.getBigUint64(offset, true), provenance } : notCaptured(number));
  }
  const wide = new Map<number, RegisterBytes>();
  // user_fpsimd_state: v0 to v31, 16 bytes each.
  for (let i = 0; i < vectorRegisters; i++) {
    const bytes = fpRegisters?.subarray(i * 16, i * 16 + 16);
    if (bytes === undefined || bytes.length < 16) {
      values.set(dwarfV0 + i, notCaptured(dwarfV0 + i));
      continue;
    }
    wide.set(dwarfV0 + i, { bytes, provenance });
    const low = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
    values.set(dwarfV0 + i, { value: low, provenance });
  }
  return new FrameRegisters({ values, wide, nameOf, otherwise: 'is not one that a frame has' });
}

function notCaptured(number: number): Absent {
  return absent('not-captured', `register ${nameOf(number)} was not captured`);
}

/** `bl`, `blr`, and `blraa` and its like, which check a signature. */
function endsWithCall(code: Uint8Array): boolean {
  if (code.length < 4) return false;
  const instruction = new DataView(code.buffer, code.byteOffset + code.length - 4, 4).getUint32(0, true);
  const bl = (instruction & 0xfc00_0000) >>> 0 === 0x9400_0000;
  const blr = (instruction & 0xffff_fc1f) >>> 0 === 0xd63f_0000;
  const blraaz = (instruction & 0xffff_f81f) >>> 0 === 0xd63f_081f;
  const blraa = (instruction & 0xffff_f800) >>> 0 === 0xd73f_0800;
  return bl || blr || blraaz || blraa;
}

const pltHeaderBytes = 32;

/** `[bti c] adrp x16, …`: a jump through the GOT; in the header after `stp x16, x30, [sp, #-16]!`, on to the dynamic linker. */
function pltCfaOffset(code: Uint8Array, sectionOffset: number): bigint | undefined {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const word = (at: number): number => (at + 4 <= code.length ? view.getUint32(at, true) : 0);
  const at = word(0) === 0xd503_245f ? 4 : 0;
  if (word(at) === 0xa9bf_7bf0) return 0n;
  if ((word(at) & 0x9f00_001f) >>> 0 !== 0x9000_0010) return undefined;
  return sectionOffset < pltHeaderBytes ? 16n : 0n;
}

/** Bits 54 to 48, which no address has where the kernel says nothing else: it gives programs 48 bits unless they ask for more. */
const defaultSignatureBits = 0x007f_0000_0000_0000n;

/** NT_ARM_PAC_MASK: the bits of data pointers, then those of code pointers. */
function signatureBits(thread: ThreadState): bigint {
  const note = thread.registerSets?.get(NT.NT_ARM_PAC_MASK);
  if (note === undefined || note.length < 16) return defaultSignatureBits;
  return new DataView(note.buffer, note.byteOffset, 16).getBigUint64(8, true);
}

/** NT_ARM_TLS: tpidr_el0, and tpidr2_el0 of newer kernels. */
function threadPointer(thread: ThreadState): bigint | Absent {
  const note = thread.registerSets?.get(NT.NT_ARM_TLS);
  if (note === undefined || note.length < 8)
    return absent('not-captured', 'thread-local variables need register tpidr_el0, which was not captured');
  return new DataView(note.buffer, note.byteOffset, 8).getBigUint64(0, true);
}

/** Variant I: the thread control block of two words, and after it the block, aligned. */
function threadLocalOffset({ virtualAddress, align }: ThreadLocalBlock): bigint {
  const unit = align > 0n ? align : 1n;
  return 16n + (BigInt.asUintN(64, virtualAddress - 16n) % unit);
}

/** `rt_sigframe`: siginfo (128 bytes), then ucontext, whose sigcontext stands 176 bytes in, with the registers after an address. */
const savedRegistersAt = 128n + 176n + 8n;

export const aarch64: Architecture = {
  ...aarch64Machine,
  carried: [...general, ...preservedVectors],
  // NB: x30 is what the call left in it: a function that calls nothing does not save it.
  preserved: new Set([...Array.from({ length: 12 }, (_, i) => 19 + i), ...preservedVectors]),
  nameOf,
  threadRegisters,
  maxCallBytes: 4,
  endsWithCall,
  signalReturn: {
    // mov x8, #139; svc #0
    code: Uint8Array.of(0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4),
    savedAt: new Map(general.map((number) => [number, savedRegistersAt + BigInt(number) * 8n])),
  },
  linkRegister: dwarfLr,
  entryCfaOffset: 0n,
  pltCfaOffset,
  maxPltBytes: 8,
  frameRecordBytes: undefined,
  signatureBits,
  threadPointer,
  threadPointerIsDescriptor: false,
  threadLocalOffset,
};
