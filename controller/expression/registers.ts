/** `$rip` and its like, with the types that gdb gives them (gdb/features/i386/64bit-core.xml). */
import { dwarfRegisterNames } from '../../format/registers/x86-64.js';
import type { Type } from '../types/type.js';
import { builtinType, intType, longType, pointerTo } from './c-types.js';

export interface NamedRegister {
  readonly register: number;
  readonly shift: number;
  readonly type: Type;
}

const aliases: ReadonlyMap<string, string> = new Map([
  ['pc', 'rip'],
  ['sp', 'rsp'],
  ['fp', 'rbp'],
]);

const dataPointer = pointerTo({ kind: 'void' });
const codePointer = pointerTo({
  kind: 'function',
  result: () => ({ kind: 'void' }),
  parameters: () => [],
  prototyped: false,
  variadic: false,
});

function byName(): Map<string, NamedRegister> {
  const table = new Map<string, NamedRegister>();
  const short = builtinType('short') ?? intType;
  const byte = builtinType('signed char') ?? intType;
  for (const [register, name] of dwarfRegisterNames.entries()) {
    const whole = name === 'rip' ? codePointer : name === 'rsp' || name === 'rbp' ? dataPointer : longType;
    table.set(name, { register, shift: 0, type: whole });
    if (name === 'rip') continue;
    const stem = name.slice(1);
    if (/^r\d/.test(name)) {
      table.set(`${name}d`, { register, shift: 0, type: intType });
      table.set(`${name}w`, { register, shift: 0, type: short });
      table.set(`${name}l`, { register, shift: 0, type: byte });
      continue;
    }
    table.set(`e${stem}`, { register, shift: 0, type: intType });
    table.set(stem, { register, shift: 0, type: short });
    table.set(`${stem.replace(/x$/, '')}l`, { register, shift: 0, type: byte });
    if (stem.endsWith('x')) table.set(stem.replace(/x$/, 'h'), { register, shift: 8, type: byte });
  }
  // NB: `$sp` is the stack pointer here as in gdb, not its low 16 bits.
  for (const [alias, name] of aliases) {
    const found = table.get(name);
    if (found !== undefined) table.set(alias, found);
  }
  return table;
}

const table = byName();

/** By name without the `$`. */
export function findRegister(name: string): NamedRegister | undefined {
  return table.get(name);
}

export function registerNames(): Iterable<string> {
  return table.keys();
}
