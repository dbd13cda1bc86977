/** Unwinding where it must stop, guess or refuse: stacks from literal words. */
import { describe, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import type { MappedModule, ModuleMap } from '../../../controller/unwind/module-map.js';
import { x86_64 } from '../../../controller/unwind/x86-64.js';
import { unwindThread, type Unwound } from '../../../controller/unwind/unwind.js';
import { absent, isAbsent } from '../../../format/absent.js';
import { hex, loadBias } from '../../../format/address.js';
import { ByteWriter } from '../../../format/bytes.js';
import type { ElfFile } from '../../../format/elf/file.js';
import { defaultLimits } from '../../../format/limits.js';
import {
  dwarfRbp,
  userRegisterOffset,
  userRegistersBytes,
  type UserRegisterName,
} from '../../../format/registers/x86-64.js';
import {
  absolute,
  frameElf,
  FrameSectionWriter,
  usualInstructions,
} from '../../support/call-frame-writer.js';
import { memoryOf } from '../../support/memory.js';

const bias = 0x10_0000n;
const stackTop = 0x7f00_0000n;
/** Runtime addresses. `leaf` keeps nothing on the stack; `framed` has pushed rbp; `bare` has no call frame information. */
const leaf = bias + 0x1000n;
const framed = bias + 0x1100n;
const bare = bias + 0x1200n;
const start = bias + 0x1300n;
const handlerReturn = bias + 0x1400n;
const switched = bias + 0x1500n;
const codeStart = bias + 0x1000n;

function frames(): ElfFile {
  const section = new FrameSectionWriter();
  const cie = section.cie();
  section.fde(cie, absolute(leaf - bias, 0x100n));
  // CFA is rbp + 16, rbp at CFA - 16.
  section.fde(cie, absolute(framed - bias, 0x100n), [0x0c, 6, 16, 0x80 + 6, 2]);
  section.fde(
    section.cie({ instructions: [...usualInstructions, 0x07, 16] }),
    absolute(start - bias, 0x100n),
  );
  // CFA is rsp - 64: no stack grows so.
  section.fde(cie, absolute(switched - bias, 0x100n), [0x12, 7, 8]);
  // A signal frame: CFA is rsp + 256; rsp and rip are saved at rsp and rsp + 8.
  const signal = section.cie({ augmentation: 'zRS', data: [0x00] });
  section.fde(
    signal,
    (out) =>
      out
        .u64(handlerReturn - bias)
        .u64(0x100n)
        .uleb(0),
    [0x0c, 7, 0x80, 2, 0x80 + 7, 32, 0x80 + 16, 31],
  );
  return frameElf({ ehFrame: section.finish() });
}

/** Code full of `call rel32`, so that any return address at a multiple of five from the beginning stands after a call. */
const code = new Uint8Array(0x1000).map((_, i) => (i % 5 === 0 ? 0xe8 : 0));

interface Setup {
  readonly registers: Partial<Record<UserRegisterName, bigint>>;
  readonly unknown?: readonly string[];
  /** Words from `stackTop` on. */
  readonly stack?: readonly bigint[];
  readonly code?: Uint8Array;
  readonly maxFrames?: number;
  /** Where a function without call frame information begins, as a symbol would tell. */
  readonly functionStart?: bigint;
}

function unwind(setup: Setup): Unwound {
  const registers = new Uint8Array(userRegistersBytes);
  const view = new DataView(registers.buffer);
  for (const name of ['rip', 'rsp', 'rbp', 'rbx'] as const) {
    const value = setup.registers[name] ?? (name === 'rsp' ? stackTop : 0n);
    view.setBigUint64(userRegisterOffset(name), value, true);
  }
  const stack = new ByteWriter();
  for (const word of setup.stack ?? []) stack.u64(word);
  const elf = frames();
  const table = openCallFrames(elf);
  const module: MappedModule = {
    path: '/bin/test',
    bias: loadBias(bias),
    elf,
    callFrames: () => table,
    functionStart: () => setup.functionStart,
  };
  const inside = (address: bigint): boolean => address >= codeStart && address < codeStart + 0x1000n;
  const modules: ModuleMap = {
    find: (address) => (inside(address) ? module : undefined),
    isExecutable: inside,
  };
  return unwindThread({
    thread: { registers, unknownRegisters: setup.unknown ?? [], provenance: 'at-hit' },
    memory: memoryOf([
      { address: stackTop, bytes: stack.finish() },
      { address: codeStart, bytes: setup.code ?? code },
    ]),
    modules,
    limits: { ...defaultLimits, maxFrames: setup.maxFrames ?? defaultLimits.maxFrames },
    architecture: x86_64,
  });
}

const pcs = (unwound: Unwound): string[] => unwound.frames.map((frame) => hex(frame.pc));
const how = (unwound: Unwound): string[] => unwound.frames.map((frame) => frame.foundBy);

describe('the end of the stack', () => {
  test('a return address that is undefined', () => {
    const unwound = unwind({ registers: { rip: leaf }, stack: [start + 5n] });
    expect(pcs(unwound)).toEqual([hex(leaf), hex(start + 5n)]);
    expect(unwound.stopped).toBeUndefined();
  });

  test('a return address of 0', () => {
    const unwound = unwind({ registers: { rip: leaf }, stack: [0n] });
    expect(pcs(unwound)).toEqual([hex(leaf), '0x0']);
    expect(unwound.stopped).toBeUndefined();
  });

  test('the captured window ends before: how much more to take', () => {
    const unwound = unwind({ registers: { rip: leaf }, stack: [leaf + 5n, leaf + 10n] });
    expect(pcs(unwound)).toEqual([hex(leaf), hex(leaf + 5n), hex(leaf + 10n)]);
    expect(unwound.stopped).toEqual({
      absent: 'not-captured',
      detail: 'no memory at 0x7f000010',
      address: stackTop + 16n,
      length: 8,
      hint: '--stack 16384 takes more of the stack',
    });
  });

  test('the limit of frames', () => {
    const unwound = unwind({ registers: { rip: leaf }, stack: Array(50).fill(leaf + 5n), maxFrames: 10 });
    expect(unwound.frames).toHaveLength(10);
    expect(unwound.stopped).toEqual({ absent: 'limit', detail: 'the stack has more than 10 frames' });
  });

  test('a pc in no module, nothing plausible on the stack', () => {
    const unwound = unwind({ registers: { rip: 0x1234n }, stack: [7n] });
    expect(pcs(unwound)).toEqual(['0x1234']);
    expect(unwound.stopped).toEqual({
      absent: 'unwind-failed',
      detail: '0x1234 is not in any module that is known',
      address: 0x1234n,
    });
  });

  test('a stack pointer that is not known', () => {
    const unwound = unwind({ registers: { rip: leaf }, unknown: ['rsp'], stack: [leaf] });
    expect(unwound.stopped).toEqual({ absent: 'not-captured', detail: 'register rsp was not captured' });
  });

  test('a program counter that is not known: no frame at all', () => {
    const unwound = unwind({ registers: {}, unknown: ['rip'] });
    expect(unwound.frames).toEqual([]);
    expect(unwound.stopped).toEqual({ absent: 'not-captured', detail: 'register rip was not captured' });
  });
});

describe('registers of callers', () => {
  test('preserved ones are kept, saved ones read back, others lost', () => {
    const unwound = unwind({
      registers: { rip: framed, rbp: stackTop, rbx: 42n },
      stack: [0x5555n, start + 5n],
    });
    const caller = unwound.frames[1]?.registers;
    expect(caller?.value(3)).toBe(42n);
    expect(caller?.get(dwarfRbp)).toEqual({ value: 0x5555n, provenance: 'stopped', savedAt: stackTop });
    expect(caller?.value(7)).toBe(stackTop + 16n);
    expect(caller?.value(5)).toEqual({
      absent: 'optimized-out',
      detail: 'register rdi is not preserved across calls, so its value in the caller is lost',
    });
    expect(caller?.bytes(17)).toMatchObject({ absent: 'optimized-out' });
  });

  test('a vector register that was not captured', () => {
    const unwound = unwind({ registers: { rip: start } });
    expect(unwound.frames[0]?.registers.bytes(17)).toEqual({
      absent: 'not-captured',
      detail: 'register xmm0 was not captured',
    });
  });
});

test('a caller is looked up by the byte before its pc, the innermost frame by its pc', () => {
  const unwound = unwind({ registers: { rip: leaf }, stack: [framed, start + 5n], maxFrames: 2 });
  // The call is the last instruction of `leaf`: what returns to the beginning of `framed` is not in `framed`.
  expect(unwound.frames.map((frame) => hex(frame.lookupPc))).toEqual([hex(leaf), hex(framed - 1n)]);
  expect(unwound.frames[1]?.cfa).toBe(stackTop + 16n);
});

describe('signal frames', () => {
  test('the interrupted pc is exact, and its stack may lie below', () => {
    const stack = [handlerReturn, stackTop, leaf + 5n];
    const unwound = unwind({ registers: { rip: leaf }, stack, maxFrames: 3 });
    expect(pcs(unwound)).toEqual([hex(leaf), hex(handlerReturn), hex(leaf + 5n)]);
    expect(unwound.frames.map((frame) => frame.signalFrame)).toEqual([false, true, false]);
    expect(unwound.frames.map((frame) => hex(frame.lookupPc))).toEqual(pcs(unwound));
  });

  test('the code of a signal return without call frame information', () => {
    const trampoline = code.slice();
    trampoline.set([0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05], Number(bare - codeStart));
    // rsp points to ucontext when the handler has returned; r8 stands 40 bytes into it, rsp 120 and rip 128 after that.
    const context = Array.from({ length: 30 }, (_, i) => BigInt(i));
    context[5 + 15] = stackTop + 0x1000n;
    context[5 + 16] = start + 7n;
    const unwound = unwind({ registers: { rip: leaf }, stack: [bare, ...context], code: trampoline });
    expect(pcs(unwound)).toEqual([hex(leaf), hex(bare), hex(start + 7n)]);
    expect(unwound.frames[2]?.registers.value(8)).toBe(5n);
    expect(unwound.frames[2]?.registers.value(7)).toBe(stackTop + 0x1000n);
    expect(unwound.stopped).toBeUndefined();
  });
});

test('a caller that does not lie above the one that it called ends the stack', () => {
  const unwound = unwind({ registers: { rip: leaf }, stack: [switched + 5n, leaf] });
  expect(pcs(unwound)).toEqual([hex(leaf), hex(switched + 5n)]);
  expect(unwound.frames[1]?.cfa).toMatchObject({ absent: 'unwind-failed' });
  expect(unwound.stopped?.detail).toBe(
    'the frame at 0x101505 would lie at 0x7effffc8, not above the one that it called: the stack is damaged or was switched',
  );
});

describe('without call frame information', () => {
  const afterCall = start + 2n;
  const chain = [0n, 0n, 0n, 0n, afterCall];

  test('frame pointers are followed, and the frame says so', () => {
    const unwound = unwind({ registers: { rip: bare, rbp: stackTop + 24n }, stack: chain });
    expect(how(unwound)).toEqual(['thread', 'frame-pointer']);
    expect(unwound.frames[1]?.registers.value(7)).toBe(stackTop + 40n);
    expect(unwound.frames[1]?.registers.value(3)).toEqual({
      absent: 'optimized-out',
      detail: 'register rbx is not known: the function that was called has no call frame information',
    });
  });

  test.each([
    ['a frame pointer below the stack pointer', { rbp: stackTop - 8n }, chain],
    ['one that is not aligned', { rbp: stackTop + 25n }, chain],
    ['one far away', { rbp: stackTop + 0x100_0000n }, chain],
    ['one outside of the captured stack', { rbp: stackTop + 0x100n }, chain],
    ['a return address that is not code', { rbp: stackTop + 24n }, [0n, 0n, 0n, 0n, stackTop]],
    [
      'a return address that no call stands before',
      { rbp: stackTop + 24n },
      [0n, 0n, 0n, 0n, afterCall + 1n],
    ],
    ['a chain that leads down', { rbp: stackTop + 24n }, [0n, 0n, 0n, stackTop, afterCall]],
  ])('not followed: %s', (_, registers, stack) => {
    const unwound = unwind({ registers: { rip: bare, ...registers }, stack });
    expect(how(unwound)).toEqual(['thread']);
    expect(unwound.stopped).toEqual({
      absent: 'unwind-failed',
      detail: 'no call frame information of "test.elf" covers 0x1200',
      address: 0x1200n,
    });
  });

  test('a call of what is no code: the return address on top of the stack', () => {
    const unwound = unwind({ registers: { rip: 0x10n, rbx: 3n }, stack: [afterCall] });
    expect(how(unwound)).toEqual(['thread', 'stack-top']);
    expect(unwound.frames[1]?.registers.value(3)).toBe(3n);
    expect(unwound.stopped).toBeUndefined();
  });
});

test('a module that cannot be used says why the stack ends', () => {
  const why = absent('no-debug-info', 'cannot open "/bin/test": ENOENT');
  const module: MappedModule = { path: '/bin/test', bias: loadBias(bias), elf: why, callFrames: () => why };
  const registers = new Uint8Array(userRegistersBytes);
  new DataView(registers.buffer).setBigUint64(userRegisterOffset('rip'), leaf, true);
  const unwound = unwindThread({
    thread: { registers, unknownRegisters: [], provenance: 'at-hit' },
    memory: memoryOf([]),
    modules: { find: () => module, isExecutable: () => true },
    architecture: x86_64,
  });
  expect(unwound.frames).toHaveLength(1);
  expect(unwound.stopped).toEqual(why);
  expect(isAbsent(unwound.frames[0]?.cfa)).toBe(true);
});

/** The same code with other bytes somewhere. */
function codeWith(address: bigint, bytes: readonly number[]): Uint8Array {
  const changed = code.slice();
  changed.set(bytes, Number(address - codeStart));
  return changed;
}

describe('at a return instruction', () => {
  const ret = codeWith(framed + 0x10n, [0xc3]);

  test('the machine knows better than a table that forgets the epilogue', () => {
    const unwound = unwind({
      registers: { rip: framed + 0x10n, rbp: stackTop + 8n, rbx: 77n },
      stack: [leaf + 5n, start + 5n, leaf + 10n],
      code: ret,
    });
    expect(pcs(unwound)).toEqual([hex(framed + 0x10n), hex(leaf + 5n), hex(start + 5n)]);
    expect(how(unwound)).toEqual(['thread', 'return', 'call-frame']);
    expect(unwound.frames[1]?.registers.value(3)).toBe(77n);
    expect(isAbsent(unwound.frames[1]?.registers.value(0))).toBe(true);
  });

  test('a table that says the same is kept', () => {
    const unwound = unwind({
      registers: { rip: leaf + 0x10n },
      stack: [start + 5n],
      code: codeWith(leaf + 0x10n, [0xc3]),
    });
    expect(how(unwound)).toEqual(['thread', 'call-frame']);
  });
});

describe('a function without call frame information whose beginning is known', () => {
  const prologue = codeWith(bare, [0x55, 0x48, 0x89, 0xe5]);
  // NB: `start + 2n` is at a multiple of five from the beginning of the code.
  const setUp = { code: prologue, functionStart: bare };

  test('at its first instruction', () => {
    const unwound = unwind({ ...setUp, registers: { rip: bare }, stack: [start + 2n] });
    expect(pcs(unwound)).toEqual([hex(bare), hex(start + 2n)]);
    expect(how(unwound)).toEqual(['thread', 'prologue']);
  });

  test('after the push: the frame pointer is the one that was pushed', () => {
    const unwound = unwind({ ...setUp, registers: { rip: bare + 1n }, stack: [0x1234n, start + 2n] });
    expect(how(unwound)).toEqual(['thread', 'prologue']);
    expect(unwound.frames[1]?.registers.value(dwarfRbp)).toBe(0x1234n);
  });

  test('in its body: by the frame pointer, whatever the caller kept in it', () => {
    const unwound = unwind({
      ...setUp,
      registers: { rip: bare + 0x20n, rbp: stackTop + 8n },
      stack: [7n, 3n, start + 2n],
    });
    expect(how(unwound)).toEqual(['thread', 'frame-pointer']);
    expect(unwound.frames[1]?.registers.value(dwarfRbp)).toBe(3n);
  });

  test('nothing after a call on top of the stack: the stack ends with the reason', () => {
    const unwound = unwind({ ...setUp, registers: { rip: bare }, stack: [start + 6n] });
    expect(pcs(unwound)).toEqual([hex(bare)]);
    expect(unwound.stopped?.detail).toMatch(/^no call frame information of .* covers 0x1200$/);
  });
});

test('a stack that was made by hand: what begins there was not called', () => {
  const unwound = unwind({ registers: { rip: framed, rbp: stackTop }, stack: [0n, leaf, 7n] });
  expect(pcs(unwound)).toEqual([hex(framed), hex(leaf)]);
  expect(unwound.stopped).toEqual({
    absent: 'unwind-failed',
    detail: 'no call leads to 0x101000: the stack was made by hand, and begins here',
    address: leaf,
  });
});
