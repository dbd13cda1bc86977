/** The documents of a crash, and of a snapshot of ours that holds little of the same process: what is shown, what is said to be missing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FrameDocument } from '../../../controller/snapshot/document.js';
import { openSnapshot, type Snapshot } from '../../../controller/snapshot/open.js';
import { evaluateExpressions, formatTime, showSnapshot } from '../../../controller/snapshot/show.js';
import type { ValueDocument, VariableDocument } from '../../../controller/types/value-document.js';
import { isAbsent } from '../../../format/absent.js';
import type { CapturedRange, MissingRange } from '../../../format/capture.js';
import { writeCore, type SnapshotContent } from '../../../format/core/write.js';
import { bufferSource } from '../../../format/elf/open.js';
import { StillframeError } from '../../../format/error.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { compileFixture } from '../../support/compile.js';
import { crashCore, type CoreFile } from '../../support/core.js';

let core: CoreFile;
let crash: Snapshot;

beforeAll(() => {
  const flags = ['-g', '-w', '-pthread', '-O0', '-gdwarf-5'];
  core = crashCore(compileFixture('frames/stack.c', { cc: 'gcc', flags }), ['values']);
  crash = openSnapshot(core.path);
});

afterAll(() => {
  crash[Symbol.dispose]();
  core[Symbol.dispose]();
});

const frameOf = (frames: readonly FrameDocument[], name: string): FrameDocument => {
  const found = frames.find((frame) => frame.function === name);
  if (found === undefined) throw new Error(`no frame ${name} in ${JSON.stringify(frames)}`);
  return found;
};
const localOf = (frame: FrameDocument, name: string): VariableDocument | undefined =>
  frame.locals.find((local) => local.name === name);

function evaluate(snapshot: Snapshot, expression: string, frame: number): ValueDocument {
  const [result] = evaluateExpressions(snapshot, [expression], { frame });
  if (result === undefined || result instanceof StillframeError)
    throw new Error(`${expression}: ${result?.message}`);
  return result;
}

describe('a crash', () => {
  test('the heading', () => {
    const document = showSnapshot(crash, { id: 'the core' });
    const { frames, threads, ...heading } = document;
    expect(heading).toEqual({
      id: 'the core',
      point: '',
      pid: crash.core.process?.pid,
      tid: crash.core.process?.pid,
      comm: 'stack',
      host: '',
      buildId: crash.executable?.facts.buildId,
      engine: 'core',
      location: { function: frames[0]?.function, address: frames[0]?.address },
      captures: [],
    });
    expect(threads).toEqual([{ tid: document.tid, comm: 'stack', state: '?' }]);
  });

  test('frames are numbered, and have function, file, line', () => {
    const { frames } = showSnapshot(crash);
    expect(frames.map((frame) => frame.index)).toEqual(frames.map((_, i) => i));
    const values = frameOf(frames, 'values');
    expect(values.file).toMatch(/\/native-fixtures\/frames\/stack\.c$/);
    expect(values.absent).toBeUndefined();
    expect(frames.at(-1)).toMatchObject({ function: 'main' });
  });

  test('locals, innermost scope first, a shadowed one marked', () => {
    const values = frameOf(showSnapshot(crash, { depth: 2 }).frames, 'values');
    const shadows = values.locals.filter((local) => local.name === 'shadow');
    expect(shadows.map((local) => [local.value, local.shadowed])).toEqual([
      ['2', undefined],
      ['1', true],
    ]);
    expect(localOf(values, 'order')).toMatchObject({
      parameter: true,
      type: 'struct order *',
      kind: 'pointer',
      target: { fields: expect.arrayContaining([expect.objectContaining({ name: 'id', value: '77' })]) },
    });
    expect(localOf(values, 'tier')).toMatchObject({ kind: 'enum', value: '40', text: 'GOLD' });
    expect(localOf(values, 'function')).toMatchObject({ kind: 'pointer', text: 'deep' });
    expect(localOf(values, 'wide')).toMatchObject({ value: '2.25' });
    expect(localOf(values, 'huge')).toMatchObject({ value: `${(1n << 100n) + 5n}` });
  });

  test('--frame shows the locals of one frame', () => {
    const { frames } = showSnapshot(crash, { frame: 4 });
    expect(frames.filter((frame) => frame.locals.length > 0).map((frame) => frame.index)).toEqual([4]);
  });

  test('expressions are evaluated in a frame', () => {
    const { index } = frameOf(showSnapshot(crash).frames, 'values');
    expect(evaluate(crash, 'order->customer->tier == GOLD', index)).toMatchObject({ value: '1' });
    expect(evaluate(crash, 'order->points[1].y + here.x', index)).toMatchObject({ value: '-3' });
    expect(evaluate(crash, 'order->customer->name', index)).toMatchObject({ text: 'alice' });
    expect(evaluate(crash, 'order->customer->signed_bits', index)).toMatchObject({ value: '-3' });
    expect(evaluate(crash, '$rip', index)).toMatchObject({
      value: expect.stringMatching(/^(0x[0-9a-f]+|\d+)$/),
    });
    expect(evaluate(crash, 'shadow', index)).toMatchObject({ value: '2' });
    expect(evaluate(crash, 'per_thread', index)).toMatchObject({ value: '5' });
    // Globals of the program are seen from frames of libraries too.
    expect(evaluate(crash, 'global_counter', 0)).toMatchObject({ value: '17' });
  });

  test('a wrong expression is an error of its own', () => {
    const results = evaluateExpressions(crash, ['sink', 'no_such_name', '1 + 1'], { frame: 4 });
    expect(results.map((each) => (each instanceof StillframeError ? each.code : each.value))).toEqual([
      expect.any(String),
      'bad-expression',
      '2',
    ]);
  });

  test('a frame or thread that is not there', () => {
    const count = showSnapshot(crash).frames.length;
    expect(() => evaluateExpressions(crash, ['1'], { frame: 99 })).toThrow(
      `cannot find frame 99: thread ${crash.pid} has ${count} frames`,
    );
    expect(() => evaluateExpressions(crash, ['1'], { tid: 1 })).toThrow(
      'cannot find thread 1 in the snapshot',
    );
  });
});

/** A snapshot as the agent writes it, of the crashed process: `stackBytes` of its stack from frame `values` on, and nothing else. */
function ownSnapshot(stackBytes: number, missing: readonly MissingRange[] = []): Snapshot {
  const [thread] = crash.threads;
  // NB: not in `stop`, whose call of `abort` returns to what is the next function already.
  const [, frame] = crash
    .stackOf(thread ?? failure())
    .frames.filter(({ module }) => module === crash.executable);
  if (frame === undefined || thread?.registers === undefined) return failure();
  // Registers of the frame as if the probe had hit there; what it does not know of them is unknown here too.
  const registers = thread.registers.registers.slice();
  const stackPointer = frame.registers.value(7);
  if (isAbsent(stackPointer)) return failure();
  const view = new DataView(registers.buffer);
  view.setBigUint64(128, frame.pc, true);
  view.setBigUint64(152, stackPointer, true);
  const framePointer = frame.registers.value(6);
  if (!isAbsent(framePointer)) view.setBigUint64(32, framePointer, true);
  const stack = crash.memory.read(stackPointer, stackBytes);
  if (isAbsent(stack)) return failure();
  const range: CapturedRange = {
    address: stackPointer,
    bytes: stack.bytes,
    provenance: 'at-hit',
    path: 'stack',
  };
  const content: SnapshotContent = {
    heading: {
      snapshot: '0190abc',
      point: 'p1',
      host: 'here',
      buildId: 'feed',
      modulePath: '/bin/stack',
      location: { function: 'stop', file: 'stack.c', line: 52, address: frame.pc },
      request: { location: 'stop', captures: ['sink', 'order->id', 'global_counter', '1 +'] },
    },
    facts: {
      pid: crash.pid,
      parentPid: 1,
      uid: 0,
      gid: 0,
      comm: 'stack',
      args: 'stack values',
      auxv: auxvBytes(),
      mappings: [],
      modules: crash.modules.modules
        .filter(({ path }) => path !== '[vdso]')
        .map(({ facts }) => ({ ...facts, buildId: facts.buildId ?? '' })),
      ranges: [],
    },
    capture: {
      engine: 'uprobe',
      pid: crash.pid,
      tid: thread.tid,
      timeNs: 1_700_000_000_123_456_789n,
      threads: [
        {
          tid: thread.tid,
          comm: 'worker',
          state: 'R',
          registers,
          unknownRegisters: ['fs_base'],
          provenance: 'at-hit',
        },
        {
          tid: 4242,
          comm: 'other',
          state: 'S',
          unknownRegisters: [],
          provenance: 'racy',
          absent: { reason: 'not-captured', detail: 'the engine takes the hitting thread only' },
        },
      ],
      ranges: [range],
      missing,
      cost: { hits: 1, conditionFalse: 41, dropped: 0, faults: 0, bytes: stackBytes, stoppedNs: 0 },
    },
  };
  return openSnapshot(bufferSource('snapshot', Buffer.concat(writeCore(content))));
}

function failure(): never {
  throw new Error('the crash has no such frame');
}

function auxvBytes(): Uint8Array {
  const out = new BigUint64Array([...crash.core.auxv].flatMap(([key, value]) => [BigInt(key), value]));
  return new Uint8Array(out.buffer);
}

describe('a snapshot of ours', () => {
  test('the heading comes from the note', () => {
    using snapshot = ownSnapshot(4096);
    const { frames, captures, threads, ...heading } = showSnapshot(snapshot);
    expect(heading).toEqual({
      id: '0190abc',
      point: 'p1',
      pid: crash.pid,
      tid: crash.pid,
      comm: 'worker',
      host: 'here',
      buildId: 'feed',
      time: '2023-11-14T22:13:20.123456789Z',
      engine: 'uprobe',
      location: { function: 'stop', file: 'stack.c', line: 52, address: frames[0]?.address },
      cost: { hits: 1, conditionFalse: 41, dropped: 0, faults: 0, bytes: 4096, stoppedNs: 0 },
    });
    expect(threads).toEqual([
      { tid: crash.pid, comm: 'worker', state: 'R' },
      {
        tid: 4242,
        comm: 'other',
        state: 'S',
        absent: { reason: 'not-captured', detail: 'the engine takes the hitting thread only' },
      },
    ]);
    expect(captures.map((capture) => capture.expression)).toEqual([
      'sink',
      'order->id',
      'global_counter',
      '1 +',
    ]);
  });

  test('values on the captured stack are shown, with their provenance', () => {
    using snapshot = ownSnapshot(2048);
    const values = frameOf(showSnapshot(snapshot).frames, 'values');
    expect(localOf(values, 'here')).toMatchObject({ provenance: 'at-hit', kind: 'struct' });
    expect(localOf(values, 'text')?.text).toContain('hello');
  });

  test('constants of the program come from its file', () => {
    using snapshot = ownSnapshot(1024);
    const { index } = frameOf(showSnapshot(snapshot).frames, 'main');
    expect(evaluate(snapshot, 'argv[1]', index).target?.absent).toMatchObject({
      reason: 'not-captured',
      detail: expect.stringMatching(/^1 byte at 0x[0-9a-f]+ was not captured$/),
    });
    expect(evaluate(snapshot, '*(unsigned char *)deep', index)).toMatchObject({
      value: '85',
      provenance: 'file',
    });
  });

  test('globals that were not captured are absent, with address and hint', () => {
    using snapshot = ownSnapshot(2048);
    expect(evaluate(snapshot, 'global_counter', 0)).toMatchObject({
      type: 'int',
      absent: { reason: 'not-captured', address: expect.stringMatching(/^0x/), length: 4 },
    });
    const { captures } = showSnapshot(snapshot);
    expect(captures[2]?.absent?.reason).toBe('not-captured');
    expect(captures[3]?.absent?.reason).toBe('not-in-scope');
  });

  test('why a range is missing is what the note says', () => {
    const found = evaluate(crash, '&global_counter', 0).value ?? '';
    const missing = [
      {
        path: 'global_counter',
        address: BigInt(found),
        length: 4,
        reason: 'limit' as const,
        detail: 'the snapshot is full',
      },
    ];
    using snapshot = ownSnapshot(2048, missing);
    expect(evaluate(snapshot, 'global_counter', 0).absent).toMatchObject({
      reason: 'limit',
      detail: expect.stringContaining('the snapshot is full'),
    });
  });

  test('a small stack window ends the stack, and says how much more to take', () => {
    using snapshot = ownSnapshot(192);
    const { frames } = showSnapshot(snapshot);
    expect(frames.at(-1)?.absent).toMatchObject({
      reason: 'not-captured',
      detail: expect.stringMatching(/^the callers of this frame are not known: /),
      hint: '--stack 16384 takes more of the stack',
    });
  });

  test('thread-local variables need a register that a uprobe does not see', () => {
    using snapshot = ownSnapshot(2048);
    expect(evaluate(snapshot, 'per_thread', 1).absent).toMatchObject({
      reason: 'not-captured',
      detail: expect.stringContaining('thread-local variables need register fs_base, which was not captured'),
    });
  });
});

test('time is written with nanoseconds', () => {
  expect(formatTime(1n)).toBe('1970-01-01T00:00:00.000000001Z');
});

test('the registers that the tests patch are where they think', () => {
  const registers = new Uint8Array(216);
  new DataView(registers.buffer).setBigUint64(128, 7n, true);
  expect(readUserRegister(registers, 'rip')).toBe(7n);
});
