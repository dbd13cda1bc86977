/**
 * The frames that a person sees: each physical frame once for the function and once for every function inlined there, innermost first,
 * numbered as gdb numbers them.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { runtimeAddress, toLink, type LinkAddress } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import { demangled } from '../symbols/demangle.js';
import type { ModuleSymbols, SourceFrame } from '../symbols/module-symbols.js';
import type { PhysicalFrame } from '../unwind/unwind.js';
import { callStack } from './call-stack.js';
import { evaluationOf, type FrameEvaluation } from './located-frame.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';

export interface LogicalFrame {
  readonly index: number;
  /** Undefined when not even a symbol is known. */
  readonly function: string | undefined;
  readonly source: SourceFrame | undefined;
  readonly inlined: boolean;
  readonly pc: bigint;
  readonly frame: PhysicalFrame<SnapshotModule>;
  /** Undefined when there is no debug information for its pc. */
  readonly evaluation: FrameEvaluation | undefined;
  /** Why its function or its variables are not known; or that it was found by guessing. */
  readonly absent: Absent | undefined;
}

export interface ThreadStack {
  readonly frames: readonly LogicalFrame[];
  /** Why there may be more frames; undefined when the stack ends here. */
  readonly stopped: Absent | undefined;
}

/** As gdb calls the frame that the kernel makes. */
export const signalFrameName = '<signal handler called>';

export function threadStack(snapshot: Snapshot, thread: SnapshotThread): ThreadStack {
  const { frames, stopped } = callStack(snapshot, thread);
  const logical: LogicalFrame[] = [];
  for (const [physicalIndex, frame] of frames.entries()) {
    for (const part of partsOf(snapshot, thread, frame, physicalIndex))
      logical.push({ index: logical.length, pc: frame.pc, frame, ...part });
  }
  return { frames: logical, stopped };
}

type Part = Pick<LogicalFrame, 'function' | 'source' | 'inlined' | 'evaluation' | 'absent'>;

function partsOf(
  snapshot: Snapshot,
  thread: SnapshotThread,
  frame: PhysicalFrame<SnapshotModule>,
  physicalIndex: number,
): Part[] {
  const nothing = { source: undefined, inlined: false, evaluation: undefined };
  if (frame.signalFrame) return [{ ...nothing, function: signalFrameName, absent: undefined }];
  const guessed = guess(frame);
  const { module } = frame;
  if (module === undefined) return [{ ...nothing, function: undefined, absent: guessed ?? noModule(frame) }];
  const symbols = module.symbols();
  if (isAbsent(symbols)) return [{ ...nothing, function: undefined, absent: symbols }];
  const link = toLink(runtimeAddress(frame.lookupPc), module.bias);
  try {
    const stack = symbols.sourceStack(link);
    const evaluation = evaluationOf(snapshot, thread, physicalIndex);
    // As gdb: of a function that is gone, and of what was inlined at its jump, the innermost only.
    const shown = frame.foundBy === 'tail-call' ? stack.slice(0, 1) : stack;
    if (shown.length > 0)
      return shown.map((source) => ({
        function: source.function === '' ? undefined : source.function,
        source,
        inlined: source.inlined && frame.foundBy !== 'tail-call',
        evaluation,
        absent: guessed,
      }));
    const name = symbolName(symbols, link);
    return [{ ...nothing, evaluation, function: name, absent: guessed ?? nameless(name, module) }];
  } catch (thrown) {
    if (!(thrown instanceof StillframeError)) throw thrown;
    const name = symbolName(symbols, link);
    return [{ ...nothing, function: name, absent: absent('no-debug-info', thrown.message) }];
  }
}

/** As a person writes it: gdb demangles, too. */
function symbolName(symbols: ModuleSymbols, link: LinkAddress): string | undefined {
  const symbol = symbols.symbolAt(link);
  return symbol === undefined ? undefined : demangled(symbol.name);
}

function nameless(name: string | undefined, { facts }: SnapshotModule): Absent | undefined {
  if (name !== undefined) return undefined;
  return absent('no-debug-info', `no debug information and no symbol of "${facts.path}" covers it`);
}

function noModule({ cfa }: PhysicalFrame): Absent | undefined {
  return isAbsent(cfa) ? cfa : undefined;
}

function guess(frame: PhysicalFrame): Absent | undefined {
  if (frame.foundBy === 'tail-call')
    return absent(
      'optimized-out',
      'the function left by a jump to the next inner one (a tail call): this frame is told from call sites, the stack has it no more',
    );
  if (frame.foundBy === 'prologue')
    return absent(
      'unwind-failed',
      'this frame was found by what the function that it called does to the stack when it begins, for want of call frame information: it may be wrong',
    );
  if (frame.foundBy === 'frame-pointer')
    return absent(
      'unwind-failed',
      'this frame was found by following frame pointers, for want of call frame information: it may be wrong',
    );
  if (frame.foundBy === 'stack-top')
    return absent(
      'unwind-failed',
      'this frame was found by the return address on top of the stack, for its callee is no code: it may be wrong',
    );
  return undefined;
}
