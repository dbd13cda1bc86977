/** Every physical frame of every thread, its pc and preserved registers, compared with gdb on the same core. */
import { describe, expect, test } from 'vitest';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import type { Unwound } from '../../../controller/unwind/unwind.js';
import { isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import { dwarfRegisterNames } from '../../../format/registers/x86-64.js';
import { compileFixture } from '../../support/compile.js';
import { crashCore, liveCore } from '../../support/core.js';
import { gdbThreads, type GdbThread } from '../../support/gdb.js';

interface OurThread {
  readonly tid: number;
  readonly unwound: Unwound;
}

function unwindCore(path: string): OurThread[] {
  using snapshot = openSnapshot(path);
  return snapshot.threads.map((thread) => ({ tid: thread.tid, unwound: snapshot.stackOf(thread) }));
}

/** What gdb says of a frame, and what we say of the same registers. */
function compareThread(theirs: GdbThread, { unwound }: OurThread): string[] {
  const differences: string[] = [];
  const physical = theirs.frames.filter((frame) => frame.kind !== 'inline' && frame.kind !== 'tailcall');
  const gdbPcs = physical.map((frame) => frame.pc);
  const ourPcs = unwound.frames.slice(0, 200).map((frame) => hex(frame.pc));
  expect(ourPcs).toEqual(gdbPcs);
  for (const [i, frame] of physical.entries()) {
    const our = unwound.frames[i];
    if (our === undefined) continue;
    if (our.signalFrame !== (frame.kind === 'signal')) differences.push(`${frame.pc}: signal frame`);
    for (const [name, value] of Object.entries(frame.registers)) {
      const ours = our.registers.value(dwarfRegisterNames.findIndex((each) => each === name));
      if (isAbsent(ours)) differences.push(`${frame.pc} ${name}: gdb ${value}, ours ${ours.detail}`);
      else if (hex(ours) !== value) differences.push(`${frame.pc} ${name}: gdb ${value}, ours ${hex(ours)}`);
    }
  }
  return differences;
}

function compareCore(program: string, core: string): OurThread[] {
  const ours = unwindCore(core).toSorted((a, b) => a.tid - b.tid);
  const theirs = gdbThreads(program, core, { pastMain: true }).toSorted((a, b) => a.tid - b.tid);
  expect(ours.map((thread) => thread.tid)).toEqual(theirs.map((thread) => thread.tid));
  for (const [i, thread] of theirs.entries()) {
    const our = ours[i];
    if (our !== undefined) expect(compareThread(thread, our)).toEqual([]);
  }
  return ours;
}

const builds = (['gcc', 'clang'] as const).flatMap((cc) =>
  [['-O0'], ['-O2'], ['-O2', '-static'], ['-O1', '-no-pie', '-fno-pie']].map((flags) => [cc, flags] as const),
);
const modes = ['abort', 'deep', 'inline', 'signal', 'altstack', 'fault', 'null', 'values', 'crash-threads'];

describe.each(builds)('by %s %j', (cc, flags) => {
  const program = (): string =>
    compileFixture('frames/stack.c', { cc, flags: ['-g', '-w', '-pthread', ...flags] });

  test.each(modes)('a crash: %s', (mode) => {
    using core = crashCore(program(), [mode]);
    for (const { unwound } of compareCore(program(), core.path)) expect(unwound.stopped).toBeUndefined();
  });

  test('gcore of threads that wait in libc', async () => {
    using core = await liveCore(program(), ['threads']);
    const ours = compareCore(program(), core.path);
    expect(ours).toHaveLength(6);
    for (const { unwound } of ours) expect(unwound.stopped).toBeUndefined();
  });
});
