/**
 * The task iterator program of the `observe` engine: for each thread of a process its saved user registers and the memory
 * above its stack pointer, one record a thread through a ring buffer. Nothing is stopped, so the program also reads, before and after,
 * whether the thread was on a CPU and how often it was switched: only a thread that did not run in between has told the truth.
 * Pure: type information in, instructions out.
 */
import { StillframeError } from '../../format/error.js';
import { ptRegsBytes, userRegisterOffset } from '../../format/registers/x86-64.js';
import { type AssembledProgram, Assembler, type Label, type Register, type Width } from './assembler.js';
import type { Btf } from './btf.js';
import { compileWindow } from './compile-window.js';
import { bpfHelpers } from './helper-calls.js';
import { pageBytes } from './record-layout.js';

/** Offsets in a thread's record. All of the `task_struct` unless said otherwise. */
export const threadRecord = {
  /** u32 each. */
  tid: 0,
  pid: 4,
  state: 8,
  exitState: 12,
  flags: 16,
  /** u32: bytes of the window that were read; may exceed it by what is to be ignored. */
  stackLength: 20,
  /** 16 bytes. */
  comm: 24,
  /** u32: on a CPU when looked at first, and last. */
  onCpuBefore: 40,
  onCpuAfter: 44,
  /** u64: voluntary and involuntary switches, first and last. */
  switchesBefore: 48,
  switchesAfter: 56,
  /** u64 each. */
  fsBase: 64,
  gsBase: 72,
  /** u16 each. */
  ds: 80,
  es: 82,
  fs: 84,
  gs: 86,
  /** u64: nanoseconds of CLOCK_MONOTONIC. */
  time: 88,
  /** u64: address of the window. */
  stackAddress: 96,
  /** `struct pt_regs`. */
  registers: 104,
  /** As far as it was read. */
  stack: 272,
} as const;

export function threadRecordBytes(stackBytes: number): number {
  return threadRecord.stack + (stackBytes === 0 ? 0 : Math.ceil(stackBytes / 8) * 8 + pageBytes);
}

/** Members of `task_struct` that the program reads, with where each goes. */
const copied = [
  ['pid', 4, threadRecord.tid],
  ['tgid', 4, threadRecord.pid],
  ['__state', 4, threadRecord.state],
  ['exit_state', 4, threadRecord.exitState],
  ['flags', 4, threadRecord.flags],
  ['thread.fsbase', 8, threadRecord.fsBase],
  ['thread.gsbase', 8, threadRecord.gsBase],
  ['thread.ds', 2, threadRecord.ds],
  ['thread.es', 2, threadRecord.es],
  ['thread.fsindex', 2, threadRecord.fs],
  ['thread.gsindex', 2, threadRecord.gs],
] as const satisfies readonly (readonly [string, Width, number])[];

export interface ObserveOptions {
  readonly btf: Btf;
  readonly ringFd: number;
  readonly stackBytes: number;
  /** A hash map with the thread ids that are wanted as keys; all without it. */
  readonly wantedFd?: number;
}

/** `struct bpf_iter__task`: the meta pointer, then the task. */
const contextTask = 8;
const local = -16;
/** Leaf functions keep variables below their stack pointer (psABI 3.2.2). */
const redZoneBytes = 128;

/** Throws `unsupported` when this kernel's type information lacks what is read. */
export function compileObserve(options: ObserveOptions): AssembledProgram {
  const asm = new Assembler().section('threads');
  const { btf, stackBytes } = options;
  const out = asm.label('out');
  asm.loadMemory(8, 7, 1, contextTask).jumpIfImm('eq', 7, 0, out);
  if (options.wantedFd !== undefined) filter(asm, btf, options.wantedFd, out);
  asm
    .loadMap(1, options.ringFd)
    .load(2, BigInt(threadRecordBytes(stackBytes)))
    .load(3, 0n)
    .call(bpfHelpers.bpf_ringbuf_reserve)
    .jumpIfImm('eq', 0, 0, out)
    .mov(9, 0);

  const onCpu = member(btf, 'on_cpu', 4);
  asm
    .loadMemory(4, 1, 7, onCpu)
    .storeMemory(4, 9, threadRecord.onCpuBefore, 1)
    .storeMemory(4, 9, threadRecord.onCpuAfter, 1);
  switches(asm, btf, threadRecord.switchesBefore);
  asm.storeMemory(8, 9, threadRecord.switchesAfter, 1);
  for (const [name, width, to] of copied)
    asm.loadMemory(width, 1, 7, member(btf, name, width)).storeMemory(width, 9, to, 1);
  const comm = member(btf, 'comm', 16);
  for (const half of [0, 8])
    asm.loadMemory(8, 1, 7, comm + half).storeMemory(8, 9, threadRecord.comm + half, 1);
  asm
    .storeImm(4, 9, threadRecord.stackLength, 0)
    .storeImm(8, 9, threadRecord.stackAddress, 0)
    .call(bpfHelpers.bpf_ktime_get_ns)
    .storeMemory(8, 9, threadRecord.time, 0);

  asm.mov(1, 7).call(bpfHelpers.bpf_task_pt_regs);
  asm.mov(3, 0).mov(1, 9).aluImm('add', 1, threadRecord.registers).load(2, BigInt(ptRegsBytes));
  asm.call(bpfHelpers.bpf_probe_read_kernel);

  // The saved registers of a thread that runs are those of its last entry to the kernel: not worth a stack.
  const submit = asm.label('submit');
  asm.loadMemory(4, 1, 9, threadRecord.onCpuBefore).jumpIfImm('ne', 1, 0, submit);
  if (stackBytes > 0) stack(asm, stackBytes);
  // NB: first whether it runs, then how often it was switched: a run that began and ended in between shows in the count, one that goes on
  // shows in on_cpu. The kernel counts before it takes a thread off its CPU.
  asm.section('consistency').loadMemory(4, 1, 7, onCpu).storeMemory(4, 9, threadRecord.onCpuAfter, 1);
  switches(asm, btf, threadRecord.switchesAfter);
  asm.bind(submit).mov(1, 9).load(2, 0n).call(bpfHelpers.bpf_ringbuf_submit);
  asm.bind(out).load(0, 0n).exit();
  return asm.assemble();
}

function member(btf: Btf, path: string, size: number): number {
  const found = btf.findMember('task_struct', path);
  if (found?.size !== size) {
    const state = found === undefined ? 'has no' : `has ${found.size} bytes for`;
    throw new StillframeError(
      'unsupported',
      `cannot read threads: task_struct of this kernel ${state} ${path}`,
    );
  }
  return found.offset;
}

function filter(asm: Assembler, btf: Btf, wantedFd: number, out: Label): void {
  asm
    .loadMemory(4, 1, 7, member(btf, 'pid', 4))
    .storeMemory(4, 10, local, 1)
    .loadMap(1, wantedFd)
    .mov(2, 10)
    .aluImm('add', 2, local)
    .call(bpfHelpers.bpf_map_lookup_elem)
    .jumpIfImm('eq', 0, 0, out);
}

/** r1 = all switches of the thread, also stored. */
function switches(asm: Assembler, btf: Btf, to: number): void {
  const scratch: Register = 2;
  asm
    .loadMemory(8, 1, 7, member(btf, 'nvcsw', 8))
    .loadMemory(8, scratch, 7, member(btf, 'nivcsw', 8))
    .alu('add', 1, scratch)
    .storeMemory(8, 9, to, 1);
}

function stack(asm: Assembler, stackBytes: number): void {
  asm
    .section('stack')
    .loadMemory(8, 6, 9, threadRecord.registers + userRegisterOffset('rsp'))
    .aluImm('sub', 6, redZoneBytes)
    .storeMemory(8, 9, threadRecord.stackAddress, 6);
  compileWindow(asm, {
    address: 6,
    dataOffset: threadRecord.stack,
    lengthOffset: threadRecord.stackLength,
    bytes: stackBytes,
    read: () => {
      asm.mov(4, 7).load(5, 0n).call(bpfHelpers.bpf_copy_from_user_task);
    },
  });
}
