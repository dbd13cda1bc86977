/** The machines whose programs and cores can be read. */
import type { Machine } from './machine.js';
import { aarch64Machine } from './aarch64.js';
import { x86_64Machine } from './x86-64.js';

export const machines: readonly Machine[] = [x86_64Machine, aarch64Machine];

export function findMachine(number: number): Machine | undefined {
  return machines.find((machine) => machine.number === number);
}
