/** Compares frames, lines and variables of a snapshot with what gdb says of the same core. */
import { evaluateExpressions, showLocals } from '../../controller/snapshot/show.js';
import { threadStack, type LogicalFrame } from '../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot, type SnapshotThread } from '../../controller/snapshot/open.js';
import { openSymbols } from '../../controller/service/symbols.js';
import type { ValueDocument, VariableDocument } from '../../controller/types/value-document.js';
import { hex } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import { compareValue, newTally, type Tally } from './compare-value.js';
import { gdbThreads, type GdbFrame, type GdbLocal, type GdbOptions, type GdbThread } from './gdb.js';

export type { Tally } from './compare-value.js';

const basename = (path: string | undefined): string | undefined => path?.replace(/.*\//, '');

/** A function without lines is known by a symbol only, and which of several aliases is taken is a matter of taste. */
function frameText(frame: {
  function?: string | null | undefined;
  file?: string | undefined;
  line?: number | undefined;
}): string {
  if (frame.file === undefined || frame.line === undefined || frame.line === 0) return '';
  return `${frame.function ?? '??'} ${basename(frame.file)}:${frame.line}`;
}

function gdbFrameText(frame: GdbFrame): string {
  const kind = frame.kind === 'inline' ? ' inlined' : frame.kind === 'tailcall' ? ' tail call' : '';
  return `${frame.pc} ${frameText(frame)}${kind}`;
}

function ourFrameText(frame: LogicalFrame): string {
  const { source } = frame;
  const text = frameText({ function: frame.function, file: source?.file, line: source?.line });
  const kind = frame.inlined ? ' inlined' : frame.frame.foundBy === 'tail-call' ? ' tail call' : '';
  return `${hex(frame.pc)} ${text}${kind}`;
}

function compareLocals(
  where: string,
  ours: readonly VariableDocument[],
  theirs: readonly GdbLocal[],
  tally: Tally,
): void {
  const names = (list: readonly { readonly name: string }[]): string[] =>
    list.map((each) => each.name).toSorted();
  if (JSON.stringify(names(ours)) !== JSON.stringify(names(theirs)))
    tally.differences.push(`${where}: gdb has ${names(theirs).join(' ')}; ours ${names(ours).join(' ')}`);
  const taken = new Set<VariableDocument>();
  for (const local of theirs) {
    const our = ours.find((each) => each.name === local.name && !taken.has(each));
    if (our === undefined) continue;
    taken.add(our);
    if (our.parameter !== local.parameter)
      tally.differences.push(`${where} ${local.name}: parameter ${our.parameter}`);
    if ((our.shadowed ?? false) !== local.shadowed)
      tally.differences.push(`${where} ${local.name}: shadowed ${our.shadowed}`);
    compareType(`${where} ${local.name}`, our, local, tally);
    compareValue(`${where} ${local.name}`, our, local.value, tally);
  }
}

/** gdb's type of the variable itself says nothing of a length that only the frame knows. */
function compareType(path: string, ours: ValueDocument, theirs: GdbLocal, tally: Tally): void {
  if (theirs.type === null || theirs.type.includes('variable length')) return;
  // Its Python writes a name of clang's in a way of its own; its commands do not.
  if (ours.type !== theirs.type.replace('unsigned int __int128', 'unsigned __int128'))
    tally.differences.push(`${path}: gdb's type is ${theirs.type}, ours ${ours.type}`);
}

interface Place {
  readonly snapshot: Snapshot;
  readonly thread: SnapshotThread;
  readonly frame: LogicalFrame;
  readonly where: string;
  readonly depth: number;
}

function compareFrame(place: Place, theirs: GdbFrame, tally: Tally): void {
  const { snapshot, frame, where, depth } = place;
  compareLocals(where, showLocals(snapshot, frame, { depth, raw: true }), theirs.locals, tally);
  const asked = [
    ...(theirs.globals ?? []).map((each) => [each.name, each.value] as const),
    ...(theirs.expressions ?? []),
  ];
  const answers = evaluateExpressions(
    snapshot,
    asked.map(([text]) => text),
    { tid: place.thread.tid, frame: frame.index, depth, raw: true },
  );
  for (const [i, [text, value]] of asked.entries()) {
    const answer = answers[i];
    if (answer === undefined) throw new Error(`no answer to ${text}`);
    compareValue(`${where} eval ${text}`, orAbsent(answer), value, tally);
  }
}

function orAbsent(answer: ValueDocument | StillframeError): ValueDocument {
  if (!(answer instanceof StillframeError)) return answer;
  return { type: '?', kind: 'void', absent: { reason: 'unsupported', detail: `error: ${answer.message}` } };
}

function compareThread(snapshot: Snapshot, theirs: GdbThread, depth: number, tally: Tally): void {
  const thread = snapshot.findThread(theirs.tid);
  if (thread === undefined) throw new Error(`no thread ${theirs.tid}`);
  const { frames } = threadStack(snapshot, thread);
  const real = theirs.frames;
  const [mine, others] = [frames.slice(0, 200).map(ourFrameText), real.map(gdbFrameText)];
  if (mine.join('\n') !== others.join('\n'))
    tally.differences.push(`frames: gdb has\n  ${others.join('\n  ')}\n ours\n  ${mine.join('\n  ')}`);
  for (const [i, gdbFrame] of real.entries()) {
    const frame = frames[i];
    if (frame === undefined || mine[i] !== others[i]) break;
    // gdb reads the variables of a function that left by a tail call from its caller's frame: they are not there any more.
    if (gdbFrame.kind === 'tailcall') continue;
    const where = `#${i} ${gdbFrame.function}`;
    compareFrame({ snapshot, thread, frame, where, depth }, gdbFrame, tally);
  }
}

export function compareCore(program: string, core: string, options: GdbOptions = {}): Tally {
  const tally = newTally();
  const directories = options.debugDirectory === undefined ? [] : [options.debugDirectory];
  const { sysroot } = options;
  using snapshot = openSnapshot(core, {
    ...(sysroot === undefined ? {} : { exe: program, sysroot }),
    openSymbols: (elf, file) => openSymbols(elf, file, directories),
  });
  for (const thread of gdbThreads(program, core, options))
    compareThread(snapshot, thread, options.depth ?? 0, tally);
  return tally;
}
