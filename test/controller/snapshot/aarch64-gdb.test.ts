/** Frames and locals of AArch64 cores that an emulator wrote: compared with gdb on the same core, and with what the program does. */
import { describe, expect, test } from 'vitest';
import { isAbsent } from '../../../format/absent.js';
import { loadBias } from '../../../format/address.js';
import { aarch64Machine } from '../../../format/registers/aarch64.js';
import { NT } from '../../../format/core/constants.js';
import { threadStack } from '../../../controller/snapshot/frames.js';
import { SnapshotModule } from '../../../controller/snapshot/module.js';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { evaluateExpressions, showSnapshot } from '../../../controller/snapshot/show.js';
import { aarch64Sysroot, emulatedCore, withNotes } from '../../support/aarch64.js';
import { compareCore } from '../../support/compare-gdb.js';
import { compileC } from '../../support/compile-c.js';
import { compileFixture } from '../../support/compile.js';

const sysroot = aarch64Sysroot;
// NB: gdb finds the libraries of such a core in programs at fixed addresses only.
const fixed = ['-no-pie', '-fno-pie'];
const builds = [
  ['-O0', ...fixed],
  ['-O2', ...fixed],
  ['-O2', '-static', '-gdwarf-4'],
];

const compile = (flags: readonly string[]): string =>
  compileFixture('frames/stack.c', {
    cc: 'aarch64-linux-gnu-gcc',
    flags: ['-g', '-w', '-pthread', ...flags],
  });

describe.each(builds)('gcc %s %s', (...flags) => {
  test.each(['deep', 'inline', 'null', 'values', 'crash-threads'])('a crash: %s', (mode) => {
    const program = compile(flags);
    using core = emulatedCore(program, [mode]);
    const tally = compareCore(program, core.path, { gdb: 'gdb-multiarch', sysroot });
    expect(tally.differences).toEqual([]);
    // gdb shows a "synthetic pointer", which has no value.
    expect(tally.withheld.filter((each) => !each.includes('kept nowhere in memory'))).toEqual([]);
    expect(tally.compared).toBeGreaterThan(0);
  });

  // gdb 13 does not come to an end where a signal handler runs under the emulator.
  test.each(['signal', 'altstack'])('a signal handler: %s', (mode) => {
    const program = compile(flags);
    using core = emulatedCore(program, [mode]);
    using snapshot = openSnapshot(core.path, { exe: program, sysroot });
    const [thread] = snapshot.threads;
    const stack = thread === undefined ? undefined : threadStack(snapshot, thread);
    expect(stack?.stopped).toBeUndefined();
    const own = stack?.frames.filter(
      ({ source, function: name }) => source?.file !== undefined || name?.startsWith('<'),
    );
    expect(own?.map((frame) => frame.function)).toEqual([
      'stop',
      'handler',
      '<signal handler called>',
      'interrupted',
      'main',
    ]);
  });
});

test('a program that is loaded anywhere, and its libraries, by the list of the dynamic linker', () => {
  const program = compile(['-O1']);
  using core = emulatedCore(program, ['deep']);
  using snapshot = openSnapshot(core.path, { exe: program, sysroot });
  const files = snapshot.modules.modules.map(({ facts }) => facts.path.replace(/.*\//, ''));
  expect(files.toSorted()).toEqual(['ld-linux-aarch64.so.1', 'libc.so.6', 'stack']);
  const { frames } = showSnapshot(snapshot, { id: 'core' });
  expect(frames.filter((frame) => frame.function === 'deep')).toHaveLength(61);
  expect(frames.at(-1)).toMatchObject({ function: 'main' });
  expect(frames.at(-1)?.absent).toBeUndefined();
});

test('registers of floating point, as the kernel notes them', () => {
  const program = compile(['-O2', '-static', '-gdwarf-4']);
  using emulated = emulatedCore(program, ['values']);
  // d8 holds a double of "values" over the call that ended the program.
  const description = new Uint8Array(528);
  new DataView(description.buffer).setFloat64(8 * 16, 3.75, true);
  using core = withNotes(emulated, [{ owner: 'CORE', type: NT.NT_PRFPREG, description }]);
  const tally = compareCore(program, core.path, { gdb: 'gdb-multiarch', sysroot });
  expect(tally.differences).toEqual([]);
  using snapshot = openSnapshot(core.path, { exe: program, sysroot });
  const values = showSnapshot(snapshot).frames.find((frame) => frame.function === 'values');
  expect(values?.locals.find(({ name }) => name === 'sum')).toMatchObject({ type: 'double', value: '3.75' });
});

const signing = `
  #include <stdlib.h>
  static volatile int sink;
  __thread int counter = 42;
  __thread __attribute__((aligned(64))) long wide = -7;
  unsigned long thread_pointer;
  __attribute__((noinline)) static int leaf(int level) {
    if (level == 0) abort();
    sink += leaf(level - 1);
    return sink;
  }
  int main(void) {
    __asm__("mrs %0, tpidr_el0" : "=r"(thread_pointer));
    sink = counter + (int)wide;
    return leaf(3) + sink;
  }`;

const compileSigning = (): string =>
  compileC(signing, {
    name: 'signing',
    compiler: 'aarch64-linux-gnu-gcc',
    flags: ['-g', '-O1', '-static', '-mbranch-protection=standard'],
  });

test('return addresses that are signed', () => {
  const program = compileSigning();
  using core = emulatedCore(program, []);
  using snapshot = openSnapshot(core.path, { exe: program, sysroot });
  const own = showSnapshot(snapshot).frames.filter((frame) => frame.file !== undefined);
  expect(own.map((frame) => frame.function)).toEqual(['leaf', 'leaf', 'leaf', 'leaf', 'main']);
  // The emulator did sign them: what lies on the stack is no address.
  const [thread] = snapshot.threads;
  const frames = thread === undefined ? [] : snapshot.stackOf(thread).frames;
  const saved = frames.slice(4, 7).map((frame) => frame.registers.get(30));
  const signatures = saved.map((each) => {
    if (isAbsent(each) || each.savedAt === undefined) throw new Error('x30 was not saved');
    const stored = snapshot.memory.read(each.savedAt, 8);
    if (isAbsent(stored)) throw new Error(stored.detail);
    const raw = Buffer.from(stored.bytes).readBigUInt64LE();
    expect(raw & 0xffff_ffff_ffffn).toBe(each.value);
    return raw >> 48n;
  });
  // A signature of seven bits is zero now and then.
  expect(signatures.some((signature) => signature !== 0n)).toBe(true);
});

test('thread-local variables, by the thread pointer that the kernel notes', () => {
  const program = compileSigning();
  using emulated = emulatedCore(program, []);
  const variables = (path: string): ReturnType<typeof evaluateExpressions> => {
    using snapshot = openSnapshot(path, { exe: program, sysroot });
    const frame = showSnapshot(snapshot).frames.find((each) => each.function === 'main')?.index ?? 0;
    return evaluateExpressions(snapshot, ['thread_pointer', 'counter', 'wide', '$pc', '$x29', '$w0'], {
      frame,
    });
  };
  const [pointer, counter] = variables(emulated.path);
  expect(counter).toMatchObject({
    absent: {
      reason: 'not-captured',
      detail: 'thread-local variables need register tpidr_el0, which was not captured',
    },
  });
  if (pointer === undefined || pointer instanceof Error) throw new Error('no thread pointer');
  const description = new Uint8Array(8);
  new DataView(description.buffer).setBigUint64(0, BigInt(pointer.value ?? '0'), true);
  using core = withNotes(emulated, [{ owner: 'LINUX', type: NT.NT_ARM_TLS, description }]);
  const [, ...found] = variables(core.path);
  expect(found[0]).toMatchObject({ value: '42' });
  expect(found[1]).toMatchObject({ value: '-7' });
  expect(found[2]).toMatchObject({ type: 'void (*)()', kind: 'pointer' });
  expect(found[3]).toMatchObject({ type: 'long' });
  expect(found[4]).toMatchObject({ absent: { reason: 'optimized-out' } });
});

test('a file of another machine is no module of the process', () => {
  const file = process.execPath;
  const facts = {
    path: file,
    file,
    start: 0n,
    end: 1n,
    bias: loadBias(0n),
    buildId: undefined,
    deleted: false,
  };
  const openSymbols = (): never => {
    throw new Error('no symbols are wanted here');
  };
  using module = new SnapshotModule(facts, openSymbols, aarch64Machine);
  expect(module.elf).toMatchObject({
    absent: 'no-debug-info',
    detail: `"${file}" is of machine x86-64, but the process ran on AArch64`,
  });
});
