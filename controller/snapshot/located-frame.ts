/** A physical frame with the debug information of its module: what locations and entry values are evaluated in. */
import { isAbsent } from '../../format/absent.js';
import { runtimeAddress, toLink, type LinkAddress } from '../../format/address.js';
import type { ExpressionUnit, ModuleSymbols, Scope } from '../symbols/module-symbols.js';
import type { PhysicalFrame } from '../unwind/unwind.js';
import { callStack } from './call-stack.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';

export interface FrameEvaluation {
  readonly snapshot: Snapshot;
  readonly thread: SnapshotThread;
  /** Index into the frames of the thread's call stack. */
  readonly index: number;
  readonly frame: PhysicalFrame<SnapshotModule>;
  readonly module: SnapshotModule;
  readonly symbols: ModuleSymbols;
  /** Address to look things up by. */
  readonly address: LinkAddress;
}

/** Undefined when no module with usable debug information is at the frame's pc. */
export function evaluationOf(
  snapshot: Snapshot,
  thread: SnapshotThread,
  index: number,
): FrameEvaluation | undefined {
  const frame = callStack(snapshot, thread).frames[index];
  const module = frame?.module;
  const symbols = module?.symbols();
  if (frame === undefined || module === undefined || symbols === undefined || isAbsent(symbols))
    return undefined;
  const address = toLink(runtimeAddress(frame.lookupPc), module.bias);
  return { snapshot, thread, index, frame, module, symbols, address };
}

/** Any scope of the frame's source stack knows the frame base of the concrete function. */
export interface EvaluationScope {
  readonly scope?: Scope | undefined;
  readonly unit?: ExpressionUnit | undefined;
}
