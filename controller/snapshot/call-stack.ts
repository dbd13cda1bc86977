/**
 * The frames of a thread as gdb tells them: those that unwinding found, with the tail callers that left between them, to the frame of
 * `main` or of the program's entry. What lies beyond is the C library's business and not the program's.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { AT } from '../../format/core/auxv.js';
import { runtimeAddress, toLink, toRuntime } from '../../format/address.js';
import type { FunctionSymbol } from '../symbols/module-symbols.js';
import { FrameRegisters, type RegisterValue } from '../unwind/frame-registers.js';
import type { Architecture } from '../unwind/architecture.js';
import type { PhysicalFrame, Unwound } from '../unwind/unwind.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';
import { tailCallersBetween, type TailCaller } from './tail-calls.js';

export interface CallStack {
  readonly frames: readonly PhysicalFrame<SnapshotModule>[];
  /** Why there may be more frames; undefined when the stack ends here. */
  readonly stopped: Absent | undefined;
}

/** Made once for each unwound stack: who looks at a frame is told of the same one again. */
const known = new WeakMap<Unwound<SnapshotModule>, CallStack>();

export function callStack(snapshot: Snapshot, thread: SnapshotThread): CallStack {
  const unwound = snapshot.stackOf(thread);
  let stack = known.get(unwound);
  if (stack === undefined) known.set(unwound, (stack = makeStack(snapshot, unwound)));
  return stack;
}

function makeStack(snapshot: Snapshot, unwound: Unwound<SnapshotModule>): CallStack {
  const frames: PhysicalFrame<SnapshotModule>[] = [];
  const isOutermost = outermostTest(snapshot);
  // A deep recursion asks the same of the same addresses again and again.
  const inner = new Set<bigint>();
  const between = new Map<string, readonly TailCaller[]>();
  for (const [i, frame] of unwound.frames.entries()) {
    frames.push(frame);
    if (!frame.signalFrame && !inner.has(frame.lookupPc)) {
      if (isOutermost(frame)) return { frames, stopped: undefined };
      inner.add(frame.lookupPc);
    }
    const caller = unwound.frames[i + 1];
    if (caller === undefined || caller.foundBy !== 'call-frame' || frame.signalFrame) continue;
    const pair = `${frame.lookupPc} ${caller.pc}`;
    const tailCallers = between.get(pair) ?? tailCallersBetween(snapshot, frame, caller);
    between.set(pair, tailCallers);
    for (const each of tailCallers) frames.push(virtualFrame(each, caller, snapshot.architecture));
  }
  return { frames, stopped: unwound.stopped };
}

/**
 * Where a goroutine or a thread begins, and where Go's runtime goes over to the stack of the thread, which holds nothing that called it: what the tables lead to from there
 * is what happens to lie beyond the stack. By the linker's names before and since Go 1.17.
 */
const bottomsOfGo = ['goexit', 'mcall', 'morestack', 'systemstack', 'clone', 'rt0_go'].flatMap((name) => [
  `runtime.${name}`,
  `runtime.${name}.abi0`,
]);

/** Whether a frame is that of `main`, by whatever name the language calls it, or of the entry of the program. Asked innermost first. */
function outermostTest(snapshot: Snapshot): (frame: PhysicalFrame<SnapshotModule>) => boolean {
  const { executable } = snapshot;
  const symbols = executable?.symbols();
  const symbol =
    symbols === undefined || isAbsent(symbols)
      ? undefined
      : (symbols.findSymbol('main.main') ?? symbols.findSymbol('main'));
  let main =
    executable === undefined || symbol === undefined ? undefined : toRuntime(symbol.address, executable.bias);
  const entry = snapshot.core.auxv.get(AT.AT_ENTRY);
  const bottoms = new Set<bigint>(
    symbols === undefined || isAbsent(symbols) || executable === undefined
      ? []
      : bottomsOfGo.flatMap((name) => {
          const found = symbols.findSymbol(name);
          return found === undefined ? [] : [toRuntime(found.address, executable.bias)];
        }),
  );
  return (frame) => {
    const begins = beginsProgram(frame);
    if (begins === 'known') return true;
    if (begins === 'hidden') main = undefined;
    const start = frame.module?.functionStart(frame.lookupPc);
    if (start === undefined) return false;
    // One that has called nothing may not have gone over yet.
    const hasCalled = frame.foundBy !== 'thread' && frame.foundBy !== 'signal-trampoline';
    return start === main || start === entry || (hasCalled && bottoms.has(start));
  };
}

type Beginning = FunctionSymbol['beginsProgram'];

/** By the beginnings of functions: thousands of stacks lead through the same few. */
const beginnings = new WeakMap<SnapshotModule, Map<bigint, Beginning>>();

function beginsProgram({ module, lookupPc }: PhysicalFrame<SnapshotModule>): Beginning {
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  const start = module.functionStart(lookupPc);
  if (start === undefined) return undefined;
  let ofModule = beginnings.get(module);
  if (ofModule === undefined) beginnings.set(module, (ofModule = new Map()));
  if (ofModule.has(start)) return ofModule.get(start);
  const begins = symbols.functionAt(toLink(runtimeAddress(lookupPc), module.bias))?.beginsProgram;
  ofModule.set(start, begins);
  return begins;
}

/** When it jumped, registers that functions preserve were its caller's again; of others, and of its part of the stack, nothing is left. */
function virtualFrame(
  { module, pc }: TailCaller,
  caller: PhysicalFrame<SnapshotModule>,
  architecture: Architecture,
): PhysicalFrame<SnapshotModule> {
  const values = new Map<number, RegisterValue | Absent>();
  for (const register of architecture.preserved) values.set(register, caller.registers.get(register));
  values.set(architecture.programCounter, { value: pc, provenance: 'file' });
  return {
    pc,
    lookupPc: pc - 1n,
    cfa: absent('optimized-out', 'the function left by a tail call, and its part of the stack is gone'),
    registers: new FrameRegisters({
      values,
      nameOf: (number) => architecture.nameOf(number),
      otherwise: 'was lost when the function left by a tail call',
    }),
    module,
    signalFrame: false,
    foundBy: 'tail-call',
  };
}
