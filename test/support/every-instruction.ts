/** Unwinding at every instruction of a program, compared with what gdb sees there: gdb steps and dumps, ours reads literal memory. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSnapshot, Snapshot, type SnapshotThread } from '../../controller/snapshot/open.js';
import { unwindThread, type Unwound } from '../../controller/unwind/unwind.js';
import type { SnapshotModule } from '../../controller/snapshot/module.js';
import { openSymbols } from '../../controller/service/symbols.js';
import type { MemoryReader } from '../../format/memory.js';
import { userRegisterOffset, userRegistersBytes } from '../../format/registers/x86-64.js';
import { compareStacks, newTally, type FrameTally, type GdbFrame } from './compare-frames.js';
import { memoryOf } from './memory.js';
import { repositoryRoot } from './paths.js';

interface Step {
  readonly registers: Readonly<Record<string, string>>;
  readonly frames: readonly GdbFrame[];
  readonly stack: readonly (readonly [string, string])[];
}

export interface StepOptions {
  /** Each n-th instruction only. */
  readonly every?: number;
  /** Instructions of other modules that are stepped through in a row. */
  readonly outside?: number;
  readonly debugFiles?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface StepTally extends FrameTally {
  instructions: number;
}

export function compareEveryInstruction(
  program: string,
  args: readonly string[],
  options: StepOptions = {},
): StepTally {
  const folder = mkdtempSync(join(tmpdir(), 'steps-'));
  try {
    const core = join(folder, 'core');
    const steps = stepProgram(program, args, { ...options, folder, core });
    const tally: StepTally = { ...newTally(), instructions: 0 };
    using snapshot = openSnapshot(core, options.debugFiles === true ? { openSymbols } : {});
    const [thread] = snapshot.threads;
    if (thread === undefined) throw new Error('the core has no thread');
    for (const line of steps) {
      const step: unknown = JSON.parse(line);
      if (!isStep(step)) throw new Error(`gdb wrote no step: ${line.slice(0, 200)}`);
      tally.instructions++;
      compareStep(snapshot, thread, step, tally);
    }
    return tally;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function stepProgram(
  program: string,
  args: readonly string[],
  options: StepOptions & { readonly folder: string; readonly core: string },
): readonly string[] {
  const { every = 1, outside = 60, debugFiles = false, folder, core, environment = {} } = options;
  const dump = join(folder, 'steps.jsonl');
  const settings = [
    'set debuginfod enabled off',
    ...(debugFiles ? [] : ['set debug-file-directory /nonexistent']),
    ...Object.entries(environment).map(([name, value]) => `set environment ${name} ${value}`),
    'handle SIGUSR1 SIGUSR2 nostop noprint pass',
    'set disable-randomization on',
    `set $dump = "${dump}"`,
    `set $core = "${core}"`,
    `set $every = ${every}`,
    `set $outside = ${outside}`,
  ];
  const script = join(repositoryRoot, 'test', 'support', 'gdb-step.py');
  const command = ['-q', '-nx', '-batch', ...settings.flatMap((each) => ['-ex', each]), '-x', script];
  const early = ['-iex', 'set debuginfod enabled off'];
  const run = spawnSync('gdb', [...early, ...command, '--args', program, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (run.status !== 0) throw new Error(`gdb failed: ${run.stdout.slice(-500)}${run.stderr.slice(-1000)}`);
  const lines = readFileSync(dump, 'utf8').split('\n').filter(Boolean);
  if (lines.length === 0) throw new Error(`gdb stepped nowhere: ${run.stderr.slice(-1000)}`);
  return lines;
}

function isStep(step: unknown): step is Step {
  return (
    typeof step === 'object' && step !== null && 'registers' in step && 'frames' in step && 'stack' in step
  );
}

function compareStep(base: Snapshot, thread: SnapshotThread, step: Step, tally: StepTally): void {
  const registers = new Uint8Array(userRegistersBytes);
  const view = new DataView(registers.buffer);
  for (const name of registerNames) {
    const value = step.registers[name];
    if (value !== undefined) view.setBigUint64(userRegisterOffset(name), BigInt(value), true);
  }
  const stack = memoryOf(
    step.stack.map(([address, bytes]) => ({ address: BigInt(address), bytes: Buffer.from(bytes, 'base64') })),
  );
  const memory: MemoryReader = {
    read: (address, length) => {
      const own = stack.read(address, length);
      return 'absent' in own ? base.memory.read(address, length) : own;
    },
  };
  const unwound: Unwound<SnapshotModule> = unwindThread({
    thread: { registers, unknownRegisters: [], provenance: 'stopped' },
    architecture: base.architecture,
    memory,
    modules: base.modules,
  });
  const snapshot = atStep(base, memory, unwound);
  compareStacks(snapshot, thread, step.frames, tally);
}

/** The snapshot as it would be at this instruction. */
function atStep(base: Snapshot, memory: MemoryReader, unwound: Unwound<SnapshotModule>): Snapshot {
  const step: Snapshot = Object.create(base, {
    memory: { value: memory },
    stackOf: { value: () => unwound },
  });
  return step;
}

const registerNames = [
  ...(['rax', 'rdx', 'rcx', 'rbx', 'rsi', 'rdi', 'rbp', 'rsp', 'rip'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
];
