/** Stacks of AArch64 from literal words: where the return address is in a register, is signed, or was saved by the kernel. */
import { describe, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import { aarch64 } from '../../../controller/unwind/aarch64.js';
import { architectureOf } from '../../../controller/unwind/architectures.js';
import type { MappedModule, ModuleMap } from '../../../controller/unwind/module-map.js';
import { unwindThread, type Unwound } from '../../../controller/unwind/unwind.js';
import { isAbsent } from '../../../format/absent.js';
import { hex, linkAddress, loadBias } from '../../../format/address.js';
import { ByteWriter } from '../../../format/bytes.js';
import { NT } from '../../../format/core/constants.js';
import type { ElfFile } from '../../../format/elf/file.js';
import { absolute, frameElf, FrameSectionWriter } from '../../support/call-frame-writer.js';
import { memoryOf } from '../../support/memory.js';
import { thrown } from '../../support/thrown.js';

const bias = 0x10_0000n;
const codeStart = bias + 0x1000n;
const stackTop = 0x7f00_0000n;
const lr = 30;
const sp = 31;

/** Link addresses of functions: one that saves nothing, one that signs and saves x29 and x30, one that begins the stack. */
const leaf = 0x1000n;
const signed = 0x1100n;
const start = 0x1200n;
const bare = 0x1300n;

const negate = 0x2d;

function frames(machine = 183): ElfFile {
  const section = new FrameSectionWriter();
  const spec = { codeAlignment: 4, returnAddressRegister: lr, instructions: [0x0c, sp, 0] };
  const cie = section.cie(spec);
  section.fde(cie, absolute(leaf, 0x100n));
  // Signed; CFA is sp + 16, x29 at CFA - 16, x30 at CFA - 8.
  section.fde(cie, absolute(signed, 0x100n), [negate, 0x0e, 16, 0x80 + 29, 2, 0x80 + lr, 1]);
  section.fde(cie, absolute(start, 0x100n), [0x07, lr]);
  return frameElf({ ehFrame: section.finish(), machine });
}

interface Setup {
  readonly pc: bigint;
  readonly lr?: bigint;
  readonly fp?: bigint;
  readonly stack?: readonly bigint[];
  /** Instructions at addresses. */
  readonly code?: ReadonlyMap<bigint, number>;
  readonly signatureMask?: bigint;
}

function codeBytes(code: ReadonlyMap<bigint, number>): Uint8Array {
  const bytes = new Uint8Array(0x1000);
  const view = new DataView(bytes.buffer);
  for (const [address, instruction] of code) view.setUint32(Number(address - codeStart), instruction, true);
  return bytes;
}

function unwind(setup: Setup): Unwound {
  const registers = new Uint8Array(272);
  const view = new DataView(registers.buffer);
  view.setBigUint64(29 * 8, setup.fp ?? 0n, true);
  view.setBigUint64(lr * 8, setup.lr ?? 0n, true);
  view.setBigUint64(sp * 8, stackTop, true);
  view.setBigUint64(32 * 8, setup.pc, true);
  view.setBigUint64(19 * 8, 0x1919n, true);
  const stack = new ByteWriter();
  for (const word of setup.stack ?? []) stack.u64(word);
  const elf = frames();
  const table = openCallFrames(elf);
  const module: MappedModule = { path: '/bin/test', bias: loadBias(bias), elf, callFrames: () => table };
  const inside = (address: bigint): boolean => address >= codeStart && address < codeStart + 0x1000n;
  const modules: ModuleMap = { find: (at) => (inside(at) ? module : undefined), isExecutable: inside };
  const mask = setup.signatureMask;
  return unwindThread({
    thread: {
      registers,
      unknownRegisters: [],
      provenance: 'stopped',
      registerSets:
        mask === undefined
          ? undefined
          : new Map([[NT.NT_ARM_PAC_MASK, new ByteWriter().u64(mask).u64(mask).finish()]]),
    },
    memory: memoryOf([
      { address: stackTop, bytes: stack.finish() },
      { address: codeStart, bytes: codeBytes(setup.code ?? new Map()) },
    ]),
    modules,
    architecture: aarch64,
  });
}

const pcs = (unwound: Unwound): string[] => unwound.frames.map((frame) => hex(frame.pc));
const at = (link: bigint, offset = 0n): bigint => bias + link + offset;

describe('return addresses', () => {
  test('in x30, where a function saves nothing; x19 is as it was', () => {
    const unwound = unwind({ pc: at(leaf), lr: at(start, 8n) });
    expect(pcs(unwound)).toEqual([hex(at(leaf)), hex(at(start, 8n))]);
    expect(unwound.stopped).toBeUndefined();
    expect(unwound.frames[1]?.registers.value(19)).toBe(0x1919n);
    expect(unwound.frames[1]?.registers.value(sp)).toBe(stackTop);
    expect(unwound.frames[1]?.registers.value(9)).toMatchObject({ absent: 'optimized-out' });
  });

  test.each([
    ['by the bits that no address of 48 bits has', undefined, 0x005a_0000_0000_0000n],
    ['by the mask that the kernel tells', 0x007f_ff80_0000_0000n, 0x0055_5500_0000_0000n],
  ])('signed: %s', (_, signatureMask, signature) => {
    const unwound = unwind({
      pc: at(signed, 4n),
      stack: [0x2929n, at(start, 8n) | signature],
      ...(signatureMask === undefined ? {} : { signatureMask }),
    });
    expect(pcs(unwound)).toEqual([hex(at(signed, 4n)), hex(at(start, 8n))]);
    expect(unwound.frames[1]?.registers.value(lr)).toBe(at(start, 8n));
    expect(unwound.frames[1]?.registers.value(29)).toBe(0x2929n);
    expect(unwound.frames[1]?.registers.value(sp)).toBe(stackTop + 16n);
  });

  test('of a caller that did not save it: the stack is damaged, and no frame is told twice', () => {
    const unwound = unwind({ pc: at(leaf), lr: at(leaf, 8n) });
    expect(unwound.frames.length).toBeLessThanOrEqual(3);
    expect(unwound.stopped).toMatchObject({ absent: 'unwind-failed' });
  });

  test('a signature is no instruction of other machines', () => {
    const row = openCallFrames(frames(62)).findRow(linkAddress(signed));
    expect(row).toMatchObject({ absent: 'unwind-failed' });
    if (!isAbsent(row)) throw new Error('a row');
    expect(row.detail).toContain('unknown call frame instruction 0x2d');
  });
});

describe('without call frame information', () => {
  const bl = 0x9400_0000;

  test('a jump to nowhere: the return address is in x30', () => {
    const unwound = unwind({ pc: 0n, lr: at(start, 8n), code: new Map([[at(start, 4n), 0xd63f_0020]]) });
    expect(pcs(unwound)).toEqual(['0x0', hex(at(start, 8n))]);
    expect(unwound.frames[1]?.foundBy).toBe('stack-top');
  });

  test('frame pointers: the stack pointer of the caller is not known', () => {
    const unwound = unwind({
      pc: at(bare, 8n),
      fp: stackTop,
      stack: [0n, at(start, 8n) | 0x0011_0000_0000_0000n],
      code: new Map([[at(start, 4n), bl]]),
    });
    expect(unwound.frames[1]).toMatchObject({ pc: at(start, 8n), foundBy: 'frame-pointer' });
    expect(unwound.frames[1]?.registers.value(sp)).toMatchObject({ absent: 'optimized-out' });
  });

  test('the frame of a signal: registers lie in the kernel’s frame on the stack', () => {
    const words = Array<bigint>(80).fill(0n);
    const registersAt = 312 / 8;
    for (let number = 0; number < 31; number++) words[registersAt + number] = BigInt(number) + 0x100n;
    words[registersAt + sp] = stackTop + 0x1000n;
    words[registersAt + 32] = at(leaf, 4n);
    words[registersAt + lr] = at(start, 8n);
    const unwound = unwind({
      pc: at(bare),
      stack: words,
      code: new Map([
        [at(bare), 0xd280_1168],
        [at(bare, 4n), 0xd400_0001],
      ]),
    });
    expect(unwound.frames[0]?.signalFrame).toBe(true);
    expect(pcs(unwound)).toEqual([hex(at(bare)), hex(at(leaf, 4n)), hex(at(start, 8n))]);
    expect(unwound.frames[1]?.registers.value(0)).toBe(0x100n);
    expect(unwound.frames[1]?.registers.value(sp)).toBe(stackTop + 0x1000n);
  });
});

describe('code', () => {
  const bytes = (...instructions: readonly number[]): Uint8Array => {
    const writer = new ByteWriter();
    for (const instruction of instructions) writer.u32(instruction);
    return writer.finish();
  };

  test.each([
    ['bl', 0x97ff_fffb, true],
    ['blr x1', 0xd63f_0020, true],
    ['blraaz x1', 0xd63f_083f, true],
    ['blraa x1, x2', 0xd73f_0822, true],
    ['b', 0x1400_0001, false],
    ['br x1', 0xd61f_0020, false],
    ['ret', 0xd65f_03c0, false],
  ])('%s is a call: %s', (_, instruction, isCall) => {
    expect(aarch64.endsWithCall(bytes(instruction))).toBe(isCall);
  });

  test('of a PLT: nothing is pushed but by the header', () => {
    const adrp = 0x9000_0090;
    expect(aarch64.pltCfaOffset(bytes(adrp), 32)).toBe(0n);
    expect(aarch64.pltCfaOffset(bytes(0xd503_245f, adrp), 48)).toBe(0n);
    expect(aarch64.pltCfaOffset(bytes(0xa9bf_7bf0), 0)).toBe(0n);
    expect(aarch64.pltCfaOffset(bytes(adrp), 4)).toBe(16n);
    expect(aarch64.pltCfaOffset(bytes(0xf947_fa11), 36)).toBeUndefined();
  });

  test('thread-local blocks stand behind the thread pointer, aligned', () => {
    const block = { memorySize: 8n, virtualAddress: 0x1000n };
    expect(aarch64.threadLocalOffset({ ...block, align: 4n })).toBe(16n);
    expect(aarch64.threadLocalOffset({ ...block, align: 64n })).toBe(64n);
  });
});

test('another machine is refused by name', () => {
  expect(architectureOf(183)).toBe(aarch64);
  expect(thrown(() => architectureOf(243))).toBe(
    'unsupported: cannot unwind: machine 243 is none of x86-64 (62) and AArch64 (183)',
  );
});
