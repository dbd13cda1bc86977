/**
 * How long functions take (`format/plan/timing.ts`), as eBPF: a program at each entry notes the time in a map, the program at a return takes the note.
 *
 * The map forgets what was not used for long when it is full: then a time is not known, and never false. Its entries are used again for other
 * keys at once, perhaps while somebody looks at one; so the value holds the key too, behind which the time was written, and is believed only
 * where the key is still the same after the time was read.
 */
import type { PlanTiming } from '../../format/plan/timing.js';
import { dwarfRegisterOffset, dwarfRsp } from '../../format/registers/x86-64.js';
import { type BpfMap, createMap } from '../linux/bpf.js';
import { type AssembledProgram, Assembler, type Label } from './assembler.js';
import { bpfHelpers } from './helper-calls.js';
import { emitUserRead } from './user-read.js';

/** Calls that can be going on at once. */
const maxCalls = 16_384;

const keyOffset = -8;
/** Of the value, on the stack: the key, and behind it the time. */
const valueOffset = -24;
const timeWithin = 8;
const valueBytes = 16;

const r14 = 14;
/** `runtime.g`: its stack's end is the second word. */
const stackEndWithin = 8;
/** A goroutine is at a multiple of 32 below 2^47, and its stack less than 32 MiB, in words: together 64 bits. */
const goroutineAlignment = 32;
const goroutineShift = 17;
const maxStackBytes = 32 * 1024 * 1024;

/** What stands for a time that is not known. */
export const noDuration = -1;

export function createCallTimes(): BpfMap {
  return createMap({
    type: 'BPF_MAP_TYPE_LRU_HASH',
    name: 'call_times',
    keySize: 8,
    valueSize: valueBytes,
    maxEntries: maxCalls,
  });
}

export interface TimingOptions {
  readonly timing: PlanTiming;
  readonly timesFd: number;
  readonly sleepable: boolean;
}

/** The program of all entries. */
export function compileEntry(options: TimingOptions & { readonly onlyPid?: number }): AssembledProgram {
  const asm = new Assembler().section('entry').mov(6, 1);
  const done = asm.label('done');
  if (options.onlyPid !== undefined) {
    const { onlyPid } = options;
    asm.call(bpfHelpers.bpf_get_current_pid_tgid).aluImm('rsh', 0, 32).jumpIfImm('ne', 0, onlyPid, done);
  }
  emitKey(asm, options, done);
  asm
    .loadMemory(8, 1, 10, keyOffset)
    .storeMemory(8, 10, valueOffset, 1)
    .call(bpfHelpers.bpf_ktime_get_ns)
    .storeMemory(8, 10, valueOffset + timeWithin, 0);
  withKey(asm, options.timesFd).mov(3, 10).aluImm('add', 3, valueOffset).load(4, 0n);
  asm.call(bpfHelpers.bpf_map_update_elem).jumpIfImm('eq', 0, 0, done);
  // No room: then the note of a call that left without returning must not pass for the one of this call.
  withKey(asm, options.timesFd).call(bpfHelpers.bpf_map_delete_elem).bind(done).load(0, 0n).exit();
  return asm.assemble();
}

/** Emits r8 = nanoseconds since the entry, or {@link noDuration}; the note is gone then. r6 is the context. */
export function emitDuration(asm: Assembler, options: TimingOptions): void {
  const done = asm.label('duration');
  asm.section('duration').load(8, BigInt(noDuration));
  emitKey(asm, options, done);
  withKey(asm, options.timesFd).call(bpfHelpers.bpf_map_lookup_elem).jumpIfImm('eq', 0, 0, done);
  const other = asm.label('of another call');
  asm
    .loadMemory(8, 7, 0, timeWithin)
    .loadMemory(8, 1, 0, 0)
    .loadMemory(8, 2, 10, keyOffset)
    .jumpIf('ne', 1, 2, other)
    .call(bpfHelpers.bpf_ktime_get_ns)
    .mov(8, 0)
    .alu('sub', 8, 7);
  withKey(asm, options.timesFd).call(bpfHelpers.bpf_map_delete_elem);
  asm.bind(other).bind(done);
}

function withKey(asm: Assembler, fd: number): Assembler {
  return asm.loadMap(1, fd).mov(2, 10).aluImm('add', 2, keyOffset);
}

/** Stores what the call is known by, or goes to `none`. */
function emitKey(asm: Assembler, { timing, sleepable }: TimingOptions, none: Label): void {
  const rsp = registerOffset(dwarfRsp);
  if (timing.key === 'stack') {
    asm.loadMemory(8, 1, 6, rsp).storeMemory(8, 10, keyOffset, 1);
    return;
  }
  asm
    .loadMemory(8, 7, 6, registerOffset(r14))
    .mov(1, 7)
    .aluImm('and', 1, goroutineAlignment - 1)
    .jumpIfImm('ne', 1, 0, none)
    .mov(1, 7)
    .aluImm('rsh', 1, 47)
    .jumpIfImm('ne', 1, 0, none);
  asm.mov(1, 10).aluImm('add', 1, keyOffset).load(2, 8n).mov(3, 7).aluImm('add', 3, stackEndWithin);
  emitUserRead(asm, sleepable);
  asm
    .jumpIfImm('ne', 0, 0, none)
    .loadMemory(8, 1, 10, keyOffset)
    .loadMemory(8, 2, 6, rsp)
    .alu('sub', 1, 2)
    .jumpIfImm('ge', 1, maxStackBytes, none)
    .mov(2, 1)
    .aluImm('and', 2, 7)
    .jumpIfImm('ne', 2, 0, none)
    .aluImm('rsh', 1, 3)
    .aluImm('lsh', 7, goroutineShift)
    .alu('or', 1, 7)
    .storeMemory(8, 10, keyOffset, 1);
}

function registerOffset(dwarfNumber: number): number {
  const offset = dwarfRegisterOffset(dwarfNumber);
  if (offset === undefined) throw new TypeError(`register ${dwarfNumber} has no offset`);
  return offset;
}
