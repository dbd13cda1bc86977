/** A thread's record of the task iterator, read back and judged. Pure. */
import { badData } from '../../../format/error.js';
import { ptRegsBytes, userRegisterOffset, userRegistersBytes } from '../../../format/registers/x86-64.js';
import { threadRecord } from '../../bpf/compile-observe.js';

export interface ObservedThread {
  readonly tid: number;
  readonly comm: string;
  /** The letter of /proc/PID/stat. */
  readonly state: string;
  /** CLOCK_MONOTONIC. */
  readonly timeNs: bigint;
  /**
   * `still`: it did not run while it was read, so registers and stack are true and belong together. `ran`: it ran in
   * between. `running`: it was on a CPU, its saved registers are old. `none`: it has no user state.
   */
  readonly verdict: 'still' | 'ran' | 'running' | 'none';
  /** A `user_regs_struct`. */
  readonly registers: Uint8Array;
  readonly unknownRegisters: readonly string[];
  readonly stackAddress: bigint;
  readonly stack: Uint8Array;
}

const PF_IO_WORKER = 0x10;
const PF_USER_WORKER = 0x4000;
const PF_KTHREAD = 0x20_0000;
const noUserState = PF_IO_WORKER | PF_USER_WORKER | PF_KTHREAD;

const TASK_REPORT = 0x7f;
const TASK_IDLE = 0x402;
/** fs/proc/array.c `task_state_array`, by the highest bit of the state. */
const stateLetters = 'RSDTtXZP';

/** The letter that /proc shows. */
export function stateLetter(state: number, exitState: number): string {
  if ((state & TASK_IDLE) === TASK_IDLE) return 'I';
  const bits = (state | exitState) & TASK_REPORT;
  return stateLetters[bits === 0 ? 0 : 32 - Math.clz32(bits)] ?? 'R';
}

/** The parts are copies. */
export function readThreadRecord(record: Uint8Array, stackBytes: number): ObservedThread {
  if (record.length < threadRecord.stack) throw badData(`a thread's record has only ${record.length} bytes`);
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const u64 = (offset: number): bigint => view.getBigUint64(offset, true);
  const comm = record.subarray(threadRecord.comm, threadRecord.comm + 16);
  const nul = comm.indexOf(0);
  const stackLength = Math.min(u32(threadRecord.stackLength), stackBytes);

  const registers = new Uint8Array(userRegistersBytes);
  registers.set(record.subarray(threadRecord.registers, threadRecord.registers + ptRegsBytes));
  const out = new DataView(registers.buffer);
  const unknownRegisters: string[] = [];
  for (const name of ['fs', 'gs'] as const) {
    const selector = view.getUint16(threadRecord[name], true);
    out.setBigUint64(userRegisterOffset(name), BigInt(selector), true);
    // With a selector the base is in a descriptor table, and what is saved here is not used.
    if (selector === 0) {
      out.setBigUint64(userRegisterOffset(`${name}_base`), u64(threadRecord[`${name}Base`]), true);
    } else unknownRegisters.push(`${name}_base`);
  }
  for (const name of ['ds', 'es'] as const)
    out.setBigUint64(userRegisterOffset(name), BigInt(view.getUint16(threadRecord[name], true)), true);

  return {
    tid: u32(threadRecord.tid),
    comm: Buffer.from(comm.subarray(0, nul < 0 ? 16 : nul)).toString('utf8'),
    state: stateLetter(u32(threadRecord.state), u32(threadRecord.exitState)),
    timeNs: u64(threadRecord.time),
    verdict: judge(u32, u64),
    registers,
    unknownRegisters,
    stackAddress: u64(threadRecord.stackAddress),
    // NB: not `slice`, which does not copy where the record is a Buffer.
    stack: new Uint8Array(record.subarray(threadRecord.stack, threadRecord.stack + stackLength)),
  };
}

function judge(u32: (offset: number) => number, u64: (offset: number) => bigint): ObservedThread['verdict'] {
  if ((u32(threadRecord.flags) & noUserState) !== 0 || u32(threadRecord.exitState) !== 0) return 'none';
  if (u32(threadRecord.onCpuBefore) !== 0) return 'running';
  if (u32(threadRecord.onCpuAfter) !== 0) return 'ran';
  return u64(threadRecord.switchesBefore) === u64(threadRecord.switchesAfter) ? 'still' : 'ran';
}
