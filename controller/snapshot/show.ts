/** A snapshot as the document of CLI.md: stacks, the locals of each frame, the captures that were asked for, the cost. */
import { absent, type Absent, type AbsentReason, isAbsent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import { StillframeError, type ErrorCode } from '../../format/error.js';
import { pointOfArming } from '../../format/identifier.js';
import type { Format } from '../types/format.js';
import { typeName } from '../types/type-name.js';
import { renderValue, renderVariable } from '../types/render.js';
import type { AbsentDocument, ValueDocument, VariableDocument } from '../types/value-document.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import {
  callersUnknown,
  type CaptureDocument,
  type FrameDocument,
  type GoroutineDocument,
  type LocationDocument,
  type SnapshotDocument,
  type ThreadDocument,
  type WrittenDocument,
} from './document.js';
import { evaluateText, renderContext } from './evaluate.js';
import { variablePlace } from './frame-evaluation.js';
import { threadStack, type LogicalFrame } from './frames.js';
import { findGoroutine, type Goroutine, goroutines } from './goroutines.js';
import type { Snapshot, SnapshotThread } from './open.js';
import { showWritten } from './written.js';

export interface ShowOptions {
  /** For a core of others: what to call it. */
  readonly id?: string;
  /** How deep pointers are followed. */
  readonly depth?: number;
  /** Locals of this frame of the first thread only; of all frames when not given. */
  readonly frame?: number;
  /** Frames of all threads, not only of the first. */
  readonly allThreads?: boolean;
  /** Frames of this goroutine, and not of a thread. */
  readonly goroutine?: number;
  readonly raw?: boolean;
}

export function showSnapshot(snapshot: Snapshot, options: ShowOptions = {}): SnapshotDocument {
  const { note } = snapshot.core;
  const first = (note === undefined ? undefined : snapshot.findThread(note.tid)) ?? snapshot.threads[0];
  const goroutine = options.goroutine === undefined ? undefined : findGoroutine(snapshot, options.goroutine);
  const frames =
    goroutine === undefined
      ? first === undefined
        ? []
        : threadFrames(snapshot, first, options)
      : goroutineFrames(snapshot, goroutine, options);
  const executable = snapshot.executable;
  const written = writtenOf(snapshot, first);
  return {
    id: note?.snapshot ?? options.id ?? snapshot.core.elf.source.name,
    point: pointOfArming(note?.point ?? ''),
    pid: snapshot.pid,
    tid: first?.tid ?? snapshot.pid,
    comm: snapshot.comm,
    host: note?.host ?? '',
    buildId: note?.buildId ?? executable?.facts.buildId ?? '',
    ...(note === undefined ? {} : { time: formatTime(note.timeNs) }),
    engine: note?.engine ?? 'core',
    location: { ...locationOf(snapshot, frames[0]), ...written?.by },
    frames,
    ...(goroutine === undefined ? {} : { goroutine: goroutineHead(goroutine) }),
    captures: first === undefined ? [] : showCaptures(snapshot, first, options),
    ...(written === undefined ? {} : { written }),
    threads: snapshot.threads.map((thread) => showThread(snapshot, thread, options)),
    ...(options.allThreads === true ? showGoroutines(snapshot, options) : {}),
    ...(note === undefined ? {} : { cost: note.cost }),
  };
}

function writtenOf(snapshot: Snapshot, thread: SnapshotThread | undefined): WrittenDocument | undefined {
  const written = snapshot.core.note?.written;
  if (written === undefined || thread === undefined) return undefined;
  return showWritten(snapshot, thread, written, threadStack(snapshot, thread).frames[0]);
}

/** Stacks of more goroutines than these are not told: somebody has to read them. */
const maxGoroutineStacks = 1000;

function showGoroutines(
  snapshot: Snapshot,
  options: ShowOptions,
): { goroutines?: readonly GoroutineDocument[] } {
  const found = goroutines(snapshot);
  // What a point captured has no more of them than the one that hit.
  if (found === undefined || (isAbsent(found) && snapshot.core.note !== undefined)) return {};
  if (isAbsent(found)) return { goroutines: [unknownGoroutine(found)] };
  return {
    goroutines: found.map((each, i): GoroutineDocument => {
      if (isAbsent(each)) return unknownGoroutine(each);
      const head = goroutineHead(each);
      if (i < maxGoroutineStacks) return { ...head, frames: goroutineFrames(snapshot, each, options) };
      const why = absent('limit', `the stacks of ${maxGoroutineStacks} goroutines are shown`);
      return { ...head, frames: [], absent: absentDocument(why) };
    }),
  };
}

function goroutineHead({
  id,
  state,
  waitReason,
  thread,
  stack,
}: Goroutine): Omit<GoroutineDocument, 'frames'> {
  return {
    id: id.toString(),
    state,
    ...(waitReason === undefined ? {} : { waitReason }),
    ...(thread === undefined ? {} : { thread }),
    ...(stack.absent === undefined ? {} : { absent: absentDocument(stack.absent) }),
  };
}

/** Locals of the runtime's own frames only where such a frame was asked for. */
function goroutineFrames(snapshot: Snapshot, { stack }: Goroutine, options: ShowOptions): FrameDocument[] {
  if (stack.absent !== undefined) return [];
  return threadFrames(snapshot, stack, options, (frame) => options.frame !== undefined || isOfProgram(frame));
}

/** What the scheduler keeps of a goroutine that it parks is told of no goroutine: it is the same for all of them. */
function isOfProgram(frame: LogicalFrame): boolean {
  return frame.function?.startsWith('runtime.') !== true;
}

function unknownGoroutine(why: Absent): GoroutineDocument {
  return { id: '', state: '?', frames: [], absent: absentDocument(why) };
}

/** The values of expressions in a frame of a thread, in order; each is a value, or the error that its text has. */
export function evaluateExpressions(
  snapshot: Snapshot,
  expressions: readonly string[],
  options: EvaluateOptions = {},
): (ValueDocument | StillframeError)[] {
  const goroutine = options.goroutine === undefined ? undefined : findGoroutine(snapshot, options.goroutine);
  const thread = goroutine?.stack ?? findThread(snapshot, options.tid);
  if (goroutine !== undefined && thread.absent !== undefined) {
    throw new StillframeError(
      'not-found',
      `cannot tell the frames of goroutine ${goroutine.id}: ${thread.absent.detail}`,
    );
  }
  const frame = findFrame(snapshot, thread, options.frame ?? 0);
  return expressions.map((text) => {
    try {
      const value = evaluateText(text, snapshot, thread, frame);
      return renderValue(value, { ...renderContext(snapshot, frame, options), path: text });
    } catch (thrown) {
      if (thrown instanceof StillframeError) return thrown;
      throw thrown;
    }
  });
}

export interface EvaluateOptions {
  readonly tid?: number | undefined;
  /** In this goroutine, and in no thread. */
  readonly goroutine?: number | undefined;
  readonly frame?: number | undefined;
  readonly depth?: number | undefined;
  readonly raw?: boolean | undefined;
  readonly format?: Format | undefined;
}

function findThread(snapshot: Snapshot, tid: number | undefined): SnapshotThread {
  const wanted = tid ?? snapshot.core.note?.tid;
  const thread = wanted === undefined ? snapshot.threads[0] : snapshot.findThread(wanted);
  if (thread !== undefined) return thread;
  throw new StillframeError('not-found', `cannot find thread ${wanted ?? 0} in the snapshot`, {
    candidates: snapshot.threads.map((each) => `${each.tid}`),
  });
}

/** Undefined for frame 0 of a thread without frames: globals can still be looked at. */
function findFrame(snapshot: Snapshot, thread: SnapshotThread, index: number): LogicalFrame | undefined {
  const { frames } = threadStack(snapshot, thread);
  const frame = frames[index];
  if (frame === undefined && (index !== 0 || frames.length > 0))
    throw new StillframeError(
      'not-found',
      `cannot find frame ${index}: ${thread.tid === 0 ? 'the goroutine' : `thread ${thread.tid}`} has ${frames.length} frames`,
    );
  return frame;
}

function showThread(snapshot: Snapshot, thread: SnapshotThread, options: ShowOptions): ThreadDocument {
  const { tid, comm, state } = thread;
  return {
    tid,
    comm,
    state,
    ...laterPart(snapshot, thread),
    ...(options.allThreads === true ? { frames: threadFrames(snapshot, thread, options) } : {}),
    ...(thread.absent === undefined ? {} : { absent: absentDocument(thread.absent) }),
  };
}

/** Of a thread that was read after the one that hit. */
function laterPart(
  { core: { note } }: Snapshot,
  { tid, absent: why }: SnapshotThread,
): Pick<ThreadDocument, 'provenance' | 'delayUs'> {
  if (note === undefined || note.point === '' || note.tid === tid || why !== undefined) return {};
  const provenance = note.threads.find((thread) => thread.tid === tid)?.provenance;
  if (provenance !== 'after-hit' && provenance !== 'racy') return {};
  const { delayUs } = note.ranges.find(({ path }) => path === `stack of ${tid}`) ?? {};
  return { provenance, ...(delayUs === undefined ? {} : { delayUs }) };
}

/** `wants`: whose locals are looked at. */
function threadFrames(
  snapshot: Snapshot,
  thread: SnapshotThread,
  options: ShowOptions,
  wants: (frame: LogicalFrame) => boolean = () => true,
): FrameDocument[] {
  const { frames, stopped } = threadStack(snapshot, thread);
  return frames.map((frame, i) => {
    const wanted = (options.frame === undefined || options.frame === frame.index) && wants(frame);
    const last = i === frames.length - 1;
    const own = frame.absent ?? frame.source?.absent;
    const why = last && stopped !== undefined ? withUnknownCallers(stopped, own) : own;
    return {
      index: frame.index,
      ...(frame.function === undefined ? {} : { function: frame.function }),
      ...fileAndLine(frame),
      address: hex(frame.pc),
      inlined: frame.inlined,
      locals: wanted ? showLocals(snapshot, frame, options) : [],
      ...(why === undefined ? {} : { absent: absentDocument(why) }),
    };
  });
}

function withUnknownCallers(stopped: Absent, frame: Absent | undefined): Absent {
  const before = frame === undefined || frame.detail === stopped.detail ? '' : `${frame.detail}; `;
  return { ...stopped, detail: `${before}${callersUnknown}: ${stopped.detail}` };
}

function fileAndLine({ source }: LogicalFrame): LocationDocument {
  return {
    ...(source?.file === undefined ? {} : { file: source.file }),
    ...(source?.line === undefined ? {} : { line: source.line }),
  };
}

/** Variables of a frame, innermost scope first. One that cannot be read costs only itself. */
export function showLocals(
  snapshot: Snapshot,
  frame: LogicalFrame,
  options: Pick<ShowOptions, 'depth' | 'raw'>,
): VariableDocument[] {
  const { evaluation, source } = frame;
  const scope = source?.scope;
  if (evaluation === undefined || scope === undefined) return [];
  return scope.variables.map((variable) => {
    const { name, parameter, shadowed } = variable;
    const read = (): VariableDocument => {
      const place = variablePlace(evaluation, variable, scope);
      const context = renderContext(snapshot, frame, { ...options, unit: variable.unit });
      return renderVariable(name, { type: variable.type(), place }, context, { parameter, shadowed });
    };
    return orAbsent(read, (why) => ({
      name,
      parameter,
      ...(shadowed ? { shadowed } : {}),
      type: typeText(variable),
      kind: 'void',
      absent: why,
    }));
  });
}

function typeText(variable: VariableSymbol): string {
  try {
    return typeName(variable.type());
  } catch {
    return '?';
  }
}

function orAbsent<T>(read: () => T, otherwise: (why: AbsentDocument) => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof StillframeError)) throw thrown;
    return otherwise({
      reason: reasonOf(thrown.code),
      detail: thrown.message,
      ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
    });
  }
}

function reasonOf(code: ErrorCode): AbsentReason {
  if (code === 'bad-expression') return 'not-in-scope';
  if (code === 'limit') return 'limit';
  if (code === 'unsupported') return 'unsupported';
  return 'no-debug-info';
}

function showCaptures(snapshot: Snapshot, thread: SnapshotThread, options: ShowOptions): CaptureDocument[] {
  const captures = snapshot.core.note?.request.captures ?? [];
  // Those of a watch name globals, whatever the frame calls by that name.
  const isWatch = snapshot.core.note?.written !== undefined;
  const frame = isWatch ? undefined : threadStack(snapshot, thread).frames[0];
  return captures.map((expression) =>
    orAbsent<CaptureDocument>(
      () => {
        const value = evaluateText(expression, snapshot, thread, frame);
        return {
          expression,
          ...renderValue(value, { ...renderContext(snapshot, frame, options), path: expression }),
        };
      },
      (why) => ({ expression, type: '?', kind: 'void', absent: why }),
    ),
  );
}

function locationOf(snapshot: Snapshot, frame: FrameDocument | undefined): LocationDocument {
  const location = snapshot.core.note?.location;
  if (location !== undefined) {
    const { address, ...rest } = location;
    return { ...rest, address: hex(address) };
  }
  if (frame === undefined) return {};
  return {
    ...(frame.function === undefined ? {} : { function: frame.function }),
    ...(frame.file === undefined ? {} : { file: frame.file }),
    ...(frame.line === undefined ? {} : { line: frame.line }),
    address: frame.address,
  };
}

export function absentDocument(why: Absent): AbsentDocument {
  return {
    reason: why.absent,
    detail: why.detail,
    ...(why.address === undefined ? {} : { address: hex(why.address) }),
    ...(why.length === undefined ? {} : { length: why.length }),
    ...(why.hint === undefined ? {} : { hint: why.hint }),
  };
}

/** RFC 3339 in UTC with nanoseconds. */
export function formatTime(timeNs: bigint): string {
  const seconds = timeNs / 1_000_000_000n;
  const date = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${date}.${(timeNs % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}
