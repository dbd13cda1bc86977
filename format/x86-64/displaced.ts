/**
 * An instruction that does the same elsewhere: copied, with an address that is relative to the program counter made good, and followed by a jump to where the thread would be. Only those
 * that are known to do so; what pushes, keeps or chooses a program counter (calls, jumps, returns, system calls, traps, transactions, x87) is not among them. Intel SDM volume 2. Pure.
 */
import { type InstructionParts, instructionParts, opcodes } from './instruction.js';

export interface DisplacedInstruction {
  /** The instruction and the jump behind it. */
  readonly code: Uint8Array;
  /** Of the instruction: where the jump begins. */
  readonly length: number;
}

const jumpBytes = 5;
/** An instruction of 15 bytes and the jump. */
export const maxDisplacedBytes: number = 15 + jumpBytes;

/** `bytes`: what stands at `from`, and what may follow. Undefined where it may not be run at `to`, or `to` is too far away. */
export function displaceInstruction(
  bytes: Uint8Array,
  from: bigint,
  to: bigint,
): DisplacedInstruction | undefined {
  const parts = instructionParts(bytes);
  if (parts === undefined || !isMovable(parts, bytes)) return undefined;
  const { length, modrmAt, hasAddressSize } = parts;
  const code = new Uint8Array(length + jumpBytes);
  code.set(bytes.subarray(0, length));
  const view = new DataView(code.buffer);
  if (modrmAt !== undefined && isRelative(bytes[modrmAt] ?? 0)) {
    // With an address of 32 bits it would wrap elsewhere.
    if (hasAddressSize) return undefined;
    const displacement = BigInt(view.getInt32(modrmAt + 1, true)) + from - to;
    if (!isShort(displacement)) return undefined;
    view.setInt32(modrmAt + 1, Number(displacement), true);
  }
  const jump = from - to - BigInt(jumpBytes);
  if (!isShort(jump)) return undefined;
  view.setUint8(length, 0xe9);
  view.setInt32(length + 1, Number(jump), true);
  return { code, length };
}

/** ModRM: an offset of 32 bits from the program counter. */
const isRelative = (modrm: number): boolean => (modrm & 0xc7) === 0x05;

const isShort = (value: bigint): boolean => BigInt.asIntN(32, value) === value;

function isMovable({ map, opcode, modrmAt }: InstructionParts, bytes: Uint8Array): boolean {
  const digit = modrmAt === undefined ? 0 : ((bytes[modrmAt] ?? 0) >> 3) & 7;
  switch (map) {
    case '':
      return oneByte.has(opcode) && (digitsOfOneByte.get(opcode) ?? anyDigit).includes(digit);
    case '0f':
      return twoByte.has(opcode) && (opcode !== 0xc7 || digit === 1);
    case '0f38':
      return threeByte.has(opcode);
    case '0f3a':
      return true;
    case 'vector':
      break;
  }
  // None of them knows where it is.
  return true;
}

const anyDigit = [0, 1, 2, 3, 4, 5, 6, 7];
/** Groups that have others among them, and `mov` whose other digits are transactions. */
const digitsOfOneByte: ReadonlyMap<number, readonly number[]> = new Map([
  [0x8f, [0]],
  [0xc6, [0]],
  [0xc7, [0]],
  [0xfe, [0, 1]],
  [0xff, [0, 1, 6]],
]);

/** Arithmetic, stack, moves, string instructions, shifts; flags but for `popf`, which may set the trap flag. */
const oneByte: ReadonlySet<number> = new Set(
  opcodes(
    '00-05 08-0d 10-15 18-1d 20-25 28-2d 30-35 38-3d 50-5f 63 68-6b 80-81 83-8b 8d 8f-99 9e-a9 aa-c1 c6-c9 d0-d3 d7 f5-f9 fc-ff',
  ),
);
/** Moves, prefetches, hints, SSE, `cmov`, bits, counters of time; no moves to special registers, no system. */
const twoByte: ReadonlySet<number> = new Set(
  opcodes('0d 10-18 1f 28-2f 31 40-76 7c-7f 90-9f a3-a5 ab-ad af-b1 b3 b6-b8 ba-fe'),
);
/** Vectors, hashes, ciphers, checksums; not what writes shadow stacks. */
const threeByte: ReadonlySet<number> = new Set(opcodes('00-7f c8-df f0-f1'));
