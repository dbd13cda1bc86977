/** Encodings against llvm-mc's assembler, and by literals where it has none. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Assembler } from '../../../agent/bpf/assembler.js';
import { StillframeError } from '../../../format/error.js';

type Emit = (asm: Assembler) => unknown;
const rows: readonly (readonly [text: string, emit: Emit])[] = [
  ['r1 += r2', (asm) => asm.alu('add', 1, 2)],
  ['r1 -= r2', (asm) => asm.alu('sub', 1, 2)],
  ['r3 *= r9', (asm) => asm.alu('mul', 3, 9)],
  ['r3 /= r9', (asm) => asm.alu('div', 3, 9)],
  ['r3 |= r9', (asm) => asm.alu('or', 3, 9)],
  ['r3 &= r9', (asm) => asm.alu('and', 3, 9)],
  ['r3 ^= r9', (asm) => asm.alu('xor', 3, 9)],
  ['r3 <<= r9', (asm) => asm.alu('lsh', 3, 9)],
  ['r3 >>= r9', (asm) => asm.alu('rsh', 3, 9)],
  ['r3 s>>= r9', (asm) => asm.alu('arsh', 3, 9)],
  ['r0 = r10', (asm) => asm.mov(0, 10)],
  ['w5 = w6', (asm) => asm.alu32('mov', 5, 6)],
  ['r7 = -r7', (asm) => asm.neg(7)],
  ['r4 += -128', (asm) => asm.aluImm('add', 4, -128)],
  ['r4 &= 4095', (asm) => asm.aluImm('and', 4, 4095)],
  ['r4 ^= -1', (asm) => asm.aluImm('xor', 4, -1)],
  ['r8 = 7', (asm) => asm.load(8, 7n)],
  ['r8 = -2147483648', (asm) => asm.load(8, -0x8000_0000n)],
  ['r8 = 2147483648 ll', (asm) => asm.load(8, 0x8000_0000n)],
  ['r8 = 1311768467463790320 ll', (asm) => asm.load(8, 0x1234_5678_9abc_def0n)],
  ['r1 = *(u8 *)(r2 + 1)', (asm) => asm.loadMemory(1, 1, 2, 1)],
  ['r1 = *(u16 *)(r2 - 2)', (asm) => asm.loadMemory(2, 1, 2, -2)],
  ['r1 = *(u32 *)(r2 + 32767)', (asm) => asm.loadMemory(4, 1, 2, 0x7fff)],
  ['r1 = *(u64 *)(r10 - 512)', (asm) => asm.loadMemory(8, 1, 10, -512)],
  ['*(u8 *)(r2 + 1) = r3', (asm) => asm.storeMemory(1, 2, 1, 3)],
  ['*(u64 *)(r10 - 8) = r7', (asm) => asm.storeMemory(8, 10, -8, 7)],
  ['lock *(u64 *)(r1 + 8) += r2', (asm) => asm.atomic('add', 8, 1, 8, 2)],
  ['call 112', (asm) => asm.call(112)],
  ['exit', (asm) => asm.exit()],
];

test.each(rows)('%s', (text, emit) => {
  expect(hexOf(emit)).toBe(assembleWithLlvm(text));
});

const jumps = [
  ['eq', '=='],
  ['ne', '!='],
  ['gt', '>'],
  ['ge', '>='],
  ['lt', '<'],
  ['le', '<='],
  ['sgt', 's>'],
  ['sge', 's>='],
  ['slt', 's<'],
  ['sle', 's<='],
] as const;

test.each(jumps)('jumps on %s', (op, sign) => {
  const ours = hexOf((asm) => {
    const [far, near] = [asm.label('far'), asm.label('near')];
    asm.jumpIf(op, 1, 2, far).bind(near).jumpIfImm(op, 3, -5, far).jump(near).bind(far).exit();
  });
  const theirs = `if r1 ${sign} r2 goto +2\nif r3 ${sign} -5 goto +1\ngoto -2\nexit`;
  expect(ours).toBe(assembleWithLlvm(theirs));
});

test('what llvm-mc 14 cannot write, by RFC 9669', () => {
  expect(hexOf((asm) => asm.alu('mod', 3, 9))).toBe('9f93000000000000');
  expect(hexOf((asm) => asm.atomic('fetchAdd', 8, 1, 8, 2))).toBe('db21080001000000');
  expect(hexOf((asm) => asm.atomic('xchg', 8, 1, 8, 2))).toBe('db210800e1000000');
  expect(hexOf((asm) => asm.atomic('cmpxchg', 8, 1, 8, 2))).toBe('db210800f1000000');
  expect(hexOf((asm) => asm.atomic('cmpxchg', 4, 1, 8, 2))).toBe('c3210800f1000000');
});

test('what refers to the kernel', () => {
  // BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, BPF_PSEUDO_KFUNC_CALL: the source register says what the number means.
  expect(hexOf((asm) => asm.loadMap(1, 5))).toBe('1811000005000000 0000000000000000');
  expect(hexOf((asm) => asm.loadMapValue(8, 5, 64))).toBe('1828000005000000 0000000040000000');
  expect(hexOf((asm) => asm.callKernelFunction(64256))).toBe('8520000000fb0000');
  expect(hexOf((asm) => asm.storeImm(4, 9, 20, 3))).toBe('6209140003000000');
});

test('a jump too far names what is too large', () => {
  const asm = new Assembler().section('order->items');
  const end = asm.label('range done');
  asm.jump(end);
  for (let i = 0; i < 40_000; i++) asm.exit();
  asm.bind(end).exit();
  expect(caught(() => asm.assemble())).toMatchObject({
    code: 'limit',
    message:
      'cannot compile "order->items": a jump to "range done" over 40000 instructions does not fit 16 bits',
  });
});

test.each<readonly [name: string, emit: Emit, message: string]>([
  [
    'a label that is never bound',
    (asm) => asm.jump(asm.label('nowhere')).assemble(),
    'label "nowhere" is never bound',
  ],
  [
    'a label bound twice',
    (asm) => {
      const twice = asm.label('twice');
      asm.bind(twice).bind(twice);
    },
    'label "twice" is bound twice',
  ],
  [
    'an offset of more than 16 bits',
    (asm) => asm.loadMemory(8, 1, 2, 0x8000),
    'offset 32768 of an eBPF instruction does not fit 16 bits',
  ],
  [
    'an immediate of more than 32 bits',
    (asm) => asm.aluImm('add', 1, 0x8000_0000),
    'immediate 2147483648 is not a signed 32-bit number',
  ],
])('%s is a bug of ours', (_name, emit, message) => {
  expect(caught(() => emit(new Assembler()))).toMatchObject({ code: 'internal', message });
});

test('the source map names the part of each instruction', () => {
  const asm = new Assembler().section('condition').mov(6, 1);
  const program = asm
    .section('order')
    .load(1, 1n << 40n)
    .exit()
    .assemble();
  expect(program.sourceMap).toEqual(['condition', 'order', 'order', 'order']);
  expect(program.instructions).toBe(4);
});

function hexOf(emit: Emit): string {
  const asm = new Assembler();
  emit(asm);
  const hex = Buffer.from(asm.assemble().bytes).toString('hex');
  return (hex.match(/.{16}/g) ?? []).join(' ');
}

function assembleWithLlvm(text: string): string {
  const run = spawnSync('llvm-mc', ['-triple=bpfel', '-mcpu=v3', '-show-encoding'], {
    input: text,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`llvm-mc: ${run.error?.message ?? run.stderr}`);
  const bytes = [...run.stdout.matchAll(/encoding: \[([^\]]*)\]/g)].map((match) =>
    (match[1] ?? '').replaceAll(/0x|,/g, ''),
  );
  return bytes.map((hex) => (hex.match(/.{16}/g) ?? []).join(' ')).join(' ');
}

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    if (error instanceof StillframeError) return { code: error.code, message: error.message };
    throw error;
  }
  return 'nothing was thrown';
}
