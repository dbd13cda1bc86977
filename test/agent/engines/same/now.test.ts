/**
 * All threads of a process that is at rest, by every engine that takes them: the same threads, registers and stacks, and a core of the whole process that holds the same.
 * What an engine cannot have it must name, and what differs is told here.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FileSource } from '../../../../agent/linux/file-source.js';
import type { CapturedProcess } from '../../../../agent/tracer/client.js';
import { isAbsent } from '../../../../format/absent.js';
import { toStillframeError } from '../../../../format/error.js';
import type { CapturedThread, EngineName } from '../../../../format/capture.js';
import { openCore } from '../../../../format/core/read.js';
import type { MemoryReader } from '../../../../format/memory.js';
import { readUserRegister, userRegisterNames } from '../../../../format/registers/x86-64.js';
import { placesOf, untilAtRest } from '../../../support/at-rest.js';
import { compileFixture } from '../../../support/compile.js';
import { compileNative, go, rustc } from '../../../support/compile-native.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { openToldTracer } from '../../../support/told-tracer.js';
import { commonRegisters, coreOf } from './compare.js';

const folder = mkdtempSync(join(tmpdir(), 'stillframe-now-'));
const told = openToldTracer();
const { tracer } = told;
afterAll(async () => {
  await told[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const stackBytes = 16_384;

const goSource = `package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

func main() {
	for i := 0; i < 3; i++ {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
	runtime.Gosched()
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\\n')
}
`;

const rustSource = `use std::io::BufRead;

fn deep(left: u64, keep: &mut [u64; 16]) -> u64 {
    keep[(left % 16) as usize] = left;
    if left == 0 { loop { std::thread::park(); } }
    let mut own = *keep;
    deep(left - 1, &mut own) + own[3]
}

fn main() {
    for i in 0..4u64 {
        std::thread::spawn(move || deep(10 + i, &mut [i; 16]));
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    println!("ready");
    std::io::stdin().lock().lines().next();
}
`;

/** The kernel writes into the C library's part of a stack which processor a thread was on last; so that nothing changes it is told not to. */
const quiet = { GLIBC_TUNABLES: 'glibc.pthread.rseq=0' };

const rows: readonly { readonly what: string; readonly start: () => RunningProgram }[] = [
  {
    what: 'C',
    start: () =>
      startProgram(
        compileFixture('probe-lab/sleepers.c', { cc: 'gcc', flags: ['-O1', '-pthread'] }),
        ['12'],
        quiet,
      ),
  },
  { what: 'Go', start: () => startProgram(compileNative(goSource, 'at-rest', go())) },
  { what: 'Rust', start: () => startProgram(compileNative(rustSource, 'at-rest', rustc('-O')), [], quiet) },
];

const threadOf = ({ capture }: CapturedProcess, tid: number): CapturedThread | undefined =>
  capture.threads.find((thread) => thread.tid === tid);

const stackOf = (
  { capture }: CapturedProcess,
  tid: number,
): { address: bigint; bytes: Uint8Array } | undefined =>
  capture.ranges.find(({ path }) => path === `stack of ${tid}`);

const textOf = (stack: { address: bigint; bytes: Uint8Array } | undefined): string =>
  `${stack?.bytes.length} bytes at ${stack?.address.toString(16)}: ${Buffer.from(stack?.bytes ?? []).toString('hex')}`;

async function now(engine: EngineName, pid: number): Promise<CapturedProcess> {
  for (;;) {
    const taken = await tracer.now({ pid, tids: [], stackBytes, maxBytes: 1 << 20, engine });
    // Where processors are wanted by others, a thread may not stop in time: that is said, and no difference of engines.
    if (taken.capture.threads.every(({ absent }) => absent?.reason !== 'limit')) return taken;
  }
}

/**
 * NB: a stop ends a system call for the moment, and what it returns then (-ERESTART...) is in rax of a stopped thread. What was in rax of one that is not stopped is
 * -ENOSYS, as the kernel leaves it while a call goes on. Neither is a value of the program.
 */
const inCall = 'rax';
/** A call with a time, begun again after a stop, is this one to the kernel (restart_syscall(2)). */
const SYS_restart_syscall = 219n;

function compareRegisters(
  one: CapturedThread | undefined,
  other: CapturedThread | undefined,
  what: string,
): void {
  const isAgain = [one, other].some(
    (thread) =>
      thread?.registers !== undefined &&
      readUserRegister(thread.registers, 'orig_rax') === SYS_restart_syscall,
  );
  const hidden = isAgain ? [inCall, 'orig_rax'] : [inCall];
  const [mine, its] = [one, other].map(
    (thread) => thread && { ...thread, unknownRegisters: [...thread.unknownRegisters, ...hidden] },
  );
  expect(commonRegisters(its, mine), what).toBe(commonRegisters(mine, its));
}

function compareThreads(one: CapturedProcess, other: CapturedProcess, what: string): void {
  const summary = ({ capture }: CapturedProcess): unknown[] =>
    capture.threads.map(({ tid, comm, state }) => ({ tid, comm, state }));
  expect(summary(other), what).toEqual(summary(one));
  for (const { tid } of one.capture.threads)
    compareRegisters(threadOf(one, tid), threadOf(other, tid), `${what}, thread ${tid}`);
}

function compareStacks(one: CapturedProcess, other: CapturedProcess, what: string): void {
  for (const { tid } of one.capture.threads)
    expect(textOf(stackOf(other, tid)), `${what}, stack of ${tid}`).toBe(textOf(stackOf(one, tid)));
}

/** NB: pages that the process has never written to are not in a core of it, whatever lies around them: whoever reads them from the process finds zeros. */
function compareWithCore(
  memory: MemoryReader,
  stack: { address: bigint; bytes: Uint8Array },
  what: string,
): void {
  const pageBytes = 4096;
  for (let at = 0; at < stack.bytes.length;) {
    const address = stack.address + BigInt(at);
    const length = Math.min(pageBytes - Number(address % BigInt(pageBytes)), stack.bytes.length - at);
    const bytes = stack.bytes.subarray(at, at + length);
    const read = memory.read(address, length);
    const isUntouched = isAbsent(read) && bytes.every((byte) => byte === 0);
    const copied = isAbsent(read) ? undefined : { address, bytes: read.bytes };
    if (!isUntouched) expect(textOf(copied), what).toBe(textOf({ address, bytes }));
    at += length;
  }
}

describe('a process at rest', () => {
  test.each(rows)('of $what is the same to every engine', async ({ what, start }) => {
    await using program = start();
    await program.nextLine();
    await untilAtRest(program.pid);
    const places = placesOf(program.pid);
    // Those that stop come last: what they stop begins its system call again, and can show that (restart_syscall(2)).
    const mem = await now('mem', program.pid);
    const observe = await now('observe', program.pid);
    const ptrace = await now('ptrace', program.pid);
    const file = join(folder, `${what}.core`);
    const order = { pid: program.pid, file, maxBytes: 2 ** 32, snapshot: '0t3k00000000', host: 'here' };
    for (;;) {
      const error = await tracer
        .core({ ...order, engine: 'fork' }, () => undefined)
        .then(() => undefined, toStillframeError);
      if (error === undefined) break;
      expect(error.code).toBe('limit');
    }
    expect(placesOf(program.pid)).toBe(places);

    expect(ptrace.capture.threads.length).toBeGreaterThanOrEqual(4);
    for (const { capture } of [ptrace, observe, mem]) expect(capture.missing).toEqual([]);
    compareThreads(ptrace, observe, 'observe against ptrace');
    compareThreads(ptrace, mem, 'mem against ptrace');
    compareStacks(ptrace, observe, 'observe against ptrace');
    compareStacks(ptrace, mem, 'mem against ptrace');
    // The kernel tells of a blocked thread where it is, and what it called with.
    const known = new Set(['rip', 'rsp', 'orig_rax', 'rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9']);
    for (const thread of mem.capture.threads)
      expect(new Set(userRegisterNames.filter((name) => !thread.unknownRegisters.includes(name)))).toEqual(
        known,
      );
    const cores = [ptrace, observe, mem].map(coreOf);
    expect(cores[1]?.segments).toEqual(cores[0]?.segments);
    expect(cores[2]?.segments).toEqual(cores[0]?.segments);

    using source = new FileSource(file);
    const whole = openCore(source);
    expect(new Set(whole.threads.map(({ tid }) => tid))).toEqual(
      new Set(ptrace.capture.threads.map(({ tid }) => tid)),
    );
    for (const { tid, registers } of whole.threads) {
      const mine = threadOf(ptrace, tid);
      compareRegisters(mine, { ...mine, registers } as CapturedThread, `fork, thread ${tid}`);
      const stack = stackOf(ptrace, tid);
      if (stack === undefined) throw new Error(`thread ${tid} has no stack`);
      compareWithCore(whole.memory, stack, `fork, stack of ${tid}`);
    }
    expect(readUserRegister(ptrace.capture.threads[0]?.registers ?? new Uint8Array(216), 'rip')).not.toBe(0n);
  });
});
