import type { CapturedThread } from '../../../format/capture.js';
import { StillframeError } from '../../../format/error.js';
import { userRegistersBytes } from '../../../format/registers/x86-64.js';
import { Arena } from '../../linux/mmap.js';
import {
  NT_PRSTATUS,
  NT_X86_XSTATE,
  type RegisterBuffer,
  getRegisterSet,
  prepareRegisterBuffer,
  registerBufferLength,
} from '../../linux/ptrace.js';

/** Room for the largest XSAVE area that the kernel gives (AMX included). */
const xstateRoom = 12 * 1024;
const generalRoom = 256;
const iovecBytes = 16;
/** A set is read by an iovec of its own, so that all can be laid out before. */
const iovecsBytes = 2 * iovecBytes;
const slotBytes = 16 * 1024;
const fxsaveBytes = 512;
/** `sw_reserved` of the FXSAVE area: the kernel's own in XSAVE, zero in NT_FPREGSET. */
const softwareReservedAt = 464;

/** Room for the registers of many threads, set aside before any of them stops. Pages are touched when they are used. */
export class RegisterSlots implements Disposable {
  readonly count: number;
  readonly #arena: Arena;
  readonly #slots: readonly { readonly general: RegisterBuffer; readonly xstate: RegisterBuffer }[];
  /** Bytes that are valid of each slot's sets; 0 for none. */
  readonly #generalLength: number[];
  readonly #xstateLength: number[];

  constructor(count: number) {
    this.count = count;
    this.#arena = new Arena(count * slotBytes);
    this.#slots = Array.from({ length: count }, (_, i) => {
      const at = i * slotBytes;
      const part = (which: number, offset: number, length: number): RegisterBuffer => {
        const iovec = at + which * iovecBytes;
        const start = at + iovecsBytes + offset;
        return {
          address: this.#arena.address + BigInt(start),
          bytes: this.#arena.bytes.subarray(start, start + length),
          iovecAddress: this.#arena.address + BigInt(iovec),
          iovec: this.#arena.bytes.subarray(iovec, iovec + iovecBytes),
        };
      };
      return { general: part(0, 0, generalRoom), xstate: part(1, generalRoom, xstateRoom) };
    });
    this.#generalLength = Array.from({ length: count }, () => 0);
    this.#xstateLength = Array.from({ length: count }, () => 0);
  }

  /** The general registers of a stopped thread; false when it is gone. */
  readGeneral(slot: number, tid: number): boolean {
    const buffer = this.#slots[slot]?.general;
    const length = buffer === undefined ? 0 : getRegisterSet(tid, NT_PRSTATUS, buffer);
    this.#generalLength[slot] = length === userRegistersBytes ? userRegistersBytes : 0;
    this.#xstateLength[slot] = 0;
    return length === userRegistersBytes;
  }

  readXstate(slot: number, tid: number): void {
    const buffer = this.#slots[slot]?.xstate;
    const length = buffer === undefined ? 0 : getRegisterSet(tid, NT_X86_XSTATE, buffer);
    this.#xstateLength[slot] = typeof length === 'number' && length < xstateRoom ? length : 0;
  }

  /** Lays out what a batch of calls reads both sets by; their pages are there then. */
  prepare(slot: number): { readonly general: RegisterBuffer; readonly xstate: RegisterBuffer } {
    const buffers = this.#slots[slot];
    if (buffers === undefined) throw new StillframeError('internal', `there is no slot ${slot} of registers`);
    for (const buffer of [buffers.general, buffers.xstate]) {
      prepareRegisterBuffer(buffer);
      buffer.bytes[0] = 0;
    }
    return buffers;
  }

  /** Takes what a batch of calls read into a prepared slot. */
  accept(slot: number, read: { readonly general: boolean; readonly xstate: boolean }): void {
    const buffers = this.#slots[slot];
    if (buffers === undefined) return;
    const general = read.general ? registerBufferLength(buffers.general) : 0;
    const xstate = read.xstate ? registerBufferLength(buffers.xstate) : 0;
    this.#generalLength[slot] = general === userRegistersBytes ? general : 0;
    this.#xstateLength[slot] = xstate < xstateRoom ? xstate : 0;
  }

  /** Registers of nobody: all are 0. */
  pretend(slot: number): void {
    this.#slots[slot]?.general.bytes.fill(0);
    this.#generalLength[slot] = userRegistersBytes;
  }

  /** The buffer of a slot's general registers, for writing them back. */
  general(slot: number): RegisterBuffer | undefined {
    return this.#slots[slot]?.general;
  }

  /** A view, valid until the slot is read again; undefined when there are none. */
  registers(slot: number): Buffer | undefined {
    const length = this.#generalLength[slot] ?? 0;
    return length === 0 ? undefined : this.#slots[slot]?.general.bytes.subarray(0, length);
  }

  /** Copies, as a capture holds them. */
  copy(slot: number): Pick<CapturedThread, 'registers' | 'fpRegisters' | 'xstate'> {
    const registers = this.registers(slot);
    const length = this.#xstateLength[slot] ?? 0;
    const xstate = length === 0 ? undefined : this.#slots[slot]?.xstate.bytes.subarray(0, length);
    if (registers === undefined) return {};
    if (xstate === undefined || xstate.length < fxsaveBytes) return { registers: Uint8Array.from(registers) };
    const fpRegisters = Uint8Array.from(xstate.subarray(0, fxsaveBytes));
    fpRegisters.fill(0, softwareReservedAt);
    return { registers: Uint8Array.from(registers), fpRegisters, xstate: Uint8Array.from(xstate) };
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
  }
}
