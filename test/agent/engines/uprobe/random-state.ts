/** Random memory and registers for the lab, and those registers as a probe sees them. */
import { userRegisterNames } from '../../../../format/registers/x86-64.js';
import { type LabState, pageBytes, regionPages, regionStart } from './lab.js';
import type { Random } from './random-plan.js';

/** DWARF numbers of registers that often point into the region. */
export const pointers: readonly number[] = [3, 5, 6, 7, 12];

export function randomMemory(random: Random): Uint8Array {
  const bytes = Buffer.alloc(regionPages * pageBytes);
  for (let at = 0; at < bytes.length; at += 8) {
    if (random.chance(50)) bytes.writeBigUInt64LE(regionStart + BigInt(random.below(bytes.length)), at);
    else bytes.writeBigUInt64LE(random.interesting(), at);
  }
  return bytes;
}

export function randomState(random: Random): LabState {
  const registers = Array.from({ length: 16 }, (_, number) =>
    pointers.includes(number) && random.chance(85)
      ? regionStart + BigInt(random.below(regionPages * pageBytes))
      : random.interesting(),
  );
  return { registers };
}

/** DWARF numbers 0..15 by name. */
const order = [
  'rax',
  'rdx',
  'rcx',
  'rbx',
  'rsi',
  'rdi',
  'rbp',
  'rsp',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];

export function registersOf(state: LabState, rip: bigint): Uint8Array {
  const bytes = Buffer.alloc(216);
  userRegisterNames.forEach((name, i) => {
    const value = name === 'rip' ? rip : state.registers[order.indexOf(name)];
    bytes.writeBigUInt64LE(value ?? 0n, i * 8);
  });
  return bytes;
}
