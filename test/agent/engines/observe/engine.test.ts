/** Threads of real processes, against what /proc says of them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { observeEngine } from '../../../../agent/engines/observe/engine.js';
import { sampleRunning } from '../../../../agent/engines/observe/sample-running.js';
import { TaskPass } from '../../../../agent/engines/observe/task-pass.js';
import type { ObservedThread } from '../../../../agent/engines/observe/thread-record.js';
import type { NowRequest } from '../../../../agent/engines/engine.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import type { Capture, CapturedThread } from '../../../../format/capture.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { untilAtRest } from '../../../support/at-rest.js';
import { compileFixture } from '../../../support/compile.js';
import { requireFeature } from '../../../support/require-feature.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { startWorkers, workersPlan } from '../uprobe/workers.js';

const engine = observeEngine();

async function now(pid: number, changes: Partial<NowRequest> = {}): Promise<Capture> {
  const capture = await engine.now?.({ pid, tids: [], stackBytes: 16_384, maxBytes: 1 << 20, ...changes });
  if (capture === undefined) throw new Error('the engine has no "now"');
  return capture;
}

afterEach(() => {
  const held = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^anon_inode:.*(bpf|perf)/.test(target) ? [target] : [];
    } catch {
      return [];
    }
  });
  expect(held).toEqual([]);
});

test('this host supports it', async (context) => {
  const support = await engine.probe();
  requireFeature(context, 'task iterators', support.supported === 'yes' ? undefined : support.detail);
  expect(support).toEqual({ supported: 'yes', detail: 'task iterator with registers and stacks' });
  expect(engine.refusal(workersPlan())).toBe(
    'the observe engine takes all threads at once, it has no points',
  );
  expect(engine.arm).toBeUndefined();
});

test('blocked threads have the registers and stacks that /proc shows', async () => {
  await using workers = await startWorkers(12);
  await workers.call(10);
  await untilAtRest(workers.pid);
  const capture = await now(workers.pid);
  expect(capture).toMatchObject({ engine: 'observe', pid: workers.pid, tid: workers.pid, missing: [] });
  expect(capture.threads.map(({ tid }) => tid)).toEqual(tidsOf(workers.pid));
  expect(capture.cost).toMatchObject({ stoppedNs: 0 });
  using memory = new ProcessMemory(workers.pid);
  for (const thread of capture.threads) {
    const registers = thread.registers ?? new Uint8Array();
    expect(thread).toMatchObject({ comm: 'workers', state: 'S', provenance: 'at-hit', unknownRegisters: [] });
    // "number six-arguments sp pc" of a blocked thread (proc(5)).
    const fields = readFileSync(`/proc/${workers.pid}/task/${thread.tid}/syscall`, 'utf8').trim().split(' ');
    expect(readUserRegister(registers, 'orig_rax')).toBe(BigInt(fields[0] ?? ''));
    expect(readUserRegister(registers, 'rdi')).toBe(BigInt(fields[1] ?? ''));
    expect(readUserRegister(registers, 'rsi')).toBe(BigInt(fields[2] ?? ''));
    expect(readUserRegister(registers, 'rdx')).toBe(BigInt(fields[3] ?? ''));
    expect(readUserRegister(registers, 'rsp')).toBe(BigInt(fields[7] ?? ''));
    expect(readUserRegister(registers, 'rip')).toBe(BigInt(fields[8] ?? ''));
    // The thread control block begins with its own address (glibc tcbhead_t).
    const base = readUserRegister(registers, 'fs_base');
    const self = memory.read(base, 8);
    expect('bytes' in self ? Buffer.from(self.bytes).readBigUInt64LE(0) : undefined).toBe(base);
    const stack = capture.ranges.find(({ path }) => path === `stack of ${thread.tid}`);
    expect(stack?.address).toBe(readUserRegister(registers, 'rsp') - 128n);
    expect(stack?.provenance).toBe('at-hit');
    expect(stack?.bytes.length).toBeGreaterThan(256);
    const truth = memory.read(stack?.address ?? 0n, stack?.bytes.length ?? 0);
    expect('bytes' in truth && Buffer.from(truth.bytes).equals(stack?.bytes ?? Buffer.alloc(0))).toBe(true);
  }
});

test('no thread is stopped or traced', async () => {
  await using workers = await startWorkers(8);
  for (let looks = 0; looks < 20; looks++) {
    const load = workers.call(50_000);
    const capture = await now(workers.pid, { stackBytes: 4096 });
    expect(capture.threads.length).toBe(9);
    for (const tid of tidsOf(workers.pid)) {
      const status = readFileSync(`/proc/${workers.pid}/task/${tid}/status`, 'utf8');
      expect(status).toMatch(/^TracerPid:\s0$/m);
      expect(status).not.toMatch(/^State:\s[Tt]/m);
    }
    await load;
  }
});

/** A program of one thread that never leaves its loop. */
async function startSpinning(): Promise<RunningProgram & { readonly path: string }> {
  const path = compileFixture('probe-lab/loop.c', { cc: 'gcc', flags: ['-O2', '-pie', '-fPIE'] });
  const program = startProgram(path);
  await program.nextLine();
  program.child.stdin.write('1000000000000\n');
  while (cpuTicks(program.pid) < 2) await sleep(10);
  return { ...program, path };
}

test('a thread that runs is never shown where it entered the kernel last', async () => {
  await using program = await startSpinning();
  for (let i = 0; i < 20; i++) {
    const capture = await now(program.pid, { stackBytes: 4096 });
    const [thread] = capture.threads;
    if (thread?.registers === undefined) {
      expect(thread?.absent).toEqual({ reason: 'unreadable', detail: 'running on a CPU while observed' });
      expect(capture.ranges).toEqual([]);
    } else {
      // In the loop: not in the read of a line.
      expect(inProgram(program.pid, readUserRegister(thread.registers, 'rip'), program.path)).toBe(true);
    }
  }
});

test('a thread on a CPU is sampled there', async () => {
  await using program = await startSpinning();
  const stackBytes = 1024;
  using pass = new TaskPass({ stackBytes, threads: 4 });
  const threads = pass.run(program.pid);
  const found = new Map<number, ObservedThread>();
  for (let i = 0; i < 5000 && found.size === 0; i++) {
    for (const thread of await sampleRunning(threads, stackBytes)) found.set(thread.tid, thread);
  }
  const thread = found.get(program.pid);
  const registers = thread?.registers ?? new Uint8Array();
  expect(inProgram(program.pid, readUserRegister(registers, 'rip'), program.path)).toBe(true);
  expect(thread).toMatchObject({
    verdict: 'still',
    state: 'R',
    comm: 'loop',
    unknownRegisters: ['orig_rax', 'fs_base', 'gs_base', 'ds', 'es', 'fs', 'gs'],
    stackAddress: readUserRegister(registers, 'rsp'),
  });
  // A sample in place ends before a page that is not resident: it may be short, but what it has is right.
  const length = thread?.stack.length ?? 0;
  expect(length).toBeGreaterThan(0);
  expect(length).toBeLessThanOrEqual(stackBytes);
  // The loop keeps its frame: what is on its stack now was there when it was sampled, but for the few words in use.
  using memory = new ProcessMemory(program.pid);
  const read = memory.read(thread?.stackAddress ?? 0n, length);
  const same = 'bytes' in read ? read.bytes.filter((byte, i) => byte === thread?.stack[i]).length : 0;
  expect(same).toBeGreaterThan(length - 96);
});

test('threads that are gone are not sampled', async () => {
  await using program = await startSpinning();
  using pass = new TaskPass({ stackBytes: 64, threads: 4 });
  const threads = pass.run(program.pid);
  program.child.kill('SIGKILL');
  await program.ended;
  expect(await sampleRunning(threads, 64)).toEqual([]);
});

test('only the threads that are asked for', async () => {
  await using workers = await startWorkers(6);
  await workers.call(1);
  const wanted = tidsOf(workers.pid).slice(2, 4);
  const capture = await now(workers.pid, { tids: wanted });
  expect(capture.threads.map(({ tid }: CapturedThread) => tid)).toEqual(wanted);
  expect(capture.tid).toBe(wanted[0]);
});

test('threads share the bytes that are allowed, and say so', async () => {
  await using workers = await startWorkers(3);
  await workers.call(1);
  await untilAtRest(workers.pid);
  const capture = await now(workers.pid, { stackBytes: 16_384, maxBytes: 4000 });
  expect(capture.ranges.map(({ bytes }) => bytes.length)).toEqual([1000, 1000, 1000, 1000]);
  const [first] = capture.ranges;
  expect(capture.missing[0]).toEqual({
    path: first?.path,
    address: (first?.address ?? 0n) + 1000n,
    length: 15_384,
    reason: 'limit',
    detail: '1000 of 16384 bytes: 4 threads share 4000 bytes',
  });
});

test('many threads, more than the ring holds at once', async () => {
  await using workers = await startWorkers(300);
  await workers.call(1);
  await untilAtRest(workers.pid);
  const capture = await now(workers.pid, { stackBytes: 65_536, maxBytes: 64 << 20 });
  expect(capture.threads.length).toBe(301);
  expect(capture.threads.filter(({ registers }) => registers === undefined)).toEqual([]);
});

test.each([
  [
    'there is no such thread',
    (pid: number): Partial<NowRequest> => ({ pid, tids: [1] }),
    'not-found',
    (pid: number) => `process ${pid} has no thread 1`,
  ],
])('%s', async (_name, change, code, message) => {
  await using workers = await startWorkers(1);
  await expect(now(workers.pid, change(workers.pid))).rejects.toMatchObject({
    code,
    message: message(workers.pid),
  });
});

test('a process that is gone', async () => {
  const workers = await startWorkers(1);
  await workers.bye();
  await workers[Symbol.asyncDispose]();
  await expect(now(workers.pid)).rejects.toMatchObject({ code: 'target-gone' });
});

const tidsOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .toSorted((a, b) => a - b);

/** utime of /proc/PID/stat. */
const cpuTicks = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[11]);

function inProgram(pid: number, address: bigint, path: string): boolean {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  return lines.some((line) => {
    const [start = '0', end = '0'] = line.split(/[- ]/);
    return line.endsWith(path) && address >= BigInt(`0x${start}`) && address < BigInt(`0x${end}`);
  });
}
