/**
 * What makes two snapshots "the same stack": the frames of the thread that hit, each by function, file and line of the call where debug
 * information says them, else by symbol or offset in its module. Neither ASLR nor another build of the same source makes a
 * difference; how often a recursion went round makes none either. Where the unwinding broke off, that is part of the signature,
 * without the addresses that its reason names.
 */
import { createHash } from 'node:crypto';
import { isAbsent } from '../../format/absent.js';
import { hex, runtimeAddress, toLink } from '../../format/address.js';
import { threadStack, type LogicalFrame, type ThreadStack } from '../snapshot/frames.js';
import type { Snapshot } from '../snapshot/open.js';
import type { StackSignature } from './incident-store.js';

/** Frames that are compared, the innermost, after recursion is collapsed. */
const maxFrames = 64;
/** Functions that call each other in a round. */
const maxPeriod = 8;

export interface SignatureFrame {
  /** Equal for equal frames. */
  readonly key: string;
  readonly text: string;
}

export function stackSignature(snapshot: Snapshot): StackSignature {
  const { note } = snapshot.core;
  const thread = (note === undefined ? undefined : snapshot.findThread(note.tid)) ?? snapshot.threads[0];
  if (thread === undefined) return signatureOf([], '(the snapshot has no thread)');
  const stack = threadStack(snapshot, thread);
  return signatureOf(stack.frames.map(frameOf), endOf(stack));
}

/** `end`: why the stack goes on and is not known, in parentheses. */
export function signatureOf(frames: readonly SignatureFrame[], end: string | undefined): StackSignature {
  const collapsed = collapseRecursion(frames);
  const kept = collapsed.slice(0, maxFrames);
  const cut = collapsed.length > maxFrames ? `(the outer frames of more than ${maxFrames})` : end;
  const lines = cut === undefined ? [] : [cut];
  const hash = createHash('sha256');
  for (const key of [...kept.map((frame) => frame.key), ...lines]) hash.update(`${key}\0`);
  return { key: hash.digest('hex').slice(0, 32), frames: [...kept.map(({ text }) => text), ...lines] };
}

/** Equal frames, or equal rounds of a few, that follow each other are told once. */
export function collapseRecursion(frames: readonly SignatureFrame[]): readonly SignatureFrame[] {
  let before = frames;
  for (;;) {
    const after = collapseOnce(before);
    // NB: a round that becomes visible only when an inner one is collapsed; each turn is shorter than the one before.
    if (after.length === before.length) return after;
    before = after;
  }
}

function collapseOnce(frames: readonly SignatureFrame[]): SignatureFrame[] {
  const collapsed: SignatureFrame[] = [];
  for (let at = 0; at < frames.length;) {
    const period = periodAt(frames, at);
    if (period === undefined) {
      collapsed.push(...frames.slice(at, at + 1));
      at += 1;
      continue;
    }
    collapsed.push(...frames.slice(at, at + period));
    const first = at;
    at += period;
    while (repeats(frames, first, at, period)) at += period;
  }
  return collapsed;
}

function periodAt(frames: readonly SignatureFrame[], at: number): number | undefined {
  for (let period = 1; period <= maxPeriod; period++) {
    if (repeats(frames, at, at + period, period)) return period;
  }
  return undefined;
}

function repeats(frames: readonly SignatureFrame[], first: number, second: number, length: number): boolean {
  if (second + length > frames.length) return false;
  for (let i = 0; i < length; i++) {
    if (frames[first + i]?.key !== frames[second + i]?.key) return false;
  }
  return true;
}

function frameOf(logical: LogicalFrame): SignatureFrame {
  const { frame, source, absent } = logical;
  const module = frame.module === undefined ? undefined : baseName(frame.module.path);
  const isGuess = absent !== undefined && ['frame-pointer', 'prologue', 'stack-top'].includes(frame.foundBy);
  const doubt = isGuess ? ' (guessed)' : '';
  const at = (text: string): SignatureFrame => ({
    key: `${module ?? ''}!${text}${doubt}`,
    text: `${text}${doubt}`,
  });
  if (frame.signalFrame) return at(logical.function ?? '');
  if (source?.file !== undefined)
    return at(`${source.function} ${baseName(source.file)}:${source.line ?? '?'}`);
  if (frame.module === undefined) return at('??');
  const link = toLink(runtimeAddress(frame.lookupPc), frame.module.bias);
  const symbols = frame.module.symbols();
  const symbol = isAbsent(symbols) ? undefined : symbols.symbolAt(link);
  if (symbol === undefined) return at(`${module}+${hex(link)}`);
  return at(`${symbol.name}+${hex(symbol.offset)} ${module}`);
}

function endOf({ frames, stopped }: ThreadStack): string | undefined {
  if (stopped !== undefined) return `(the callers are not known: ${stopped.absent.replaceAll('-', ' ')})`;
  return frames.length === 0 ? '(no frame is known)' : undefined;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
