/**
 * The beginning of a watch's program, which runs at each write: what was written, what was there before, and whether that is a hit at all. What it finds
 * lies in the program's frame, out of the way of expressions.
 */
import { userRegisterOffset } from '../../format/registers/x86-64.js';
import type { Assembler } from './assembler.js';
import { bpfHelpers } from './helper-calls.js';
import { type CounterName, stateOffsets } from './point-state.js';
import { recordHead } from './record-layout.js';

export interface WatchOptions {
  readonly address: bigint;
  readonly bytes: number;
  /** Runtime minus link address of the plan's module. */
  readonly bias: bigint;
  readonly onlyChanges: boolean;
  /** An array with one value, see {@link setupOffsets}, which programs only read. */
  readonly setupFd: number;
  /** A set of threads that were opened one by one: what they inherited besides is passed over. */
  readonly ownFd: number;
}

/** Offsets in the value of the map that says how far the setting up is. */
export const setupOffsets = { isLive: 0, initial: 8 } as const;

/** Below the room of expressions. */
const beforeOffset = -56;
const afterOffset = -64;
const keyOffset = -72;

interface Surroundings {
  readonly stateFd: number;
  readonly count: (name: CounterName) => void;
  readonly leave: () => void;
}

export function compileWritten(
  asm: Assembler,
  { address, bytes, onlyChanges, setupFd, ownFd }: WatchOptions,
  { stateFd, count, leave }: Surroundings,
): void {
  asm.section('watched value');
  passOverInherited(asm, ownFd, leave);
  const readable = asm.label('readable');
  asm
    .storeImm(8, 10, afterOffset, 0)
    .mov(1, 10)
    .aluImm('add', 1, afterOffset)
    .load(2, BigInt(bytes))
    .load(3, address)
    .call(bpfHelpers.bpf_probe_read_user)
    .jumpIfImm('eq', 0, 0, readable);
  count('conditionFault');
  leave();
  asm.bind(readable);
  const known = asm.label('value known');
  asm
    .loadMemory(8, 7, 10, afterOffset)
    .loadMapValue(8, stateFd, 0)
    .loadMemory(8, 1, 8, stateOffsets.isWatched)
    .atomic('xchg', 8, 8, stateOffsets.watched, 7)
    .jumpIfImm('ne', 1, 0, known)
    .load(1, 1n)
    .storeMemory(8, 8, stateOffsets.isWatched, 1)
    .loadMapValue(1, setupFd, 0)
    .loadMemory(8, 7, 1, setupOffsets.initial)
    .bind(known)
    .storeMemory(8, 10, beforeOffset, 7);
  leaveUnless(asm, leave, 'live', (go) =>
    asm.loadMapValue(1, setupFd, 0).loadMemory(8, 1, 1, setupOffsets.isLive).jumpIfImm('ne', 1, 0, go),
  );
  // A system call that fills the memory: the value is known from then on, but the registers are the kernel's.
  leaveUnless(asm, leave, 'written by the program', (go) =>
    asm.loadMemory(8, 1, 6, userRegisterOffset('cs')).aluImm('and', 1, 3).jumpIfImm('ne', 1, 0, go),
  );
  if (!onlyChanges) return;
  const changed = asm.label('changed');
  asm.loadMemory(8, 1, 10, afterOffset).loadMemory(8, 2, 10, beforeOffset).jumpIf('ne', 1, 2, changed);
  count('conditionFalse');
  leave();
  asm.bind(changed);
}

function leaveUnless(
  asm: Assembler,
  leave: () => void,
  name: string,
  jump: (go: ReturnType<Assembler['label']>) => void,
): void {
  const go = asm.label(name);
  jump(go);
  leave();
  asm.bind(go);
}

/** An event that was opened has a cookie, one that was inherited has none. */
function passOverInherited(asm: Assembler, ownFd: number, leave: () => void): void {
  const single = asm.label('not inherited besides');
  asm
    .mov(1, 6)
    .call(bpfHelpers.bpf_get_attach_cookie)
    .jumpIfImm('ne', 0, 0, single)
    .call(bpfHelpers.bpf_get_current_pid_tgid)
    .storeMemory(4, 10, keyOffset, 0)
    .loadMap(1, ownFd)
    .mov(2, 10)
    .aluImm('add', 2, keyOffset)
    .call(bpfHelpers.bpf_map_lookup_elem)
    .jumpIfImm('eq', 0, 0, single);
  leave();
  asm.bind(single);
}

/** Puts the values before and after into the record (r9). */
export function storeWritten(asm: Assembler): void {
  asm
    .loadMemory(8, 1, 10, beforeOffset)
    .storeMemory(8, 9, recordHead.before, 1)
    .loadMemory(8, 1, 10, afterOffset)
    .storeMemory(8, 9, recordHead.after, 1);
}
