/**
 * From the registers of a thread to its stack of frames, by call frame information (DWARF5 6.4). Innermost first; inlined functions
 * are not told apart here. It reads memory through a MemoryReader, ends where the stack does, and says why when it ends before.
 * It never loops: each frame lies above the one it called, and there are at most `limits.maxFrames`.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { hex, runtimeAddress, toLink } from '../../format/address.js';
import { defaultLimits, type Limits } from '../../format/limits.js';
import type { MemoryReader } from '../../format/memory.js';
import type { CallFrameRow } from '../dwarf/call-frame.js';
import type { Architecture, ThreadState } from './architecture.js';
import type { FrameRegisters } from './frame-registers.js';
import { callerRegisters, computeCfa, type StepContext } from './frame-step.js';
import {
  followsCall,
  isSignalReturn,
  stepByLastResort,
  stepByReturn,
  type ResortInput,
  type ResortStep,
} from './last-resort.js';
import type { MappedModule, ModuleMap } from './module-map.js';

export interface PhysicalFrame<M extends MappedModule = MappedModule> {
  readonly pc: bigint;
  /** What to look up for this frame: inside of the call instruction for a caller, whose pc is already past it. */
  readonly lookupPc: bigint;
  readonly cfa: bigint | Absent;
  readonly registers: FrameRegisters;
  readonly module: M | undefined;
  /** The frame that the kernel pushed to run a signal handler. */
  readonly signalFrame: boolean;
  /**
   * How it was found. `frame-pointer`, `prologue` and `stack-top` are guesses that were checked for plausibility; `tail-call` is a frame that is no
   * more, which others infer.
   */
  readonly foundBy:
    | 'thread'
    | 'call-frame'
    | 'tail-call'
    | 'signal-trampoline'
    | 'plt'
    | 'return'
    | 'prologue'
    | 'frame-pointer'
    | 'stack-top';
}

export interface UnwindInput<M extends MappedModule = MappedModule> {
  readonly thread: ThreadState;
  readonly memory: MemoryReader;
  readonly modules: ModuleMap<M>;
  readonly limits?: Limits;
  readonly architecture: Architecture;
}

export interface Unwound<M extends MappedModule = MappedModule> {
  readonly frames: readonly PhysicalFrame<M>[];
  /** Why there may be more frames than these; undefined when the stack ends here. */
  readonly stopped?: Absent;
}

export function unwindThread<M extends MappedModule>(input: UnwindInput<M>): Unwound<M> {
  const { architecture, memory, limits = defaultLimits } = input;
  const signatureBits = architecture.signatureBits(input.thread);
  const context: StepContext = { architecture, memory, limits, signatureBits };
  const registers = architecture.threadRegisters(input.thread);
  const frames: PhysicalFrame<M>[] = [];
  let next: NextFrame | End | Absent = {
    registers,
    exact: true,
    foundBy: 'thread',
    above: undefined,
    calleePc: undefined,
  };
  while (!isAbsent(next) && !('end' in next)) {
    if (frames.length >= limits.maxFrames)
      return { frames, stopped: absent('limit', `the stack has more than ${limits.maxFrames} frames`) };
    const pc = next.registers.value(architecture.programCounter);
    if (isAbsent(pc)) {
      next = pc;
      break;
    }
    const step: Step<M> = stepFrame(next, pc, input.modules, context);
    frames.push(step.frame);
    next = step.next;
  }
  if (!isAbsent(next)) return { frames };
  return { frames, stopped: withStackHint(next, registers, context) };
}

/** What is known of a frame before its own row is found. */
interface NextFrame {
  readonly registers: FrameRegisters;
  readonly exact: boolean;
  readonly foundBy: PhysicalFrame['foundBy'];
  /** Its CFA must lie above this one: that of the frame it called. */
  readonly above: bigint | undefined;
  /** The pc of the frame it called. */
  readonly calleePc: bigint | undefined;
}

interface End {
  readonly end: true;
}

interface Step<M extends MappedModule> {
  readonly frame: PhysicalFrame<M>;
  readonly next: NextFrame | End | Absent;
}

function stepFrame<M extends MappedModule>(
  from: NextFrame,
  pc: bigint,
  modules: ModuleMap<M>,
  context: StepContext,
): Step<M> {
  const { registers, foundBy } = from;
  if (pc === 0n && !from.exact) return { frame: bottomFrame(registers, foundBy), next: { end: true } };
  const found = withSeparateFile(findRow(pc, from.exact, modules, context));
  const { row, module, lookupPc } = found;
  const base = { pc, registers, module, foundBy };
  if (isAbsent(row) || module === undefined || isBeyondTables(row, pc, context)) {
    const resort = stepByLastResort({ ...context, pc, registers, modules, module, exact: from.exact });
    if (resort === undefined) {
      const cfa = isAbsent(row)
        ? row
        : absent('unwind-failed', `nothing leads on from ${hex(pc)}`, { address: pc });
      return { frame: { ...base, lookupPc, cfa, signalFrame: false }, next: cfa };
    }
    const signalFrame = resort.by === 'signal-trampoline';
    const frame = { ...base, lookupPc: signalFrame ? pc : lookupPc, cfa: resort.cfa, signalFrame };
    const next = toCaller(frame, resort.caller, resort.by, context);
    return { frame, next };
  }
  const { signalFrame } = row;
  const options = { ...context, bias: module.bias };
  const cfa = checkedCfa(computeCfa(row, registers, options), from, pc, context);
  const frame = { ...base, lookupPc, cfa, signalFrame };
  if (isAbsent(cfa)) return { frame, next: cfa };
  if (hasNoCaller(row)) return { frame, next: { end: true } };
  const caller = callerRegisters(row, cfa, registers, options);
  if (found.isBeginning === true && !leadsToCode(caller, modules, context)) {
    const detail = `no call leads to ${hex(pc)}: the stack was made by hand, and begins here`;
    return { frame, next: absent('unwind-failed', detail, { address: pc }) };
  }
  const atReturn = signalFrame
    ? undefined
    : contradiction(caller, { ...context, ...from, pc, modules, module });
  if (atReturn !== undefined)
    return {
      frame: { ...frame, cfa: atReturn.cfa },
      next: toCaller({ ...frame, cfa: atReturn.cfa }, atReturn.caller, atReturn.by, context),
    };
  return { frame, next: toCaller(frame, caller, signalFrame ? 'signal-trampoline' : 'call-frame', context) };
}

function leadsToCode(caller: FrameRegisters, modules: ModuleMap, context: StepContext): boolean {
  const pc = caller.value(context.architecture.programCounter);
  return !isAbsent(pc) && modules.isExecutable(pc);
}

/** Tables of hand-written code often forget the epilogue: at a return instruction the machine knows better where it goes. */
function contradiction(caller: FrameRegisters, input: ResortInput): ResortStep | undefined {
  const step = stepByReturn(input);
  if (step === undefined) return undefined;
  const { programCounter } = input.architecture;
  const told = caller.value(programCounter);
  return !isAbsent(told) && told === step.caller.value(programCounter) ? undefined : step;
}

/** Whoever makes a stack by hand puts a return address of 0 at its end; gdb shows it as a frame. */
function bottomFrame<M extends MappedModule>(
  registers: FrameRegisters,
  foundBy: PhysicalFrame['foundBy'],
): PhysicalFrame<M> {
  const cfa = absent('unwind-failed', 'the return address is 0: the stack ends here', { address: 0n });
  return { pc: 0n, lookupPc: 0n, cfa, registers, module: undefined, signalFrame: false, foundBy };
}

function toCaller<M extends MappedModule>(
  frame: PhysicalFrame<M>,
  caller: FrameRegisters,
  foundBy: PhysicalFrame['foundBy'],
  context: StepContext,
): NextFrame | End | Absent {
  const pc = caller.value(context.architecture.programCounter);
  if (isAbsent(pc)) return pc;
  return {
    registers: caller,
    exact: frame.signalFrame || frame.module?.isInjected?.(frame.lookupPc) === true,
    foundBy,
    // A signal handler may run on a stack of its own, anywhere.
    above: frame.signalFrame || isAbsent(frame.cfa) ? undefined : frame.cfa,
    calleePc: frame.pc,
  };
}

interface FoundRow<M extends MappedModule> {
  readonly module: M | undefined;
  readonly row: CallFrameRow | Absent;
  readonly lookupPc: bigint;
  /** No call leads there: somebody put the address of a function on a stack. */
  readonly isBeginning?: boolean;
}

/**
 * The row of a frame. The pc of a caller stands after its call, perhaps in the next function: what counts is the byte before.
 * But nothing called the code of a signal return: if the row right at the pc is one of those, the pc is exact.
 */
function findRow<M extends MappedModule>(
  pc: bigint,
  exact: boolean,
  modules: ModuleMap<M>,
  context: StepContext,
): FoundRow<M> {
  const at = rowAt(pc, modules);
  if (exact || (!isAbsent(at.row) && at.row.signalFrame) || isSignalReturn(pc, context)) return at;
  const before = rowAt(pc - 1n, modules);
  // Where a stack that was made by hand begins was never called either: it is the beginning of a function, with no call before it.
  const isBeginning = isAbsent(before.row) && !isAbsent(at.row) && !followsCall(pc, context);
  return isBeginning ? { ...before, module: at.module, row: at.row, isBeginning } : before;
}

/** Go has rows for the code of its signal return as for any other of its functions: to them it has a caller, which it has not. */
function isBeyondTables(row: CallFrameRow, pc: bigint, context: StepContext): boolean {
  return !row.signalFrame && isSignalReturn(pc, context);
}

/** The module's own file covers next to everything: what may be elsewhere is looked for last. */
function withSeparateFile<M extends MappedModule>(found: FoundRow<M>): FoundRow<M> {
  const { module, row, lookupPc } = found;
  if (module === undefined || !isAbsent(row) || isAbsent(module.elf)) return found;
  const other = module.separateCallFrames?.()?.findRow(toLink(runtimeAddress(lookupPc), module.bias));
  return other === undefined || isAbsent(other) ? found : { ...found, row: other };
}

function hasNoCaller(row: CallFrameRow): boolean {
  return row.rules.get(row.returnAddressRegister)?.kind === 'undefined';
}

function rowAt<M extends MappedModule>(lookupPc: bigint, modules: ModuleMap<M>): FoundRow<M> {
  const module = modules.find(lookupPc);
  if (module === undefined) {
    const row = absent('unwind-failed', `${hex(lookupPc)} is not in any module that is known`, {
      address: lookupPc,
    });
    return { module, row, lookupPc };
  }
  const table = module.callFrames();
  const row = isAbsent(table) ? table : table.findRow(toLink(runtimeAddress(lookupPc), module.bias));
  return { module, row, lookupPc };
}

/** Callers lie above those they call: anything else is a damaged stack, or one that was switched. */
function checkedCfa(
  cfa: bigint | Absent,
  from: NextFrame,
  pc: bigint,
  context: StepContext,
): bigint | Absent {
  if (isAbsent(cfa) || from.above === undefined || cfa > from.above) return cfa;
  // Where calls push nothing, a caller need not have a stack frame; but then it must be another function.
  if (cfa === from.above && context.architecture.entryCfaOffset === 0n && pc !== from.calleePc) return cfa;
  return absent(
    'unwind-failed',
    `the frame at ${hex(pc)} would lie at ${hex(cfa)}, not above the one that it called: the stack is damaged or was switched`,
    { address: cfa },
  );
}

/** Says how much stack would have to be taken, where it is the captured window that ended. */
function withStackHint(stopped: Absent, registers: FrameRegisters, context: StepContext): Absent {
  const stack = registers.value(context.architecture.stackPointer);
  if (stopped.absent !== 'not-captured' || stopped.address === undefined || isAbsent(stack)) return stopped;
  const wanted = stopped.address + 8n - stack + 128n;
  if (stopped.address < stack || wanted > BigInt(context.limits.maxStackBytes)) return stopped;
  let bytes = context.limits.defaultStackBytes;
  while (BigInt(bytes) < wanted * 2n && bytes < context.limits.maxStackBytes) bytes *= 2;
  return { ...stopped, hint: `--stack ${bytes} takes more of the stack` };
}
