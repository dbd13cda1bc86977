/**
 * Length and class of an x86-64 instruction: as much as is needed to say what a probe on it costs. Intel SDM volume 2,
 * chapter 2 and appendix A. Pure; anything that is not recognised is undefined, never guessed.
 */

export interface Instruction {
  readonly length: number;
  readonly group: InstructionGroup;
  /** How the kernel runs it under a uprobe (arch/x86/kernel/uprobes.c). */
  readonly probe: 'emulated' | 'single-stepped' | 'refused';
}

export type InstructionGroup =
  | 'push register'
  | 'nop'
  | 'jump'
  | 'conditional jump'
  | 'call'
  | 'endbr64'
  | 'return'
  | 'breakpoint'
  | 'other';

/** The longest that the processor accepts. */
export const maxInstructionBytes = 15;

/** What follows the opcode; `z` is 4 bytes, or 2 with an operand-size prefix. */
interface Shape {
  readonly modrm: boolean;
  readonly immediate: '' | 'b' | 'w' | 'z' | 'v' | 'o' | 'd' | 'wb' | 'bb' | 'group3b' | 'group3z';
}

interface Prefixes {
  readonly operandSize: boolean;
  readonly addressSize: boolean;
  readonly lockOrSegment: boolean;
  readonly repeat: boolean;
  readonly rex: number;
  /** Where the opcode begins. */
  readonly end: number;
}

/** Decodes the first instruction of `bytes`; undefined when it is invalid, unknown or cut off. */
export function decodeInstruction(bytes: Uint8Array): Instruction | undefined {
  const prefixes = readPrefixes(bytes);
  const opcode = bytes[prefixes.end];
  if (opcode === undefined) return undefined;
  const length = instructionLength(bytes, prefixes, opcode);
  if (length === undefined || length > maxInstructionBytes || length > bytes.length) return undefined;
  const group = groupOf(bytes, prefixes, opcode);
  return { length, group, probe: probeOf(group, prefixes, length) };
}

/** Where an instruction has its opcode, and its ModRM byte if it has one. */
export interface InstructionParts {
  readonly length: number;
  /** The opcode map: none, 0F, 0F 38, 0F 3A; VEX, EVEX and XOP are one. */
  readonly map: '' | '0f' | '0f38' | '0f3a' | 'vector';
  readonly opcode: number;
  readonly modrmAt: number | undefined;
  readonly hasAddressSize: boolean;
}

/** As {@link decodeInstruction}; of what is decoded, which bytes mean what. */
export function instructionParts(bytes: Uint8Array): InstructionParts | undefined {
  const length = decodeInstruction(bytes)?.length;
  if (length === undefined) return undefined;
  const { end, addressSize } = readPrefixes(bytes);
  return { length, hasAddressSize: addressSize, ...opcodeParts(bytes, end) };
}

function opcodeParts(bytes: Uint8Array, at: number): Pick<InstructionParts, 'map' | 'opcode' | 'modrmAt'> {
  const [first = 0, second = 0, third = 0] = bytes.subarray(at);
  const escapeBytes = vectorEscapes.get(first) ?? (first === 0x8f && (second & 0x1f) >= 8 ? 3 : undefined);
  if (escapeBytes !== undefined) {
    const opcodeAt = at + escapeBytes;
    const isBare = first !== 0x62 && bytes[opcodeAt] === 0x77;
    return { map: 'vector', opcode: bytes[opcodeAt] ?? 0, modrmAt: isBare ? undefined : opcodeAt + 1 };
  }
  if (first !== 0x0f) {
    return { map: '', opcode: first, modrmAt: oneByteShape(first)?.modrm === true ? at + 1 : undefined };
  }
  if (second === 0x38) return { map: '0f38', opcode: third, modrmAt: at + 3 };
  if (second === 0x3a) return { map: '0f3a', opcode: third, modrmAt: at + 3 };
  return { map: '0f', opcode: second, modrmAt: twoByteShape(second)?.modrm === true ? at + 2 : undefined };
}

function readPrefixes(bytes: Uint8Array): Prefixes {
  let operandSize = false;
  let addressSize = false;
  let lockOrSegment = false;
  let repeat = false;
  let rex = 0;
  let end = 0;
  for (; end < maxInstructionBytes; end++) {
    const byte = bytes[end] ?? 0x100;
    if (byte >= 0x40 && byte <= 0x4f) {
      rex = byte;
      continue;
    }
    if (byte === 0x66) operandSize = true;
    else if (byte === 0x67) addressSize = true;
    else if (byte === 0xf2 || byte === 0xf3) repeat = true;
    else if ([0xf0, 0x26, 0x2e, 0x36, 0x3e].includes(byte)) lockOrSegment = true;
    else if (byte !== 0x64 && byte !== 0x65) break;
    // A REX prefix counts only right before the opcode.
    rex = 0;
  }
  return { operandSize, addressSize, lockOrSegment, repeat, rex, end };
}

function instructionLength(bytes: Uint8Array, prefixes: Prefixes, opcode: number): number | undefined {
  const at = prefixes.end;
  if (vectorEscapes.has(opcode)) return vectorLength(bytes, at, opcode);
  if (opcode === 0x8f && ((bytes[at + 1] ?? 0) & 0x1f) >= 8) return xopLength(bytes, at);
  if (opcode === 0x0f) return twoByteLength(bytes, prefixes);
  const shape = oneByteShape(opcode);
  return shape === undefined ? undefined : withOperands(bytes, at + 1, shape, prefixes);
}

function twoByteLength(bytes: Uint8Array, prefixes: Prefixes): number | undefined {
  const at = prefixes.end;
  const second = bytes[at + 1];
  if (second === undefined) return undefined;
  if (second === 0x38) return withOperands(bytes, at + 3, { modrm: true, immediate: '' }, prefixes);
  if (second === 0x3a) return withOperands(bytes, at + 3, { modrm: true, immediate: 'b' }, prefixes);
  // Moves to and from control and debug registers take any ModRM as registers.
  if (second >= 0x20 && second <= 0x23) return at + 3;
  if (second === 0x78 && (prefixes.operandSize || prefixes.repeat)) {
    return withOperands(bytes, at + 2, { modrm: true, immediate: 'bb' }, prefixes);
  }
  const shape = twoByteShape(second);
  return shape === undefined ? undefined : withOperands(bytes, at + 2, shape, prefixes);
}

/** How many bytes come before the opcode: VEX (C4, C5) and EVEX (62). */
const vectorEscapes: ReadonlyMap<number, number> = new Map([
  [0xc5, 2],
  [0xc4, 3],
  [0x62, 4],
]);

/** Intel SDM volume 2, 2.3 and 2.7. */
function vectorLength(bytes: Uint8Array, at: number, opcode: number): number | undefined {
  const second = bytes[at + 1] ?? 0;
  const opcodeAt = at + (vectorEscapes.get(opcode) ?? 0);
  const map = opcode === 0xc5 ? 1 : second & (opcode === 0xc4 ? 0x1f : 0x07);
  const operation = bytes[opcodeAt];
  if (operation === undefined) return undefined;
  if (opcode !== 0x62 && map === 1 && operation === 0x77) return opcodeAt + 1;
  if (map === 0 || map > 6 || map === 4) return undefined;
  const hasImmediate = map === 3 || (map === 1 && vectorImmediates.has(operation));
  const operands = modrmLength(bytes, opcodeAt + 1);
  return operands === undefined ? undefined : opcodeAt + 1 + operands + (hasImmediate ? 1 : 0);
}

const vectorImmediates: ReadonlySet<number> = new Set([0x70, 0x71, 0x72, 0x73, 0xc2, 0xc4, 0xc5, 0xc6]);

/** XOP of older AMD processors (AMD64 APM volume 6, 1.4). */
function xopLength(bytes: Uint8Array, at: number): number | undefined {
  const map = (bytes[at + 1] ?? 0) & 0x1f;
  const immediate = { 8: 1, 9: 0, 10: 4 }[map];
  const operands = modrmLength(bytes, at + 4);
  return immediate === undefined || operands === undefined ? undefined : at + 4 + operands + immediate;
}

function withOperands(bytes: Uint8Array, at: number, shape: Shape, prefixes: Prefixes): number | undefined {
  let operands = 0;
  if (shape.modrm) {
    const length = modrmLength(bytes, at);
    if (length === undefined) return undefined;
    operands = length;
  }
  return at + operands + immediateLength(shape.immediate, prefixes, bytes[at] ?? 0);
}

function immediateLength(kind: Shape['immediate'], prefixes: Prefixes, modrm: number): number {
  const wide = (prefixes.rex & 8) !== 0;
  const z = prefixes.operandSize && !wide ? 2 : 4;
  switch (kind) {
    case '':
      return 0;
    case 'b':
      return 1;
    case 'w':
    case 'bb':
      return 2;
    case 'wb':
      return 3;
    case 'd':
      return 4;
    case 'z':
      return z;
    case 'v':
      return wide ? 8 : z;
    case 'o':
      return prefixes.addressSize ? 4 : 8;
    case 'group3b':
      return (modrm & 0x30) === 0 ? 1 : 0;
    case 'group3z':
      break;
  }
  return (modrm & 0x30) === 0 ? z : 0;
}

/** Bytes of ModRM, SIB and displacement. */
function modrmLength(bytes: Uint8Array, at: number): number | undefined {
  const modrm = bytes[at];
  if (modrm === undefined) return undefined;
  const mode = modrm >> 6;
  const rm = modrm & 7;
  if (mode === 3) return 1;
  const sib = rm === 4 ? 1 : 0;
  const base = sib === 1 ? (bytes[at + 1] ?? 0) & 7 : rm;
  if (mode === 1) return 2 + sib;
  if (mode === 2) return 5 + sib;
  return base === 5 ? 5 + sib : 1 + sib;
}

const modrmOnly: Shape = { modrm: true, immediate: '' };
const bare: Shape = { modrm: false, immediate: '' };

/** Appendix A, table A-2; undefined where 64-bit mode has no instruction. */
function oneByteShape(opcode: number): Shape | undefined {
  if (opcode < 0x40) {
    // Eight arithmetic operations, six forms each; the other two of eight are gone in 64-bit mode.
    const form = opcode & 7;
    if (form < 4) return modrmOnly;
    if (form === 4) return { modrm: false, immediate: 'b' };
    return form === 5 ? { modrm: false, immediate: 'z' } : undefined;
  }
  if (opcode <= 0x5f) return bare;
  return oneByteShapes.get(opcode);
}

const oneByteShapes: ReadonlyMap<number, Shape> = shapes([
  [modrmOnly, '63 84-8f c4 d0-d3 d8-df fe ff'],
  [bare, '6c-6f 90-99 9b-9f a4-a7 aa-af c3 c9 cb cc cf d7 ec-ef f1 f4 f5 f8-fd'],
  [{ modrm: true, immediate: 'b' }, '6b 80 83 c0 c1 c6'],
  [{ modrm: true, immediate: 'z' }, '69 81 c7'],
  [{ modrm: false, immediate: 'b' }, '6a 70-7f a8 b0-b7 cd e0-e7 eb'],
  [{ modrm: false, immediate: 'z' }, '68 a9'],
  [{ modrm: false, immediate: 'v' }, 'b8-bf'],
  [{ modrm: false, immediate: 'o' }, 'a0-a3'],
  [{ modrm: false, immediate: 'w' }, 'c2 ca'],
  [{ modrm: false, immediate: 'wb' }, 'c8'],
  [{ modrm: false, immediate: 'd' }, 'e8 e9'],
  [{ modrm: true, immediate: 'group3b' }, 'f6'],
  [{ modrm: true, immediate: 'group3z' }, 'f7'],
]);

/** Appendix A, table A-3. */
function twoByteShape(opcode: number): Shape | undefined {
  return twoByteShapes.get(opcode) ?? (twoByteInvalid.has(opcode) ? undefined : modrmOnly);
}

const twoByteShapes: ReadonlyMap<number, Shape> = shapes([
  [bare, '05-09 0b 0e 30-37 77 a0-a2 a8-aa c8-cf'],
  [{ modrm: true, immediate: 'b' }, '0f 70-73 a4 ac ba c2 c4-c6'],
  [{ modrm: false, immediate: 'd' }, '80-8f'],
]);
const twoByteInvalid: ReadonlySet<number> = new Set(opcodes('04 0a 0c 24-27 39 3b-3f a6 a7'));

/** Rows of a table: a shape, and the opcodes that have it. */
function shapes(rows: readonly (readonly [Shape, string])[]): ReadonlyMap<number, Shape> {
  return new Map(rows.flatMap(([shape, text]) => opcodes(text).map((code) => [code, shape] as const)));
}

/** Opcodes in hex, with ranges: `0d 10-18`. */
export function opcodes(text: string): number[] {
  return text.split(' ').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map((digits) => Number.parseInt(digits, 16));
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

function groupOf(bytes: Uint8Array, prefixes: Prefixes, opcode: number): InstructionGroup {
  if (opcode >= 0x50 && opcode <= 0x57) return 'push register';
  if (opcode >= 0x70 && opcode <= 0x7f) return 'conditional jump';
  switch (opcode) {
    case 0x90:
      // With REX.B it exchanges r8 and rax.
      return (prefixes.rex & 1) === 0 ? 'nop' : 'other';
    case 0xe9:
    case 0xeb:
      return 'jump';
    case 0xe8:
      return 'call';
    case 0xc2:
    case 0xc3:
      return 'return';
    case 0xcc:
      return 'breakpoint';
    case 0x0f:
      break;
    default:
      return 'other';
  }
  const second = bytes[prefixes.end + 1] ?? 0;
  const third = bytes[prefixes.end + 2] ?? 0;
  if (second >= 0x80 && second <= 0x8f) return 'conditional jump';
  if (second === 0x1f && (third & 0x38) === 0) return 'nop';
  if (second === 0x1e && third === 0xfa && bytes[prefixes.end - 1] === 0xf3) return 'endbr64';
  return 'other';
}

/**
 * The kernel emulates relative branches, nops and pushes of a register; it refuses to probe an instruction with a lock or (but for fs and gs) a
 * segment prefix; the rest runs out of line in a single step, which a virtual machine pays dearly for.
 */
function probeOf(group: InstructionGroup, prefixes: Prefixes, length: number): Instruction['probe'] {
  if (prefixes.lockOrSegment || group === 'breakpoint') return 'refused';
  switch (group) {
    case 'nop':
      return 'emulated';
    case 'push register':
      return length === 1 || (length === 2 && prefixes.rex === 0x41) ? 'emulated' : 'single-stepped';
    case 'jump':
    case 'conditional jump':
    case 'call':
      return prefixes.operandSize ? 'refused' : 'emulated';
    case 'endbr64':
    case 'return':
    case 'other':
      break;
  }
  return 'single-stepped';
}
