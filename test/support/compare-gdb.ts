/** Compares frames, lines and locals of a snapshot with what gdb says of the same core. */
import { deepStrictEqual } from 'node:assert';
import { showLocals } from '../../controller/snapshot/show.js';
import { threadStack, type LogicalFrame } from '../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot } from '../../controller/snapshot/open.js';
import type { ValueDocument, VariableDocument } from '../../controller/types/value-document.js';
import { hex } from '../../format/address.js';
import {
  gdbThreads,
  type GdbFrame,
  type GdbLocal,
  type GdbOptions,
  type GdbThread,
  type GdbValue,
} from './gdb.js';

export interface Tally {
  compared: number;
  absent: number;
  /** What gdb shows and we do not, with our reason. */
  readonly withheld: string[];
  readonly differences: string[];
}

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
  return `${frame.pc} ${frameText(frame)}${frame.kind === 'inline' ? ' inlined' : ''}`;
}

function ourFrameText(frame: LogicalFrame): string {
  const { source } = frame;
  const text = frameText({ function: frame.function, file: source?.file, line: source?.line });
  return `${hex(frame.pc)} ${text}${frame.inlined ? ' inlined' : ''}`;
}

/** gdb prints 9 or 17 digits, we the shortest that read back the same: as that type. */
function sameFloat(ours: ValueDocument, theirs: string): boolean {
  const { value } = ours;
  if (value === undefined) return false;
  const read = (text: string): number => (ours.type === 'float' ? Math.fround(Number(text)) : Number(text));
  return (
    value === theirs || read(value) === read(theirs) || (value.includes('nan') && theirs.includes('nan'))
  );
}

function compareValue(path: string, ours: ValueDocument, theirs: GdbValue, tally: Tally): void {
  if (theirs.skipped === true) return;
  if (theirs.absent !== undefined) {
    tally.absent++;
    if (ours.absent === undefined)
      tally.differences.push(`${path}: gdb ${theirs.absent}, ours ${JSON.stringify(ours)}`);
    return;
  }
  // A string that is cut short has its pointer all the same.
  if (ours.absent !== undefined && ours.value === undefined) {
    tally.withheld.push(`${path}: ${ours.absent.reason}: ${ours.absent.detail}`);
    return;
  }
  if (theirs.fields !== undefined) {
    for (const [i, [name, value]] of theirs.fields.entries()) {
      const field =
        name === null || name === '' ? ours.fields?.[i] : ours.fields?.find((each) => each.name === name);
      if (field === undefined) tally.differences.push(`${path}.${name}: no such field`);
      else compareValue(`${path}.${name}`, field, value, tally);
    }
    return;
  }
  if (theirs.elements !== undefined) {
    if (theirs.length !== ours.length)
      tally.differences.push(`${path}: gdb has ${theirs.length} elements, ours ${ours.length}`);
    for (const [i, value] of theirs.elements.entries()) {
      const element = ours.elements?.[i];
      if (element === undefined) tally.differences.push(`${path}[${i}]: no such element`);
      else compareValue(`${path}[${i}]`, element, value, tally);
    }
    return;
  }
  tally.compared++;
  const same = theirs.float === undefined ? normal(ours) === theirs.value : sameFloat(ours, theirs.float);
  if (!same)
    tally.differences.push(`${path}: gdb ${theirs.float ?? theirs.value}, ours ${JSON.stringify(ours)}`);
}

/** gdb's script prints booleans as integers. */
function normal(value: ValueDocument): string | undefined {
  if (value.kind === 'bool')
    return value.value === 'true' ? '1' : value.value === 'false' ? '0' : value.value;
  return value.value;
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
    compareValue(`${where} ${local.name}`, our, local.value, tally);
  }
}

function compareThread(snapshot: Snapshot, theirs: GdbThread, tally: Tally): void {
  const thread = snapshot.findThread(theirs.tid);
  if (thread === undefined) throw new Error(`no thread ${theirs.tid}`);
  const { frames } = threadStack(snapshot, thread);
  // gdb makes up frames for functions that left by a tail call; they have no registers of their own.
  const real = theirs.frames.filter((frame) => frame.kind !== 'tailcall');
  deepStrictEqual(frames.slice(0, 200).map(ourFrameText), real.map(gdbFrameText));
  for (const [i, frame] of real.entries()) {
    const our = frames[i];
    if (our === undefined) continue;
    compareLocals(`#${i} ${frame.function}`, showLocals(snapshot, our, { depth: 0 }), frame.locals, tally);
  }
}

export function compareCore(program: string, core: string, options: GdbOptions = {}): Tally {
  const tally: Tally = { compared: 0, absent: 0, withheld: [], differences: [] };
  const { sysroot } = options;
  using snapshot = openSnapshot(core, sysroot === undefined ? {} : { exe: program, sysroot });
  for (const thread of gdbThreads(program, core, options)) compareThread(snapshot, thread, tally);
  return tally;
}
