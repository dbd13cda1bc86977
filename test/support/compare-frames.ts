/** Compares every frame of every thread of a core with gdb's, in the settings that gdb has by itself: function, place, kind, registers. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { threadStack, type LogicalFrame } from '../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot, type SnapshotThread } from '../../controller/snapshot/open.js';
import { openSymbols } from '../../controller/service/symbols.js';
import { isAbsent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import { dwarfRegisterNames } from '../../format/registers/x86-64.js';
import { repositoryRoot } from './paths.js';

export interface GdbFrame {
  readonly kind: 'normal' | 'inline' | 'signal' | 'tailcall' | 'other';
  readonly pc: string;
  readonly function: string | null;
  readonly file?: string;
  readonly line?: number;
  readonly registers: Readonly<Record<string, string>>;
}

interface GdbThread {
  readonly tid: number;
  readonly frames: readonly GdbFrame[];
}

export interface FrameTally {
  threads: number;
  frames: number;
  tailCalls: number;
  registers: number;
  /** What gdb knows of a preserved register and we do not, with our reason. */
  readonly withheld: string[];
  readonly differences: string[];
}

export interface CompareFramesOptions {
  /** Files like `libc6-dbg` are used by both sides, or by none. */
  readonly debugFiles?: boolean;
  /** Whether names count: not in C++, where gdb takes some from mangled symbols, with parameters. */
  readonly names?: boolean;
}

export function compareFrames(program: string, core: string, options: CompareFramesOptions = {}): FrameTally {
  const { debugFiles = false } = options;
  const tally = newTally();
  using snapshot = openSnapshot(core, debugFiles ? { openSymbols } : {});
  for (const thread of gdbFrames(program, core, debugFiles)) compareThread(snapshot, thread, tally, options);
  return tally;
}

export function newTally(): FrameTally {
  return { threads: 0, frames: 0, tailCalls: 0, registers: 0, withheld: [], differences: [] };
}

function gdbFrames(program: string, core: string, debugFiles: boolean): readonly GdbThread[] {
  const folder = mkdtempSync(join(tmpdir(), 'gdb-'));
  try {
    const out = join(folder, 'dump.json');
    const settings = [
      'set debuginfod enabled off',
      ...(debugFiles ? [] : ['set debug-file-directory /nonexistent']),
      `set $dump = "${out}"`,
    ];
    const script = join(repositoryRoot, 'test', 'support', 'gdb-frames.py');
    const args = ['-q', '-nx', '-batch', ...settings.flatMap((each) => ['-iex', each]), program, core];
    const run = spawnSync('gdb', [...args, '-x', script], { encoding: 'utf8', maxBuffer: 1 << 28 });
    const dump: unknown = JSON.parse(readFileSync(out, 'utf8'));
    if (!isDump(dump)) throw new Error(`gdb gave no threads: ${run.stderr}`);
    return dump.threads;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isDump(dump: unknown): dump is { readonly threads: readonly GdbThread[] } {
  return typeof dump === 'object' && dump !== null && 'threads' in dump && Array.isArray(dump.threads);
}

const baseName = (path: string | undefined): string => path?.replace(/.*\//, '') ?? '?';

const gdbText = (frame: GdbFrame, names: boolean): string =>
  `${frame.pc} ${frame.kind} ${names ? (frame.kind === 'signal' ? '<signal handler called>' : (frame.function ?? '??')) : ''} ${baseName(frame.file)}:${frame.line ?? '?'}`;

function ourKind(frame: LogicalFrame): GdbFrame['kind'] {
  if (frame.inlined) return 'inline';
  if (frame.frame.foundBy === 'tail-call') return 'tailcall';
  return frame.frame.signalFrame ? 'signal' : 'normal';
}

const ourText = (frame: LogicalFrame, names: boolean): string => {
  const { file, line } = frame.source ?? {};
  const place = file === undefined || line === undefined || line === 0 ? '?:?' : `${baseName(file)}:${line}`;
  return `${hex(frame.pc)} ${ourKind(frame)} ${names ? (frame.function ?? '??') : ''} ${place}`;
};

function compareThread(
  snapshot: Snapshot,
  theirs: GdbThread,
  tally: FrameTally,
  options: CompareFramesOptions,
): void {
  const thread = snapshot.findThread(theirs.tid);
  if (thread === undefined) {
    if (theirs.frames.length > 0) tally.differences.push(`thread ${theirs.tid}: ours has none`);
    return;
  }
  compareStacks(snapshot, thread, theirs.frames, tally, options);
}

/** Up to the first frame that is another. */
export function compareStacks(
  snapshot: Snapshot,
  thread: SnapshotThread,
  theirs: readonly GdbFrame[],
  tally: FrameTally,
  options: CompareFramesOptions = {},
): void {
  const { frames, stopped } = threadStack(snapshot, thread);
  const { names = true } = options;
  tally.threads++;
  for (let i = 0; i < Math.max(frames.length, theirs.length); i++) {
    const our = frames[i];
    const their = theirs[i];
    const ourLine = our === undefined ? `nothing (${stopped?.detail ?? 'the end'})` : ourText(our, names);
    const theirLine = their === undefined ? 'nothing' : gdbText(their, names);
    if (ourLine !== theirLine) tally.differences.push(`#${i} gdb ${theirLine}; ours ${ourLine}`);
    if (our === undefined || their === undefined || our.pc !== BigInt(their.pc)) break;
    tally.frames++;
    if (their.kind === 'tailcall') tally.tailCalls++;
    compareRegisters(`#${i} ${their.function}`, our, their, tally);
  }
}

function compareRegisters(where: string, our: LogicalFrame, their: GdbFrame, tally: FrameTally): void {
  for (const [name, value] of Object.entries(their.registers)) {
    const ours = our.frame.registers.value(dwarfRegisterNames.findIndex((each) => each === name));
    tally.registers++;
    if (isAbsent(ours)) tally.withheld.push(`${where} ${name}: ${ours.detail}`);
    else if (hex(ours) !== value) tally.differences.push(`${where} ${name}: gdb ${value}, ours ${hex(ours)}`);
  }
}
