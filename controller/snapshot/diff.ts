/** Two snapshots, variable by variable: where their stacks part, and in the frames that both have what is the same and what differs. Pure. */
import { compareLeaves, type ComparedLeaf } from './compare-leaves.js';
import {
  callersUnknown,
  type FrameDocument,
  type LocationDocument,
  type SnapshotDocument,
} from './document.js';
import { leavesOf } from './leaves.js';

export interface DifferenceDocument {
  readonly a: SnapshotHead;
  readonly b: SnapshotHead;
  readonly stack: StackDifference;
  /** Frames of the same function, from the innermost to where the stacks part. */
  readonly frames: readonly FrameDifference[];
  /** Expressions that either asked for. */
  readonly captures: LeafDifference;
}

export type SnapshotHead = Pick<
  SnapshotDocument,
  'id' | 'point' | 'pid' | 'tid' | 'comm' | 'host' | 'buildId' | 'time' | 'location'
>;

export interface StackDifference {
  /** `unknown`: equal as far as both are known. */
  readonly same: 'yes' | 'no' | 'unknown';
  /** Frames from the innermost that are equal, line by line. */
  readonly common: number;
  /** What stands there where they part, or why it is not known. */
  readonly a?: string;
  readonly b?: string;
}

export interface FrameDifference extends LeafDifference {
  readonly index: number;
  readonly function: string;
  /** `file:line` in each. */
  readonly a: string;
  readonly b: string;
}

export interface LeafDifference {
  /** The most telling first. A value that is not known in one of them is here, with the reason. */
  readonly different: readonly { readonly name: string; readonly a: string; readonly b: string }[];
  readonly same: readonly { readonly name: string; readonly text: string }[];
}

export function diffSnapshots(a: SnapshotDocument, b: SnapshotDocument): DifferenceDocument {
  const frames: FrameDifference[] = [];
  for (const [i, frame] of a.frames.entries()) {
    const other = b.frames[i];
    if (other === undefined || frame.function === undefined || frame.function !== other.function) break;
    frames.push({
      index: i,
      function: frame.function,
      a: place(frame),
      b: place(other),
      ...leafDifference(compareLeaves([leavesOf(frame.locals), leavesOf(other.locals)])),
    });
  }
  const captures = compareLeaves([leavesOf([], a.captures), leavesOf([], b.captures)]);
  return {
    a: headOf(a),
    b: headOf(b),
    stack: stackDifference(a, b),
    frames,
    captures: leafDifference(captures),
  };
}

function leafDifference(leaves: readonly ComparedLeaf[]): LeafDifference {
  return {
    different: leaves
      .filter(({ same }) => !same)
      .map(({ name, texts: [a = '', b = ''] }) => ({ name, a, b })),
    same: leaves.filter(({ same }) => same).map(({ name, texts: [text = ''] }) => ({ name, text })),
  };
}

function headOf(document: SnapshotDocument): SnapshotHead {
  const { id, point, pid, tid, comm, host, buildId, time, location } = document;
  return { id, point, pid, tid, comm, host, buildId, ...(time === undefined ? {} : { time }), location };
}

function stackDifference(a: SnapshotDocument, b: SnapshotDocument): StackDifference {
  const oneProcess = a.pid === b.pid && a.host === b.host && a.buildId === b.buildId;
  let common = 0;
  for (;;) {
    const [left, right] = [a.frames[common], b.frames[common]];
    if (left === undefined || right === undefined) break;
    const equal = sameFrame(left, right, oneProcess);
    if (equal !== 'yes') return { same: equal, common, a: position(left), b: position(right) };
    common += 1;
  }
  const [left, right] = [endOf(a, common), endOf(b, common)];
  const isKnown = left.kind !== 'unknown' && right.kind !== 'unknown';
  if (left.kind === 'end' && right.kind === 'end') return { same: 'yes', common };
  return { same: isKnown ? 'no' : 'unknown', common, a: left.text, b: right.text };
}

/** What comes behind the frames that both have. */
function endOf(
  { frames }: SnapshotDocument,
  common: number,
): { readonly kind: 'frame' | 'end' | 'unknown'; readonly text: string } {
  const next = frames[common];
  if (next !== undefined) return { kind: 'frame', text: position(next) };
  const last = frames.at(-1);
  if (last === undefined) return { kind: 'unknown', text: 'no frame is known' };
  const why = last.absent?.detail ?? '';
  return why.includes(callersUnknown)
    ? { kind: 'unknown', text: why }
    : { kind: 'end', text: 'the stack ends' };
}

/** A frame without a name is known by its address, which means nothing in another process. */
function sameFrame(a: FrameDocument, b: FrameDocument, oneProcess: boolean): StackDifference['same'] {
  if (a.function === undefined && b.function === undefined && a.file === undefined && b.file === undefined) {
    if (oneProcess) return a.address === b.address ? 'yes' : 'no';
    return 'unknown';
  }
  if (a.function !== b.function || baseName(a.file) !== baseName(b.file)) return 'no';
  if (a.line === undefined && b.line === undefined) {
    return oneProcess && a.address !== b.address ? 'no' : 'yes';
  }
  return a.line === b.line ? 'yes' : 'no';
}

function position(frame: FrameDocument): string {
  const where = place(frame);
  return frame.function === undefined ? where : `${frame.function} ${where}`;
}

/** `orders.c:71`, or the address where no line is known. */
function place({ file, line, address }: LocationDocument): string {
  return file === undefined ? (address ?? '?') : `${baseName(file)}:${line ?? '?'}`;
}

function baseName(file: string | undefined): string | undefined {
  return file?.slice(file.lastIndexOf('/') + 1);
}
